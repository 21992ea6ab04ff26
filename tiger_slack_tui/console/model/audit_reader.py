"""Reads an event, the discard rules, and previews of a rule for the views."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tiger_slack_tui.audit import rules
from tiger_slack_tui.audit.detail import EventDetail, fetch_event
from tiger_slack_tui.audit.event_query import EventQuery
from tiger_slack_tui.audit.preview import Preview, previews
from tiger_slack_tui.audit.readable import readable_page, readable_preview, readable_trail
from tiger_slack_tui.audit.reference import MessageReference
from tiger_slack_tui.audit.rule_names import names_in
from tiger_slack_tui.audit.why_lines import second_lines, why_lines
from tiger_slack_tui.base.ids import EventId
from tiger_slack_tui.postgres.pool import connected
from tiger_slack_tui.store.audit_events import EventFilter, EventPage, EventPosition, fetch_page
from tiger_slack_tui.store.rules import Rule, list_rules


class AuditReader:
    """Opens a connection for each call. Each method raises DatabaseUnavailable."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    async def event(self, event_id: EventId) -> EventDetail | None:
        """What became of the event; None if it is not in the audit trail."""
        async with connected(self._conninfo) as connection:
            return await fetch_event(connection, event_id)

    async def find_events(self, query: EventQuery, *, most: int) -> tuple[EventFilter, EventPage]:
        """The newest events that the query asks for, and the filter with which the next pages are read.

        Raises NameUnknown, NoSuchRule and SettingsError for a query that names nothing.
        """
        async with connected(self._conninfo) as connection:
            chosen = await query.resolve(connection, datetime.now(UTC), prefix="")
            page = await fetch_page(connection, chosen, most=most)
            if not page.rows:
                await query.require_rule(connection)
            return chosen, await readable_page(connection, page)

    async def more_events(
        self, chosen: EventFilter, before: EventPosition, *, most: int
    ) -> EventPage:
        """The next page."""
        async with connected(self._conninfo) as connection:
            page = await fetch_page(connection, chosen, before=before, most=most)
            return await readable_page(connection, page)

    async def why(self, message: MessageReference, spool: Path) -> list[str]:
        """What is known about the message, line by line, as `tiger-slack why` prints it. Raises NameUnknown."""
        spooled = await message.read_spool(spool)
        async with connected(self._conninfo) as connection:
            found = await readable_trail(connection, await message.explain(connection, spooled))
        lines = second_lines(message, found) if isinstance(found, list) else why_lines(found)
        return list(lines)

    async def rules(self) -> tuple[tuple[Rule, ...], Mapping[str, str]]:
        """All discard rules, and the names of the channels and people in them, by id."""
        async with connected(self._conninfo) as connection:
            found = await list_rules(connection)
            return tuple(found), await names_in(connection, *(rule.match for rule in found))

    async def check_rule(self, match: str) -> Mapping[str, str]:
        """Let the database check the condition. Returns the names of the channels and people in it, by id.

        Raises RuleRefused if it cannot be a rule.
        """
        async with connected(self._conninfo) as connection:
            await rules.check_rule(connection, match)
            return await names_in(connection, match)

    async def previews(
        self, match: str, *, since: datetime, most: int | None, seconds: float
    ) -> AsyncIterator[Preview]:
        """What the rule would have discarded, as more and more messages are tested: at most `most`, for `seconds`."""
        async with connected(self._conninfo) as connection:
            found = previews(connection, match, since=since, most=most, seconds=seconds)
            async for preview in found:
                yield await readable_preview(connection, preview)
