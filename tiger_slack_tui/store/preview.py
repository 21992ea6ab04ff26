"""Tests a rule on stored messages and on events, a slice at a time. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from tiger_slack_tui.base.ids import BotId, ChannelId, UserId
from tiger_slack_tui.base.times import LATEST
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.names import PERSON_NAME

# For both sources: tests the rows of a slice, counts, and returns the newest that match.
_ANSWER: LiteralString = f"""
, numbered as materialized (select s.*, row_number() over () as number from slice s)
, tried as materialized
( select t.is_match, t.error, t.number
  from slack.matches(array(select n.message from numbered n order by n.number), %(match)s::jsonpath) m
  cross join lateral unnest(m.is_match, m.errors) with ordinality t (is_match, error, number)
)
, tested as materialized
( select n.*, t.is_match, t.error
  from numbered n
  join tried t using (number)
)
select count(*) as tested
, count(*) filter (where t.is_match) as matched
, count(*) filter (where t.is_match and t.discard_id is not null) as known
, count(t.error) as failed
, max(t.error) as sqlstate
, min(t.at) as oldest
, (array_agg(t.key order by t.at, t.key))[1] as key
, ( select jsonb_agg(to_jsonb(x) order by x.at desc)
    from
    ( select m.at, m.channel_id, c.channel_name, m.message ->> 'user' as user_id, m.message ->> 'bot_id' as bot_id
      , m.message ->> 'subtype' as subtype, left(m.message ->> 'text', 200) as text, {PERSON_NAME} as user_name
      from tested m
      left join slack.channel c on c.id = m.channel_id
      left join slack."user" u on u.id = m.message ->> 'user'
      where m.is_match
      order by m.at desc
      limit %(examples)s
    ) x
  ) as examples
from tested t
"""  # noqa: S608 our own text
_EVENTS: LiteralString = """
with slice as materialized
( select e.event_ts as at, e.id as key, e.channel_id, e.discard_id, slack.message_content(e.event) as message
  from slack.event e
  where e.type = 'message'
  and e.outcome in ('stored', 'discarded')
  and e.subtype is distinct from 'message_deleted'
  and e.event -> 'message' ->> 'subtype' is distinct from 'tombstone'
  and e.event_ts >= %(since)s
  and (e.event_ts, e.id) < (%(at)s, coalesce(%(key)s::int8, 9223372036854775807))
  order by e.event_ts desc, e.id desc
  limit %(rows)s
)
"""
_MESSAGES: LiteralString = """
with slice as materialized
( select m.ts as at, m.channel_id as key, m.channel_id, null::int4 as discard_id, slack.stored_message(m) as message
  from slack.message m
  where m.ts >= %(since)s
  and (m.ts, m.channel_id) < (%(at)s, coalesce(%(key)s::text, ''))
  order by m.ts desc, m.channel_id desc
  limit %(rows)s
)
"""
_LIMIT: LiteralString = "select set_config('statement_timeout', %s, true)"


@dataclass(frozen=True, slots=True)
class Example:
    """A message that matches the rule. It was written by people."""

    at: datetime
    channel_id: ChannelId | None
    channel_name: str | None
    user_id: UserId | None
    bot_id: BotId | None
    subtype: str | None
    text: str | None
    user_name: str | None = None


@dataclass(frozen=True, slots=True)
class SlicePosition:
    """Where a slice begins: at messages older than this."""

    at: datetime = LATEST  # clocks differ, so also messages from the future are tested
    key: int | str | None = None
    """What orders messages of the same time: the event's id, or the message's channel."""


@dataclass(frozen=True, slots=True)
class SliceResult:
    """What the rule does to a slice of messages."""

    tested: int
    matched: int
    known: int
    """Matched messages that a rule discards already."""
    failed: int
    """Messages on which PostgreSQL cannot evaluate the rule."""
    sqlstate: str | None
    """Of one of these failures."""
    oldest: datetime | None
    """Time of the oldest tested message; None if none was tested."""
    end: SlicePosition
    """Where the next slice begins."""
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class SliceQuery:
    """A rule, and the messages to test: at most `rows` messages older than `before`, but not older than `since`."""

    match: str
    since: datetime
    before: SlicePosition
    rows: int
    examples: int
    """How many matching messages are returned."""
    seconds: float
    """How long the test may take."""


async def try_rule_on_events(connection: Connection, wanted: SliceQuery) -> SliceResult | None:
    """Test the messages and edits in slack.event. None if the time was too short. Raises psycopg.Error."""
    return await _test(connection, _EVENTS, wanted)


async def try_rule_on_messages(connection: Connection, wanted: SliceQuery) -> SliceResult | None:
    """Test the messages in slack.message. None if the time was too short. Raises psycopg.Error."""
    return await _test(connection, _MESSAGES, wanted)


async def _test(
    connection: Connection, source: LiteralString, wanted: SliceQuery
) -> SliceResult | None:
    values = {
        "match": wanted.match,
        "since": wanted.since,
        "at": wanted.before.at,
        "key": wanted.before.key,
        "rows": wanted.rows,
        "examples": wanted.examples,
    }
    limit = f"{max(wanted.seconds * 1000, 1):.0f}"
    try:
        async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_LIMIT, (limit,))
            # Not prepared, because the best plan depends on the values.
            await cursor.execute(source + _ANSWER, values, prepare=False)
            found = await cursor.fetchone()
    except psycopg.errors.QueryCanceled:
        return None
    assert found is not None  # noqa: S101 for the types
    return _tested(found, wanted.before)


def _tested(found: dict[str, Any], before: SlicePosition) -> SliceResult:
    return SliceResult(
        tested=found["tested"],
        matched=found["matched"],
        known=found["known"],
        failed=found["failed"],
        sqlstate=found["sqlstate"],
        oldest=found["oldest"],
        end=SlicePosition(found["oldest"] or before.at, found["key"]),
        examples=tuple(
            Example(**(row | {"at": datetime.fromisoformat(row["at"])}))
            for row in found["examples"] or ()
        ),
    )
