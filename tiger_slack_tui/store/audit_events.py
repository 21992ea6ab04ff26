"""Reads slack.event as a list: filtered, in pages from the newest, or in the order of writing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.sql import SQL, Composed, Placeholder

from tiger_slack_tui.base.ids import ChannelId, EventId, SlackTs, UserId
from tiger_slack_tui.base.name_patterns import like_literal
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value
from tiger_slack_tui.store.names import PERSON_NAME

_SELECT = SQL("""
with page as materialized
( select e.event_ts, e.id
  from slack.event e
  where {conditions}
  order by {order}
  limit %(most)s
)
select e.id, e.event_id, e.event_ts, e.event_ts::text as exact_ts, e.received_at, e.type, e.subtype, e.outcome
, e.discard_id, e.channel_id, c.channel_name, e.user_id, {person} as user_name, e.message_ts
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
    "message": SQL("e.message_ts = slack.to_timestamptz(%(message)s)"),
    # psycopg sends small numbers as int2. TimescaleDB's Bloom filters do not serve that type, so cast to int4.
    "rule": SQL("e.discard_id = %(rule)s::int4"),
    "since": SQL("e.event_ts >= %(since)s"),
    "until": SQL("e.event_ts < %(until)s"),
    "text": SQL(
        "coalesce(e.event -> 'message' ->> 'text', e.event ->> 'text', e.event ->> 'reaction') ilike %(text)s"
    ),
}
_ONE_OF = {"types": SQL("e.type"), "channel_ids": SQL("e.channel_id"), "user_ids": SQL("e.user_id")}
"""The columns of filters with several values."""
_BEFORE = SQL("(e.event_ts, e.id) < (%(exact_ts)s::timestamptz, %(id)s)")
_WRITTEN = SQL("e.id > %(low)s and e.id <> all (%(seen)s)")
_LAST_ID = """
select coalesce(pg_sequence_last_value(pg_get_serial_sequence('slack.event', 'id')::regclass), 0)
"""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to read. None and () mean any. `audit.event_query` makes it of what an operator writes."""

    outcome: str | None = None
    types: tuple[str, ...] = ()
    channel_ids: tuple[ChannelId, ...] = ()
    user_ids: tuple[UserId, ...] = ()
    message: SlackTs | None = None
    """The ts of the message that they are about."""
    rule: int | None = None
    """The rule that discarded them."""
    since: datetime | None = None
    """Only events that happened since then, by Slack's clock."""
    until: datetime | None = None
    """Only events that happened before then."""
    text: str | None = None
    """Only events whose text, or reaction, contains this, in any case. No index serves it: the events that match the
    rest of the filter are read one after another, the newest first."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event in a list. `text` was written by people."""

    id: int
    event_id: EventId
    event_ts: datetime
    exact_ts: str
    """`event_ts` in PostgreSQL's text, which is exact also beyond the range of Python's times."""
    received_at: datetime
    type: str | None
    subtype: str | None
    outcome: str
    discard_id: int | None
    channel_id: ChannelId | None
    channel_name: str | None
    user_id: UserId | None
    user_name: str | None
    message_ts: datetime | None
    error: str | None
    """SQLSTATE of a failed event, or the error's class if it has none."""
    text: str | None
    """The beginning of the message's text; the name of a reaction."""
    replays: int


@dataclass(frozen=True, slots=True)
class EventPosition:
    """A place among the events, in the order of time."""

    exact_ts: str
    id: int


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, the newest first, and where the next page begins; None at the end."""

    rows: tuple[EventRow, ...]
    next: EventPosition | None


async def fetch_page(
    connection: Connection,
    wanted: EventFilter,
    *,
    before: EventPosition | None = None,
    most: int = 50,
) -> EventPage:
    """A page of at most `most` events that match the filter. Every filter but `text` uses an index."""
    conditions, values = filter_conditions(wanted), _values(wanted) | {"most": most + 1}
    if before is not None:
        conditions.append(_BEFORE)
        values |= {"exact_ts": before.exact_ts, "id": before.id}
    rows = await fetch_rows(connection, EventRow, _select(conditions, _NEWEST_FIRST), values)
    page = tuple(rows[:most])
    last = page[-1] if len(rows) > most else None
    return EventPage(page, EventPosition(last.exact_ts, last.id) if last else None)


async def fetch_written(
    connection: Connection,
    wanted: EventFilter,
    *,
    after_id: int,
    without: Collection[int],
    most: int,
) -> list[EventRow]:
    """At most `most` matching events with a greater id than `after_id`, by id, without those of `without`."""
    query = _select([*filter_conditions(wanted), _WRITTEN], _BY_WRITING)
    values = _values(wanted) | {"low": after_id, "seen": list(without), "most": most}
    return await fetch_rows(connection, EventRow, query, values)


async def newest_event_id(connection: Connection) -> int:
    """The greatest id that slack.event has given out, also to transactions that have not committed yet."""
    return int(await fetch_value(connection, _LAST_ID))


def filter_conditions(wanted: EventFilter) -> list[SQL | Composed]:
    """The SQL conditions of the filter: only those that it needs, so that PostgreSQL finds the right index."""
    conditions: list[SQL | Composed] = [
        clause for name, clause in _CONDITIONS.items() if getattr(wanted, name) is not None
    ]
    for name, column in _ONE_OF.items():
        if values := getattr(wanted, name):
            # Only for one value does PostgreSQL read an index in the order of time, and stop after a page.
            test = SQL("{} = {}") if len(values) == 1 else SQL("{} = any ({})")
            conditions.append(test.format(column, Placeholder(name)))
    return conditions


def _values(wanted: EventFilter) -> dict[str, Any]:
    given = {name: getattr(wanted, name) for name in _CONDITIONS}
    for name in _ONE_OF:
        values = getattr(wanted, name)
        given[name] = values[0] if len(values) == 1 else list(values)
    if wanted.text is not None:
        given["text"] = f"%{like_literal(wanted.text)}%"
    return given


def _select(conditions: Sequence[SQL | Composed], order: SQL) -> Composed:
    wanted = SQL(" and ").join(conditions) if conditions else SQL("true")
    return _SELECT.format(person=SQL(PERSON_NAME), conditions=wanted, order=order)
