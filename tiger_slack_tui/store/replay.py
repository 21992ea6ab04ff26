"""Reads the events to replay from slack.event, and replays them with slack.replay()."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import orjson
from psycopg.sql import SQL

from tiger_slack_tui.base.ids import ChannelId, EventId, SlackTs, TeamId
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value
from tiger_slack_tui.store.events import EncodedEvent, as_array

_SELECT = SQL("""
select e.id, e.event_id, slack.to_ts(e.event_ts) as event_ts, e.event_ts::text as place, e.received_at, e.team_id
, e.channel_id, e.outcome, e.event::text as event, e.error
from slack.event e
where {wanted}
and (e.event_ts, e.id) > (%(place)s::timestamptz, %(id)s)
and e.id <= %(last_id)s
order by e.event_ts, e.id
limit %(rows)s
""")
_FAILED = SQL("e.outcome = 'failed'")
_DISCARDED = SQL("e.discard_id = %(rule)s::int4")
# slack.event is partitioned by event_ts, which slack.delivery knows.
_NAMED = SQL("""e.event_id = any (%(event_ids)s)
and e.event_ts = any (array(select d.event_ts from slack.delivery d where d.event_id = any (%(event_ids)s)))""")
_REPLAY: LiteralString = "select slack.replay(%s::jsonb)::text"
# In the order of locks.
_REGAIN: LiteralString = """
with stored as materialized
( select r.channel_id, slack.to_timestamptz(r.message_ts) as ts
  from jsonb_to_recordset(%(records)s::jsonb) as r (event_id text, type text, channel_id text, message_ts text)
  where r.event_id = any (%(stored)s)
  and r.type = 'message'
  and r.message_ts is not null
  order by r.channel_id collate "C"
)
select count(slack.regain_heard(s.channel_id, s.ts)::text)
from stored s
"""
_KNOWN: LiteralString = "select d.event_id from slack.delivery d where d.event_id = any (%s)"


@dataclass(frozen=True, slots=True)
class ReplaySelection:
    """Which events are replayed. Exactly one of the three is given."""

    failed: bool = False
    rule: int | None = None
    """Those that this rule discarded."""
    event_ids: tuple[EventId, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """A row of slack.event. `event` is JSON that people wrote."""

    id: int
    event_id: EventId
    event_ts: SlackTs
    """As Slack writes it. It is exact also beyond the range of Python's times."""
    place: str
    """The same as PostgreSQL writes it."""
    received_at: datetime
    team_id: TeamId | None
    channel_id: ChannelId | None
    outcome: str
    event: str
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ReplayPosition:
    """A place among the events, in the order of their times."""

    place: str = "-infinity"
    """A time in PostgreSQL's text."""
    id: int = 0


async def fetch_replay_rows(
    connection: Connection,
    selection: ReplaySelection,
    *,
    after: ReplayPosition,
    last_id: int,
    most: int,
) -> list[ReplayRow]:
    """At most `most` selected events after the position, the oldest first, with ids up to `last_id`."""
    wanted = _FAILED if selection.failed else _NAMED if selection.event_ids else _DISCARDED
    values = {
        "rule": selection.rule,
        "event_ids": list(selection.event_ids),
        "place": after.place,
        "id": after.id,
        "last_id": last_id,
        "rows": most,
    }
    return await fetch_rows(connection, ReplayRow, _SELECT.format(wanted=wanted), values)


async def replay_events(
    connection: Connection, events: Sequence[EncodedEvent], *, dry_run: bool
) -> dict[EventId, str]:
    """Replay the events in one transaction, which a `dry_run` rolls back. Returns the outcomes by event_id.

    Events whose rows are gone are left out. A channel in which only messages of failed events were missing is then
    complete again.
    """
    records = as_array([event.record for event in events])
    async with connection.transaction(force_rollback=dry_run):
        text = await fetch_value(connection, _REPLAY, (records,))
    outcomes: dict[EventId, str] = orjson.loads(text)
    stored = [event_id for event_id, outcome in outcomes.items() if outcome == Outcome.STORED]
    if stored and not dry_run:
        await connection.execute(_REGAIN, {"records": records, "stored": stored})
    return outcomes


async def unknown_events(
    connection: Connection, event_ids: Sequence[EventId]
) -> tuple[EventId, ...]:
    """Those of the ids that the audit trail does not have."""
    cursor = await connection.execute(_KNOWN, (list(event_ids),))
    known = {row[0] for row in await cursor.fetchall()}
    return tuple(event_id for event_id in event_ids if event_id not in known)
