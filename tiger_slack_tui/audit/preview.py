"""Previews a rule before it is on: tests it on stored messages and on recent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.preview import (
    Example,
    SlicePosition,
    SliceQuery,
    SliceResult,
    try_rule_on_events,
    try_rule_on_messages,
)

_ROWS = 5000
"""Messages of one statement: few enough that the counts on the screen grow steadily."""


@dataclass(frozen=True, slots=True)
class TablePreview:
    """What a rule would have done with the messages of one table, tested from the newest back."""

    tested: int = 0
    matched: int = 0
    known: int = 0
    """Matched messages that a rule discards already."""
    failed: int = 0
    """Messages on which PostgreSQL cannot evaluate the rule. It does not match these."""
    sqlstate: str | None = None
    """Of one of these failures."""
    oldest: datetime | None = None
    """Time of the oldest tested message."""
    is_whole: bool = False
    """Whether all messages since the given time were tested."""
    examples: tuple[Example, ...] = ()

    @property
    def share(self) -> float:
        """Matched messages divided by tested ones; 0 if none was tested."""
        return self.matched / self.tested if self.tested else 0.0


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have done since a time."""

    since: datetime
    stored: TablePreview = field(default_factory=TablePreview)
    """Messages in slack.message. A rule sees only their columns; `username`, for example, is not stored."""
    recent: TablePreview = field(default_factory=TablePreview)
    """Messages and edits in slack.event, as they arrived."""
    seconds: float = 0.0
    is_out_of_time: bool = False

    @property
    def failed(self) -> int:
        """Messages on which the rule failed."""
        return self.stored.failed + self.recent.failed

    @property
    def sqlstate(self) -> str | None:
        """Of one of these failures."""
        return self.recent.sqlstate or self.stored.sqlstate

    @property
    def is_whole(self) -> bool:
        return self.stored.is_whole and self.recent.is_whole


@dataclass(slots=True)
class _Source:
    """A table whose messages are tested, where its next slice begins, and the result so far."""

    try_rule: Callable[[Connection, SliceQuery], Awaitable[SliceResult | None]]
    before: SlicePosition = field(default_factory=SlicePosition)
    tested: TablePreview = field(default_factory=TablePreview)

    def add(self, found: SliceResult, rows: int) -> None:
        """Add the result for a slice of at most `rows` messages."""
        total = self.tested
        self.before = found.end
        self.tested = TablePreview(
            tested=total.tested + found.tested,
            matched=total.matched + found.matched,
            known=total.known + found.known,
            failed=total.failed + found.failed,
            sqlstate=found.sqlstate or total.sqlstate,
            oldest=found.oldest or total.oldest,
            is_whole=found.tested < rows,
            examples=(*total.examples, *found.examples),
        )


async def previews(
    connection: Connection,
    match: str,
    *,
    since: datetime,
    most: int | None = 20_000,
    seconds: float = 5.0,
    examples: int = 5,
) -> AsyncIterator[Preview]:
    """The preview of a checked rule as it grows. The last one is complete.

    Tests the newest `most` messages of each table (None for all), none older than `since`, for at most
    `seconds`. If the time is over before that, the last preview has `is_out_of_time`. Cancelling the task cancels
    the running statement. Raises psycopg.Error.
    """
    began = time.monotonic()
    recent, stored = _Source(try_rule_on_events), _Source(try_rule_on_messages)
    waiting, is_out_of_time = [recent, stored], False
    while waiting and not is_out_of_time:
        for source in waiting:
            total = source.tested
            rows = _ROWS if most is None else min(_ROWS, most - total.tested)
            left = began + seconds - time.monotonic()
            wanted = SliceQuery(
                match, since, source.before, rows, examples - len(total.examples), left
            )
            found = await source.try_rule(connection, wanted) if left > 0 else None
            if found is None:
                is_out_of_time = True
                break
            source.add(found, rows)
        waiting = [s for s in waiting if not s.tested.is_whole and s.tested.tested != most]
        taken = round(time.monotonic() - began, 3)
        yield Preview(since, stored.tested, recent.tested, taken, is_out_of_time)
