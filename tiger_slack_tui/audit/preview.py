"""What a rule would have kept away: tried on stored messages and on recent events, before it is on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from tiger_slack_tui.base.times import LATEST
from tiger_slack_tui.postgres.connection import Connection

_ROWS = 5000
"""Messages of one statement, so that the counts grow before the eyes."""

# Both: the newest rows before a place, tested; how far they reach; and the first that match.
_ANSWER: LiteralString = """
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
      , m.message ->> 'subtype' as subtype, left(m.message ->> 'text', 200) as text
      from tested m
      left join slack.channel c on c.id = m.channel_id
      where m.is_match
      order by m.at desc
      limit %(examples)s
    ) x
  ) as examples
from tested t
"""
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


@dataclass(frozen=True, slots=True)
class Example:
    """A message that the rule would have kept away. All of it is the text of others."""

    at: datetime
    channel_id: str | None
    channel_name: str | None
    user_id: str | None
    bot_id: str | None
    subtype: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Tested:
    """How many messages were tested, from the newest back."""

    tested: int = 0
    matched: int = 0
    known: int = 0
    """Of the matched, those that a rule discards already."""
    failed: int = 0
    """Messages on which PostgreSQL cannot evaluate the rule: it does not match these."""
    sqlstate: str | None = None
    """Of one of these."""
    oldest: datetime | None = None
    """Of the tested."""
    is_whole: bool = False
    """Whether all of the time that was asked for is tested."""
    examples: tuple[Example, ...] = ()

    @property
    def share(self) -> float:
        """Matched by tested; 0 where none was tested."""
        return self.matched / self.tested if self.tested else 0.0


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have done since a time."""

    since: datetime
    stored: Tested = field(default_factory=Tested)
    """Messages in slack.message, as far as its columns go (there is no `username`, for one)."""
    recent: Tested = field(default_factory=Tested)
    """Messages and edits as they came, in slack.event."""
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
    """A table, where its next slice begins, and what was found so far."""

    query: LiteralString
    at: datetime
    key: Any = None
    tested: Tested = field(default_factory=Tested)

    def add(self, found: dict[str, Any], rows: int) -> None:
        """Take the answer to a slice of at most `rows`."""
        before = self.tested
        new = [
            Example(**(row | {"at": datetime.fromisoformat(row["at"])}))
            for row in found["examples"] or ()
        ]
        self.at, self.key = found["oldest"] or self.at, found["key"]
        self.tested = Tested(
            tested=before.tested + found["tested"],
            matched=before.matched + found["matched"],
            known=before.known + found["known"],
            failed=before.failed + found["failed"],
            sqlstate=found["sqlstate"] or before.sqlstate,
            oldest=found["oldest"] or before.oldest,
            is_whole=found["tested"] < rows,
            examples=(*before.examples, *new),
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
    """The preview of a checked rule, as it grows; the last one counts.

    Tests the newest `most` messages of either table (None for all), not before `since`, for so many seconds. Ends
    early, with `is_out_of_time`, where those are over. Cancelling the task cancels the statement that runs.
    """
    began = time.monotonic()
    recent, stored = _Source(_EVENTS, LATEST), _Source(_MESSAGES, LATEST)  # clocks differ
    waiting, is_out_of_time = [recent, stored], False
    while waiting and not is_out_of_time:
        for source in waiting:
            before = source.tested
            rows = _ROWS if most is None else min(_ROWS, most - before.tested)
            values = {
                "match": match,
                "since": since,
                "at": source.at,
                "key": source.key,
                "rows": rows,
                "examples": examples - len(before.examples),
            }
            left = began + seconds - time.monotonic()
            found = await _slice(connection, source.query, values, left) if left > 0 else None
            if found is None:
                is_out_of_time = True
                break
            source.add(found, rows)
        waiting = [s for s in waiting if not s.tested.is_whole and s.tested.tested != most]
        taken = round(time.monotonic() - began, 3)
        yield Preview(since, stored.tested, recent.tested, taken, is_out_of_time)


async def _slice(
    connection: Connection,
    query: LiteralString,
    values: dict[str, Any],
    seconds: float,
) -> dict[str, Any] | None:
    """What the rule does to one slice; None where that took too long."""
    limit = f"{max(seconds * 1000, 1):.0f}"
    try:
        async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute("select set_config('statement_timeout', %s, true)", (limit,))
            await cursor.execute(query + _ANSWER, values, prepare=False)
            return await cursor.fetchone()
    except psycopg.errors.QueryCanceled:
        return None
