"""Runs the server until its client, or a signal, ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.mcp.access import Access, VisibleNow
from tiger_slack_tui.mcp.server import Service, make_server
from tiger_slack_tui.postgres.read_only import ReadOnlyDatabase

Address = Callable[[], AbstractContextManager[str]]


def run_stdio(settings: Settings, address: Address, access: Access) -> None:
    """Serve one client on stdin and stdout, until it closes stdin."""
    asyncio.run(_stdio(make_service(settings, address, access)))


def make_service(settings: Settings, address: Address, access: Access) -> Service:
    """What the calls of a server share. Opens nothing."""
    database = ReadOnlyDatabase(address, f"{settings.service_name} mcp")
    return Service(database, access, VisibleNow(access), settings.home / "spool")


async def _stdio(service: Service) -> None:
    try:
        await make_server(service).run_stdio_async()
    finally:
        await service.database.close()
