"""Runs the server until its client, or a signal, ends it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.mcp.handshake import Handshake
from tiger_slack_tui.mcp.server import Service, make_server
from tiger_slack_tui.mcp.visible_now import VisibleNow
from tiger_slack_tui.postgres.read_only import ReadOnlyDatabase

if TYPE_CHECKING:
    from tiger_slack_tui.mcp.http import HttpOptions

Address = Callable[[], AbstractContextManager[str]]


def run_stdio(settings: Settings, address: Address, access: Access, handshake: Handshake) -> None:
    """Serve one client on stdin and stdout, until it closes stdin or a signal ends the process.

    `handshake` has been started.
    """
    asyncio.run(_stdio(make_service(settings, address, access), handshake))


def run_http(settings: Settings, address: Address, access: Access, options: HttpOptions) -> None:
    """Serve clients over HTTP until SIGTERM or SIGINT. Raises SettingsError if the address cannot be used."""
    asyncio.run(_http(make_service(settings, address, access), options))


def make_service(settings: Settings, address: Address, access: Access) -> Service:
    """What the calls of a server share. Opens nothing."""
    database = ReadOnlyDatabase(address, f"{settings.service_name} mcp")
    return Service(database, access, VisibleNow(access), settings.home / "spool")


async def _stdio(service: Service, handshake: Handshake) -> None:
    def end(code: int) -> None:
        # The thread that waits for stdin cannot be stopped, and would keep the process.
        service.database.close()
        os._exit(code)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end, 0)
    loop.add_signal_handler(signal.SIGINT, end, 128 + signal.SIGINT)
    try:
        server = make_server(service)
        await asyncio.to_thread(handshake.hand_over)
        await server.run_stdio_async()
    finally:
        service.database.close()


async def _http(service: Service, options: HttpOptions) -> None:
    # Imported late: only this needs a web server.
    from tiger_slack_tui.mcp.http import serve

    try:
        await serve(make_server(service), options, service.is_ready)
    finally:
        service.database.close()
