"""A collector of OpenTelemetry's traces and logs, for tests of what leaves a process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[str, Mapping[str, bytes]]]:
    """The collector's address, and all bytes that come to its paths /traces and /logs, by "traces" and "logs"."""
    received: dict[str, bytes] = {"traces": b"", "logs": b""}

    async def collect(request: web.Request) -> web.Response:
        received[request.match_info["signal"]] += await request.read()
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/{signal}", collect)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", received
    finally:
        await runner.cleanup()
