"""Poolers between client and server: pgbouncer if it is installed, and a small pooler that needs no installation."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.faults.proxy import postgres_target
from tiger_slack_tui.postgres.embedded.binaries import server_user

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
_START_SECONDS = 10
_NO_TLS = (80877103, 80877104)
"""The version numbers of requests for TLS and GSSAPI."""


@contextmanager
def pgbouncer(conninfo: str, mode: str, **options: object) -> Iterator[str]:
    """The conninfo of a pgbouncer in front of the server. `mode` is transaction, session or statement."""
    assert PGBOUNCER is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = conninfo_to_dict(conninfo)
    settings: dict[str, object] = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
    }
    lines = [f"{name} = {value}" for name, value in (settings | options).items()]
    target = f"host={server['host']} port={server['port']} user={server['user']}"
    text = "\n".join(["[databases]", f"* = {target}", "[pgbouncer]", *lines, ""])
    user = server_user()  # may use the server's socket; pgbouncer refuses to run as root
    with tempfile.TemporaryDirectory(prefix="tiger-slack-pgbouncer-") as directory:
        file = Path(directory, "pgbouncer.ini")
        file.write_text(text)
        if user.is_other:
            for path in (Path(directory), file):
                os.chown(path, user.uid, user.gid)
        command = [PGBOUNCER, "-q", str(file)]
        quiet: dict[str, Any] = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "cwd": "/",
        }
        with subprocess.Popen(command, **quiet, **user.identity()) as process:
            try:
                _wait(port, process)
                yield make_conninfo(conninfo, host="127.0.0.1", port=port)
            finally:
                process.kill()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("pgbouncer did not start")


@asynccontextmanager
async def transaction_pooler(conninfo: str, *, size: int = 2) -> AsyncIterator[str]:
    """The conninfo of the small pooler. It gives each transaction the session that was unused for longest."""
    pooler = _Pooler(conninfo, size)
    await pooler.open()
    server = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield make_conninfo(conninfo, host="127.0.0.1", port=port)
    finally:
        server.close()
        pooler.close()


_Session = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pooler:
    def __init__(self, conninfo: str, size: int) -> None:
        self._conninfo = conninfo
        self._size = size
        self._free: deque[_Session] = deque()
        self._returned = asyncio.Condition()
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._greeting = b""

    async def open(self) -> None:
        """Open the sessions."""
        for _ in range(self._size):
            self._free.append(await self._open_session())

    async def _open_session(self) -> _Session:
        given = conninfo_to_dict(self._conninfo)
        target = postgres_target(self._conninfo)
        if isinstance(target, str):
            reader, writer = await asyncio.open_unix_connection(target)
        else:
            reader, writer = await asyncio.open_connection(*target)
        names = f"user\0{given['user']}\0database\0{given['dbname']}\0\0".encode()
        writer.write(struct.pack("!ii", len(names) + 8, 196608) + names)
        greeting = b""
        while (message := await _read(reader))[:1] != b"Z":
            if message[:1] == b"S":
                greeting += message
        self._greeting = greeting
        self._writers.append(writer)
        return reader, writer

    def close(self) -> None:
        """Close everything."""
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.append(writer)
        try:
            while True:
                length, version = struct.unpack("!ii", await reader.readexactly(8))
                await reader.readexactly(length - 8)
                if version not in _NO_TLS:
                    break
                writer.write(b"N")
            key = struct.pack("!cii4s", b"K", 12, secrets.randbits(31), secrets.token_bytes(4))
            ready = b"Z\0\0\0\5I"
            writer.write(struct.pack("!cii", b"R", 8, 0) + self._greeting + key + ready)
            while True:
                message = await _read(reader)
                if message[:1] == b"X":
                    return
                await self._transaction(message, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _transaction(
        self, message: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async with self._returned:
            await self._returned.wait_for(lambda: self._free)
            session = from_server, to_server = self._free.popleft()
        to_server.write(message)
        forwarding = asyncio.ensure_future(_forward(reader, to_server))
        try:
            while True:
                answer = await _read(from_server)
                writer.write(answer)
                if answer[:1] == b"Z" and answer[5:] == b"I":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            # The client closed its connection inside a transaction, which ended the session.
            to_server.close()
            session = await self._open_session()
            raise
        finally:
            forwarding.cancel()
            await asyncio.gather(forwarding, return_exceptions=True)
            async with self._returned:
                self._free.append(session)
                self._returned.notify()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(await _read(reader))


async def _read(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
