"""A TCP proxy on loopback that fails as networks do: late, silent, cut off, or with nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from types import TracebackType

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_PIECE = 1 << 16
RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() sends RST


@dataclass(eq=False)
class _Link:
    """One client and its connection to the target."""

    client: asyncio.StreamWriter
    passes: asyncio.Event
    server: asyncio.StreamWriter | None = None
    task: asyncio.Task[None] | None = None


class Proxy:
    """Forwards to `target`: (host, port), or the path of a unix socket. Use as an async context manager.

    A new `target` is for new connections.

    `delay` is added to each piece in both directions, in seconds. `garbage`, where it is set, is all
    that a new connection gets before it is closed.
    """

    def __init__(self, target: tuple[str, int] | str) -> None:
        self.target = target
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._freezes_new = False
        self.port = 0
        self.delay = 0.0
        self.garbage: bytes | None = None
        self.accepted = 0
        """Connections taken since the start."""

    @property
    def open(self) -> int:
        """Connections that are open now, frozen ones among them."""
        return len(self._links)

    def passing(self) -> set[tuple[str, int]]:
        """Our addresses, as the target sees them, of the connections that pass what comes."""
        return {
            link.server.get_extra_info("sockname")[:2]
            for link in self._links
            if link.server is not None and link.passes.is_set()
        }

    async def __aenter__(self) -> Proxy:
        await self.listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.refuse()
        self.cut()
        await asyncio.gather(
            *(link.task for link in self._links if link.task), return_exceptions=True
        )

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse new connections until `listen`; those that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def freeze(self, *, new: bool = False) -> None:
        """Pass nothing more on the open connections and close none; with `new`, on later ones, too."""
        self._freezes_new = new
        for link in self._links:
            link.passes.clear()

    def thaw(self) -> None:
        """Pass everything again, also what came meanwhile."""
        self._freezes_new = False
        for link in self._links:
            link.passes.set()

    def cut(self) -> None:
        """Reset all open connections."""
        for link in list(self._links):
            for writer in (link.client, link.server):
                if writer is not None:
                    peer = writer.get_extra_info("socket")
                    if peer is not None and peer.family != socket.AF_UNIX:
                        with contextlib.suppress(OSError):
                            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
                    writer.transport.abort()
            if link.task is not None:
                link.task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.garbage is not None:
            writer.write(self.garbage)
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.close()
            return
        link = _Link(writer, asyncio.Event(), task=asyncio.current_task())
        if not self._freezes_new:
            link.passes.set()
        self._links.add(link)
        try:
            await self._forward(link, reader)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            for each in (link.client, link.server):
                if each is not None:
                    each.close()

    async def _forward(self, link: _Link, reader: asyncio.StreamReader) -> None:
        await link.passes.wait()
        if isinstance(self.target, str):
            from_server, link.server = await asyncio.open_unix_connection(self.target)
        else:
            from_server, link.server = await asyncio.open_connection(*self.target)
        async with asyncio.TaskGroup() as pumps:
            pumps.create_task(self._pump(link, reader, link.server))
            pumps.create_task(self._pump(link, from_server, link.client))

    async def _pump(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await source.read(_PIECE):
                await link.passes.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                sink.write(data)
                await sink.drain()
            await link.passes.wait()
            if sink.can_write_eof():
                sink.write_eof()
        except (
            OSError
        ):  # one side was reset; the other must learn of it, or its connection stays for ever
            sink.transport.abort()


def postgres_target(conninfo: str) -> tuple[str, int] | str:
    """Where a server listens, for a `Proxy` in front of it."""
    parts = conninfo_to_dict(conninfo)
    host, port = str(parts["host"]), int(str(parts.get("port") or 5432))
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def through(proxy: Proxy, conninfo: str) -> str:
    """`conninfo`, but by way of the proxy."""
    return make_conninfo(conninfo, host="127.0.0.1", port=proxy.port)
