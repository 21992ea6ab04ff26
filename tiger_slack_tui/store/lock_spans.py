"""Splits work on messages by time, so that a transaction takes few locks however long the history is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_value
from tiger_slack_tui.postgres.timescale import fetch_hypertables
from tiger_slack_tui.slack.ts import from_micros, to_micros

T = TypeVar("T")

LOCK_SPAN = 12 * 7 * 86_400 * 1_000_000
"""In microseconds: twelve of the weekly chunks of slack.message.

A transaction locks each chunk that it touches, with its indexes and its part of the columnstore: about eight locks.
The server has room for 64 locks (`max_locks_per_transaction`) for each of its connections, all of them together.
"""

_IS_PARTITIONED = "select relkind = 'p' from pg_class where oid = to_regclass('slack.message')"


async def has_chunks(connection: Connection) -> bool:
    """Whether slack.message consists of chunks, so that each week takes locks of its own."""
    if await fetch_value(connection, _IS_PARTITIONED):
        return True
    return "message" in await fetch_hypertables(connection)


def by_lock_span(items: Iterable[T], time_of: Callable[[T], int | None]) -> list[list[T]]:
    """The items in parts, each with the messages of one span, in the order of their first items.

    `time_of` gives microseconds since 1970; items without a time join the first part.
    """
    parts: dict[int, list[T]] = {}
    timeless: list[T] = []
    for item in items:
        time = time_of(item)
        (timeless if time is None else parts.setdefault(time // LOCK_SPAN, [])).append(item)
    found = list(parts.values())
    if not timeless:
        return found
    return [timeless + found[0], *found[1:]] if found else [timeless]


def lock_spans(oldest: datetime, before: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The times from `oldest` to `before` in spans, each as its begin and its end."""
    begin, end = to_micros(oldest), to_micros(before)
    while begin < end:
        next_ = min((begin // LOCK_SPAN + 1) * LOCK_SPAN, end)
        yield from_micros(begin), from_micros(next_)
        begin = next_
