"""Reads what a view asks of the audit trail and the discard rules: one event, all rules, what a rule would drop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from tiger_slack_tui.audit import rules
from tiger_slack_tui.audit.detail import EventDetail, read_event
from tiger_slack_tui.audit.preview import Preview, previews
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import translate_errors
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.rules import Rule, list_rules


@asynccontextmanager
async def connected(conninfo: str) -> AsyncIterator[Connection]:
    """A connection for one question or change. Raises DatabaseUnavailable; the server's errors say what they mean."""
    async with await connect(conninfo) as connection:
        with translate_errors():
            yield connection


class AuditReader:
    """Reads, each time over a connection of its own. Each method raises DatabaseUnavailable."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    async def event(self, event_id: str) -> EventDetail | None:
        """What became of the event; None if it is not in the audit trail."""
        async with connected(self._conninfo) as connection:
            return await read_event(connection, event_id)

    async def rules(self) -> tuple[Rule, ...]:
        """All discard rules."""
        async with connected(self._conninfo) as connection:
            return tuple(await list_rules(connection))

    async def check_rule(self, match: str) -> None:
        """Let the database judge the condition. Raises RuleRefused if it cannot be a rule."""
        async with connected(self._conninfo) as connection:
            await rules.check_rule(connection, match)

    async def previews(
        self, match: str, *, since: datetime, most: int | None, seconds: float
    ) -> AsyncIterator[Preview]:
        """What the rule would have dropped, as more and more messages are tested: at most `most`, for `seconds`."""
        async with connected(self._conninfo) as connection:
            found = previews(connection, match, since=since, most=most, seconds=seconds)
            async for preview in found:
                yield preview
