"""A server that answers each HTTP request with any given bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp

from tiger_slack_tui.base.settings import SlackSettings
from tiger_slack_tui.slack.web import SlackWeb

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Writes the answer to a request that was read."""


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """The port of a server on loopback that answers by `answer` and then closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await answer(reader, writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def web_api(
    answer: Answer, *, seconds: float = 10, list_seconds: float = 60
) -> AsyncIterator[SlackWeb]:
    """The Web API of a Slack that answers by `answer`."""
    async with serving(answer) as port, aiohttp.ClientSession() as session:
        settings = SlackSettings("xoxb-1", "xapp-1", f"http://127.0.0.1:{port}/api/")
        yield SlackWeb(settings, session, seconds=seconds, list_seconds=list_seconds)


def fixed(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Answers with this."""
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }
    head = f"HTTP/1.1 {status} Answer\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{head}Connection: close\r\n\r\n".encode("latin-1") + body)

    return answer
