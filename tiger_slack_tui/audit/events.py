"""The audit trail as a list: filtered, paged from the newest, and followed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row, scalar_row
from psycopg.sql import SQL, Composed

from tiger_slack_tui.postgres.connection import Connection

_SELECT = SQL("""
with page as materialized
( select e.event_ts, e.id
  from slack.event e
  where {conditions}
  order by {order}
  limit %(most)s
)
select e.id, e.event_id, e.event_ts, e.event_ts::text as exact_ts, e.received_at, e.type, e.subtype, e.outcome
, e.discard_id, e.channel_id, c.channel_name, e.user_id, u.user_name, e.message_ts
, coalesce(e.error ->> 'sqlstate', e.error ->> 'class') as error
, left(coalesce(e.event -> 'message' ->> 'text', e.event ->> 'text', e.event ->> 'reaction'), 200) as text
, coalesce(jsonb_array_length(e.replays), 0) as replays
from page p
join slack.event e on e.event_ts = p.event_ts and e.id = p.id
left join slack.channel c on c.id = e.channel_id
left join slack."user" u on u.id = e.user_id
order by {order}
""")
_NEWEST_FIRST = SQL("e.event_ts desc, e.id desc")
_BY_WRITING = SQL("e.id")
_CONDITIONS = {
    "outcome": SQL("e.outcome = %(outcome)s"),
    "type": SQL("e.type = %(type)s"),
    "channel_id": SQL("e.channel_id = %(channel_id)s"),
    "user_id": SQL("e.user_id = %(user_id)s"),
    # Cast, because the driver sends small numbers as int2, of which a Bloom filter of TimescaleDB knows nothing.
    "rule": SQL("e.discard_id = %(rule)s::int4"),
    "since": SQL("e.event_ts >= %(since)s"),
}
_BEFORE = SQL("(e.event_ts, e.id) < (%(exact_ts)s::timestamptz, %(id)s)")
_WRITTEN = SQL("e.id > %(low)s and e.id <> all (%(seen)s)")
_LAST_ID = """
select coalesce(pg_sequence_last_value(pg_get_serial_sequence('slack.event', 'id')::regclass), 0)
"""

_SETTLED = 10.0
"""Seconds after which an id that was given is committed, or never will be."""
_PAGE = 500


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; None where it does not matter."""

    outcome: str | None = None
    type: str | None = None
    channel_id: str | None = None
    user_id: str | None = None
    rule: int | None = None
    """Discarded by it."""
    since: datetime | None = None
    """When they happened, by Slack's clock."""

    def conditions(self) -> list[SQL]:
        return [clause for name, clause in _CONDITIONS.items() if getattr(self, name) is not None]

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _CONDITIONS}


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as a line. `text` is the text of others."""

    id: int
    event_id: str
    event_ts: datetime
    exact_ts: str
    """The same as PostgreSQL writes it: it has times that Python has not, which `event_ts` takes for its bounds."""
    received_at: datetime
    type: str | None
    subtype: str | None
    outcome: str
    discard_id: int | None
    channel_id: str | None
    channel_name: str | None
    user_id: str | None
    user_name: str | None
    message_ts: datetime | None
    error: str | None
    """SQLSTATE of a failed one, or the error's class."""
    text: str | None
    """The beginning of the message's text; of a reaction, its name."""
    replays: int


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the trail: before it means older."""

    exact_ts: str
    id: int


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, the newest first, and where the next page begins; None at the end."""

    rows: tuple[EventRow, ...]
    next: Position | None


async def read_page(
    connection: Connection,
    wanted: EventFilter,
    *,
    before: Position | None = None,
    most: int = 50,
) -> EventPage:
    """A page of the events that are wanted. Uses an index whatever is wanted."""
    conditions = wanted.conditions()
    values = wanted.values() | {"most": most + 1}
    if before is not None:
        conditions.append(_BEFORE)
        values |= {"exact_ts": before.exact_ts, "id": before.id}
    rows = await _read(connection, _select(conditions, _NEWEST_FIRST), values)
    page = tuple(rows[:most])
    last = page[-1] if len(rows) > most else None
    return EventPage(page, Position(last.exact_ts, last.id) if last else None)


async def follow(
    connection: Connection, wanted: EventFilter, *, pause: float = 1.0
) -> AsyncIterator[tuple[EventRow, ...]]:
    """The events that are written from now on, however late they are, in the order of writing; for ever.

    Yields what is new after each pause, an empty tuple where nothing is.
    """
    # Transactions commit in another order than they were given ids: look again for a while, but show each once.
    low = await newest_id(connection)
    lasts = deque([(time.monotonic(), low)])
    seen: set[int] = set()
    query = _select([*wanted.conditions(), _WRITTEN], _BY_WRITING)
    while True:
        last = await newest_id(connection)
        values = wanted.values() | {"low": low, "seen": list(seen), "most": _PAGE}
        rows = await _read(connection, query, values)
        yield tuple(rows)
        seen.update(row.id for row in rows)
        if len(rows) == _PAGE:
            continue
        lasts.append((time.monotonic(), last))
        while lasts[0][0] < time.monotonic() - _SETTLED:
            low = lasts.popleft()[1]
        seen = {id_ for id_ in seen if id_ > low}
        await asyncio.sleep(pause)


async def newest_id(connection: Connection) -> int:
    """The greatest id of slack.event so far, and of transactions that are still to commit."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_LAST_ID)
        return int(await cursor.fetchone() or 0)


def _select(conditions: list[SQL], order: SQL) -> Composed:
    wanted = SQL(" and ").join(conditions) if conditions else SQL("true")
    return _SELECT.format(conditions=wanted, order=order)


async def _read(connection: Connection, query: Composed, values: dict[str, Any]) -> list[EventRow]:
    async with connection.cursor(row_factory=class_row(EventRow)) as cursor:
        # Never prepared: the best plan depends on the values.
        await cursor.execute(query, values, prepare=False)
        return await cursor.fetchall()
