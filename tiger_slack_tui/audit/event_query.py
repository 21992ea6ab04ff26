"""The filters of the audit trail as an operator writes them, for `tiger-slack events` and the console."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tiger_slack_tui.base.times import read_period
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.audit_events import EventFilter
from tiger_slack_tui.store.names import find_channels, find_types, find_users


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Filters as text. Names can be ids, names or patterns with * and ?. () and None mean any."""

    outcome: str | None = None
    types: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    rule: int | None = None
    since: str | None = None
    """A date, a time, or a duration before now; see `times.read_time`."""
    until: str | None = None
    text: str | None = None
    """A part of the text, in any case."""

    async def resolve(self, connection: Connection, now: datetime) -> EventFilter:
        """The filter with ids and times. Raises NameUnknown, and SettingsError for a time that cannot be read."""
        since, until = read_period(self.since, self.until, now)
        return EventFilter(
            outcome=self.outcome,
            types=await find_types(connection, self.types),
            channel_ids=await find_channels(connection, self.channels),
            user_ids=await find_users(connection, self.users),
            rule=self.rule,
            since=since,
            until=until,
            text=self.text or None,
        )
