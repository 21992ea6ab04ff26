"""Finds messages by their search documents, newest first or most relevant first.

A look at the newest messages shows how frequent the matches are. It decides between reading messages in order and
reading the index, so that the server's statistics, which miss rare and combined words, do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Final, LiteralString

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_value
from tiger_slack_tui.store.readable_messages import time_text
from tiger_slack_tui.store.visible_channels import VisibleChannels, visible_parameter

_SAMPLE: Final = 2000
"""The newest messages that are looked at first."""
_WALK: Final = 40_000
"""Messages that are read in order, if the sample says that they hold enough matches."""
_ALL: Final = 1 << 40
"""More messages than there are."""
_RANKED: Final = 30_000
"""Matches that are ranked at most, as far as the sample can tell. If there are more, the newest are ranked."""
_RANKED_WALK: Final = 100_000
"""The newest messages that are ranked instead."""
_RARE: Final = 0.0001
"""The part of the messages that has a word, for words that the server's statistics do not list."""

_LEXEME = re.compile(r"'((?:[^']|'')*)'")
_TERMS: LiteralString = """
select slack.search_term(t.term, t.is_prefix, %(languages)s, %(visible)s::text[])::text
from unnest(%(terms)s::text[], %(prefixes)s::bool[]) with ordinality t (term, is_prefix, n)
order by t.n
"""
_MATCHES: LiteralString = """
slack.is_visible(s.channel_id, %(visible)s::text[])
and (%(query)s::tsquery is null or s.document @@ %(query)s::tsquery)
and
( %(reactions)s::text[] = '{}'
  or not exists
  ( select from unnest(%(reactions)s::text[], %(negated)s::bool[]) c (name, is_negated)
    where c.is_negated = exists
    ( select from slack.reaction r
      where r.channel_id = s.channel_id
      and r.ts = s.ts
      and r.is_present
      and (c.name = '' or r.reaction = c.name or starts_with(r.reaction, c.name || '::'))
    )
  )
)
"""
_NEWEST: LiteralString = """
( select w.ts, w.channel_id, w.document
  from slack.message_search w
  where w.ts >= %(since)s::timestamptz
  and w.ts < %(until)s::timestamptz
  and (w.ts, w.channel_id) < (%(ts)s::timestamptz, %(channel)s)
  order by w.ts desc, w.channel_id desc
  limit %(window)s
) s
"""
_WALKED: LiteralString = f"""
select s.channel_id, slack.to_ts(s.ts), 0::float8
from {_NEWEST}
where {_MATCHES}
order by s.ts desc, s.channel_id desc
limit %(limit)s
"""  # noqa: S608 our own texts
_IS_MORE: LiteralString = f"select count(*) = %(window)s from {_NEWEST}"  # noqa: S608 our own text
# Materialised, so that the server does not read all messages in order to find a few.
_INDEXED: LiteralString = f"""
with found as materialized
( select s.ts, s.channel_id
  from slack.message_search s
  where s.ts >= %(since)s::timestamptz
  and s.ts < %(until)s::timestamptz
  and (s.ts, s.channel_id) < (%(ts)s::timestamptz, %(channel)s)
  and {_MATCHES}
)
select f.channel_id, slack.to_ts(f.ts), 0::float8
from found f
order by f.ts desc, f.channel_id desc
limit %(limit)s
"""  # noqa: S608 our own texts
_BY_REACTION: LiteralString = f"""
with found as materialized
( select distinct r.ts, r.channel_id
  from slack.reaction r
  where r.is_present
  and exists
  ( select from unnest(%(reactions)s::text[], %(negated)s::bool[]) c (name, is_negated)
    where not c.is_negated
    and (c.name = '' or r.reaction = c.name or starts_with(r.reaction, c.name || '::'))
  )
  and r.ts >= %(since)s::timestamptz
  and r.ts < %(until)s::timestamptz
  and (r.ts, r.channel_id) < (%(ts)s::timestamptz, %(channel)s)
)
select s.channel_id, slack.to_ts(s.ts), 0::float8
from found f
join slack.message_search s on s.ts = f.ts and s.channel_id = f.channel_id
where {_MATCHES}
order by s.ts desc, s.channel_id desc
limit %(limit)s
"""  # noqa: S608 our own texts
_SCORE: LiteralString = """
ts_rank_cd(s.document, %(ranking)s::tsquery, 1)
+ case
    when %(terms)s::text[] = '{}' then 0
    else
    ( select coalesce(sum(t.weight), 0)
      from unnest(%(terms)s::text[], %(weights)s::float8[]) t (term, weight)
      where s.document @@ t.term::tsquery
    )
  end
"""
_RANK: LiteralString = """
select f.channel_id, slack.to_ts(f.ts), f.score
from found f
where (f.score, f.ts, f.channel_id) < (%(score)s::float8, %(ts)s::timestamptz, %(channel)s)
or %(score)s::float8 is null
order by f.score desc, f.ts desc, f.channel_id desc
limit %(limit)s
"""
_RANKED_INDEXED: LiteralString = f"""
with found as materialized
( select s.ts, s.channel_id, ({_SCORE})::float8 as score
  from slack.message_search s
  where s.ts >= %(since)s::timestamptz
  and s.ts < %(until)s::timestamptz
  and {_MATCHES}
)
{_RANK}
"""  # noqa: S608 our own texts
_RANKED_NEWEST: LiteralString = f"""
with found as materialized
( select s.ts, s.channel_id, ({_SCORE})::float8 as score
  from
  ( select w.ts, w.channel_id, w.document
    from slack.message_search w
    where w.ts >= %(since)s::timestamptz
    and w.ts < %(until)s::timestamptz
    order by w.ts desc, w.channel_id desc
    limit %(window)s
  ) s
  where {_MATCHES}
)
{_RANK}
"""  # noqa: S608 our own texts
_TOTAL = "select greatest(c.reltuples, 0)::int8 from pg_class c where c.oid = 'slack.message_search'::regclass"
_FREQUENCIES: LiteralString = """
select e.lexeme, e.frequency
from pg_stats p
cross join lateral unnest(p.most_common_elems::text::text[], p.most_common_elem_freqs) e (lexeme, frequency)
where p.schemaname = 'slack'
and p.tablename = 'message_search'
and p.attname = 'document'
and e.lexeme = any (%s)
"""
_WORDS: LiteralString = """
with c as materialized
( select slack.search_config(l.language) as config from unnest(%(languages)s::text[]) l (language) )
, w as materialized
( select w.word, case when w.word ~ '^[A-Za-z]?[a-z0-9]*$' then w.word else slack.split_text(w.word) end as split
  from unnest(%(words)s::text[]) w (word)
)
select w.word, array(select t.lexeme from c cross join lateral unnest(to_tsvector(c.config, w.split)) t)
from w
"""


@dataclass(frozen=True, slots=True)
class Position:
    """The place of a message in a list of results, after which the next page begins."""

    ts: str
    channel_id: str
    score: float | None = None
    """None in a list of the newest messages."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message that was found. `ts` is Slack's text."""

    channel_id: str
    ts: str
    score: float

    def position(self, *, is_ranked: bool) -> Position:
        return Position(self.ts, self.channel_id, self.score if is_ranked else None)


@dataclass(frozen=True, slots=True)
class Match:
    """What messages must match. Queries are texts of tsquery that PostgreSQL or `lexeme` made."""

    query: str | None
    """None: any message."""
    is_selective: bool = True
    """Whether the index can find the messages: something must be there, not only missing."""
    ranking: str | None = None
    """The words that results are ranked by; None if there are none."""
    terms: tuple[str, ...] = ()
    """Words of which only some must be there: those that are rare count more."""
    reactions: tuple[tuple[str, bool], ...] = ()
    """(name, is_negated); the name "" is any reaction."""
    since: str = "-infinity"
    until: str = "infinity"
    visible: VisibleChannels | None = None
    """The channels that the reader may see; None for all."""

    def values(self, **more: Any) -> dict[str, Any]:
        """The parameters of queries."""
        return {
            "query": self.query,
            "ranking": self.ranking,
            "reactions": [name for name, _ in self.reactions],
            "negated": [is_negated for _, is_negated in self.reactions],
            "since": self.since,
            "until": self.until,
            "visible": visible_parameter(self.visible),
            "terms": [],
            "weights": [],
            "ts": "infinity",
            "channel": "",
            "score": None,
        } | more


def lexeme(text: str) -> str:
    """The text as a tsquery that matches exactly this lexeme."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


async def term_queries(
    connection: Connection,
    terms: Sequence[tuple[str, bool]],
    languages: Sequence[str],
    visible: VisibleChannels | None = None,
) -> list[str | None]:
    """The tsquery of each term, which is (text, is_prefix); None if it has no words. Takes any text without NUL.

    A name of a channel that the reader may not see finds no mentions of it.
    """
    values = {
        "terms": [text for text, _ in terms],
        "prefixes": [is_prefix for _, is_prefix in terms],
        "languages": list(languages),
        "visible": visible_parameter(visible),
    }
    cursor = await connection.execute(_TERMS, values)
    return [query for (query,) in await cursor.fetchall()]


async def newest(
    connection: Connection, match: Match, *, after: Position | None, limit: int
) -> list[Found]:
    """The newest messages that match, after a position."""
    values = match.values(limit=limit, **_after(after))
    wanted = any(not is_negated for _, is_negated in match.reactions)
    windows = [_SAMPLE, _WALK] if match.is_selective or wanted else [_SAMPLE, _ALL]
    for window in windows:
        found = await _fetch(connection, _WALKED, values | {"window": window})
        if len(found) >= limit or window == _ALL:
            return found
        if not await fetch_value(connection, _IS_MORE, values | {"window": window}):
            return found
        if (match.is_selective or wanted) and len(found) * _WALK < limit * _SAMPLE:
            break  # the next window would not have enough either
    if match.is_selective:
        return await _fetch(connection, _INDEXED, values)
    return await _fetch(connection, _BY_REACTION, values) if wanted else found


async def most_relevant(
    connection: Connection, match: Match, *, after: Position | None, limit: int
) -> list[Found]:
    """The messages that match, the most relevant first, after a position; newer ones first if equally relevant.

    A message is more relevant if it has the words close together, in a short text, and the rarer alternative words.
    `match.ranking` must not be None.
    """
    weights = await _weights(connection, match.terms)
    values = match.values(limit=limit, terms=list(match.terms), weights=weights)
    sample = values | {"window": _SAMPLE, "limit": _SAMPLE}
    hits = len(await _fetch(connection, _WALKED, sample))
    total = int(await fetch_value(connection, _TOTAL) or 0)
    values |= _after(after) | {"window": _RANKED_WALK}
    # To weigh alternatives takes three times as long.
    many = hits * total > _SAMPLE * (_RANKED // 3 if match.terms else _RANKED)
    return await _fetch(connection, _RANKED_NEWEST if many else _RANKED_INDEXED, values)


async def lexemes_of(
    connection: Connection, words: Sequence[str], languages: Sequence[str]
) -> dict[str, list[str]]:
    """The lexemes of each word, as in documents."""
    cursor = await connection.execute(_WORDS, {"words": list(words), "languages": list(languages)})
    return dict(await cursor.fetchall())


async def _weights(connection: Connection, terms: Sequence[str]) -> list[float]:
    """How rare each term is: the logarithm of how many messages there are for one that has it."""
    if not terms:
        return []
    lexemes = {term: _LEXEME.findall(term) for term in terms}
    names = [each for found in lexemes.values() for each in found]
    cursor = await connection.execute(_FREQUENCIES, (names,))
    frequencies: Mapping[str, float] = dict(await cursor.fetchall())
    return [
        -log(min(max([frequencies.get(each, _RARE) for each in lexemes[term]] or [_RARE]), 0.9))
        for term in terms
    ]


def _after(position: Position | None) -> dict[str, Any]:
    if position is None:
        return {}
    time = time_text(position.ts)
    return {"ts": time, "channel": position.channel_id, "score": position.score}


async def _fetch(
    connection: Connection, query: LiteralString, values: Mapping[str, Any]
) -> list[Found]:
    # Not prepared: the best plan depends on the values.
    cursor = await connection.execute(query, values, prepare=False)
    return [Found(*row) for row in await cursor.fetchall()]
