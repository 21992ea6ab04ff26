"""Opens a connection for one question or change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import translate_errors
from tiger_slack_tui.postgres.pool import connect


@asynccontextmanager
async def connected(conninfo: str) -> AsyncIterator[Connection]:
    """A connection for one question or change.

    Raises DatabaseUnavailable. Other errors of the database become DatabaseRefused or MigrationError.
    """
    async with await connect(conninfo) as connection:
        with translate_errors():
            yield connection
