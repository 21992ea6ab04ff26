"""Finds messages by their search documents, newest first or most relevant first.

A look at the newest messages shows how frequent the matches are. It decides between reading messages in order and
reading the index, so that the server's statistics, which miss rare and combined words, do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from tiger_slack_tui.base.ids import ChannelId, SlackTs
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.readable_messages import time_text
from tiger_slack_tui.store.search_index import NO_PROGRESS, IndexProgress
from tiger_slack_tui.store.visible_channels import VisibleChannels, visible_parameter

_SAMPLE: Final = 2000
"""The newest messages that are looked at first."""
_WALK: Final = 40_000
"""Messages that are read in order, if the sample says that they hold enough matches."""
_ALL: Final = 1 << 40
"""More messages than there are."""
_RANKED: Final = 5000
"""The newest matches that are ranked, at most."""
_ROW_BYTES: Final = 300
"""About so many bytes of the table has a message."""
_FETCH: Final = 10
"""How many times as long it takes to fetch a message that the index found, as to read one in order."""
_FEW: Final = 8
"""So few matches in the sample do not show how frequent they are."""

_TERMS: LiteralString = """
select p.language, p.previous_languages, p.done, p.total, p.finished_at
, array
  ( select slack.search_term
    (t.term, t.is_prefix, p.language || p.previous_languages, %(visible)s::text[])::text
    from unnest(%(terms)s::text[], %(prefixes)s::bool[]) with ordinality t (term, is_prefix, n)
    order by t.n
  )
from slack.search_progress p
"""
# Slack gives its thread to a reply. The first message has one only in exports, and where it was edited.
_IS_IN_THREAD: LiteralString = """
( s.document @@ '''has:thread'''::tsquery
  or exists
  ( select from slack.message_search r
    where r.channel_id = s.channel_id
    and r.thread_ts = s.ts
  )
)
"""
_MATCHES: LiteralString = f"""
slack.is_visible(s.channel_id, %(visible)s::text[])
and (%(query)s::tsquery is null or s.document @@ %(query)s::tsquery)
and (%(threads)s::bool[] = '{{}}' or %(threads)s::bool[] = array[{_IS_IN_THREAD}])
and
( %(reactions)s::text[] = '{{}}'
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
"""  # noqa: S608 our own text


def _in_page(table: LiteralString, ts: LiteralString = "ts") -> LiteralString:
    """The conditions that a message is in the period and after the position.

    A condition that excludes nothing vanishes from the plan. Without statistics, for example after an import, the
    planner would expect it to exclude most messages, and would not use the index of words.
    """
    return f"""
(%(since)s::timestamptz = '-infinity' or {table}.{ts} >= %(since)s::timestamptz)
and (%(until)s::timestamptz = 'infinity' or {table}.{ts} < %(until)s::timestamptz)
and
( %(ts)s::timestamptz = 'infinity'
  or ({table}.{ts}, {table}.channel_id) < (%(ts)s::timestamptz, %(channel)s)
)
"""


_NEWEST: LiteralString = f"""
( select w.ts, w.channel_id, w.document
  from slack.message_search w
  where {_in_page("w")}
  order by w.ts desc, w.channel_id desc
  limit %(window)s
) s
"""  # noqa: S608 our own text
_WALKED: LiteralString = f"""
select s.channel_id, slack.to_ts(s.ts), 0::float8
from {_NEWEST}
where {_MATCHES}
order by s.ts desc, s.channel_id desc
limit %(limit)s
"""  # noqa: S608 our own texts
# Materialised, so that the server does not read all messages in order to find a few.
_INDEXED: LiteralString = f"""
with found as materialized
( select s.ts, s.channel_id
  from slack.message_search s
  where {_in_page("s")}
  and {_MATCHES}
)
select f.channel_id, slack.to_ts(f.ts), 0::float8
from found f
order by f.ts desc, f.channel_id desc
limit %(limit)s
"""  # noqa: S608 our own texts
_OF_CANDIDATES: LiteralString = f"""
select s.channel_id, slack.to_ts(s.ts), 0::float8
from found f
join slack.message_search s on s.ts = f.ts and s.channel_id = f.channel_id
where {_MATCHES}
and {_in_page("s")}
order by s.ts desc, s.channel_id desc
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
  and {_in_page("r")}
  and slack.is_visible(r.channel_id, %(visible)s::text[])
)
{_OF_CANDIDATES}
"""  # noqa: S608 our own texts
_BY_THREAD: LiteralString = f"""
with found as materialized
( select t.ts, t.channel_id
  from slack.message_search t
  where t.document @@ '''has:thread'''::tsquery
  and {_in_page("t")}
  and slack.is_visible(t.channel_id, %(visible)s::text[])
  union
  select r.thread_ts, r.channel_id
  from slack.message_search r
  where r.thread_ts is not null
  and {_in_page("r", "thread_ts")}
  and slack.is_visible(r.channel_id, %(visible)s::text[])
)
{_OF_CANDIDATES}
"""  # noqa: S608 our own texts
_COUNT_NEWEST: LiteralString = f"""
select count(*) as n
from {_NEWEST}
where {_MATCHES}
"""  # noqa: S608 our own texts
# The newest matches with their documents, and one more, which shows that there are more.
_MATCHES_WALKED: LiteralString = f"""
select s.ts, s.channel_id, s.document
from {_NEWEST}
where {_MATCHES}
order by s.ts desc, s.channel_id desc
limit %(most)s + 1
"""  # noqa: S608 our own texts
# `offset 0`, so that the server does not read all messages in order to find a few. Documents are too large to sort.
# Nothing is read if the sample has many matches.
_MATCHES_INDEXED: LiteralString = f"""
select f.ts, f.channel_id, d.document
from
( select m.ts, m.channel_id, m.place
  from
  ( select s.ts, s.channel_id, s.ctid as place
    from slack.message_search s
    where (%(since)s::timestamptz = '-infinity' or s.ts >= %(since)s::timestamptz)
    and (%(until)s::timestamptz = 'infinity' or s.ts < %(until)s::timestamptz)
    and {_MATCHES}
    and (select r.n from sample r) < %(few)s
    offset 0
  ) m
  order by m.ts desc, m.channel_id desc
  limit %(most)s + 1
) f
join slack.message_search d on d.ctid = f.place
"""  # noqa: S608 our own text
# A term is worth more the fewer of the matches have it. The worth is rounded, so that a few new messages rarely
# change the order between two pages.
_WORTH: LiteralString = """
select t.n, round(-2 * ln(greatest(count(*) filter (where m.has[t.n]), 1)::float8 / count(*))) / 2 as worth
from matching m
cross join unnest(%(terms)s::text[]) with ordinality t (term, n)
group by t.n
"""


def _ranked(matches: LiteralString, sample: LiteralString = "select 0 as n") -> LiteralString:
    """The best of the newest matches after a position.

    Beside each are the number of matches, of `most` + 1, that in the sample, and the size of the table.
    """
    return f"""
with sample as materialized ({sample})
, newest as materialized
( select s.ts, s.channel_id, ts_rank_cd(s.document, %(ranking)s::tsquery, 1)::float8 as closeness
  , case
      when %(terms)s::text[] <> '{{}}' then array
      ( select s.document @@ t.term::tsquery
        from unnest(%(terms)s::text[]) with ordinality t (term, n)
        order by t.n
      )
    end as has
  from ({matches}) s
)
, matching as materialized (select n.* from newest n order by n.ts desc, n.channel_id desc limit %(most)s)
, worth as materialized ({_WORTH})
, found as materialized
( select m.ts, m.channel_id
  , m.closeness + (select coalesce(sum(w.worth), 0) from worth w where m.has[w.n]) as score
  from matching m
)
select f.channel_id, slack.to_ts(f.ts), f.score, c.n, s.n, pg_relation_size('slack.message_search')
from (select count(*) as n from newest) c
cross join sample s
left join
( select f.*
  from found f
  where %(score)s::float8 is null
  or (f.score, f.ts, f.channel_id) < (%(score)s::float8, %(after_ts)s::timestamptz, %(after_channel)s)
  order by f.score desc, f.ts desc, f.channel_id desc
  limit %(limit)s
) f on true
order by f.score desc, f.ts desc, f.channel_id desc
"""  # noqa: S608 our own texts


_RANKED_WALKED = _ranked(_MATCHES_WALKED)
_RANKED_INDEXED = _ranked(_MATCHES_INDEXED)
_RANKED_IF_FEW = _ranked(_MATCHES_INDEXED, _COUNT_NEWEST)
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

_EMOJI_NAMES: LiteralString = """
select e, (slack.emoji_names(e))[1]
from unnest(%(emoji)s::text[]) e
where slack.emoji_names(e) is not null
"""


@dataclass(frozen=True, slots=True)
class SearchPosition:
    """The place of a message in a list of results, after which the next page begins."""

    ts: SlackTs
    channel_id: ChannelId
    score: float | None = None
    """None in a list of the newest messages."""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A message that was found. `ts` is Slack's text."""

    channel_id: ChannelId
    ts: SlackTs
    score: float

    def position(self, *, is_ranked: bool) -> SearchPosition:
        return SearchPosition(self.ts, self.channel_id, self.score if is_ranked else None)


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
    threads: tuple[bool, ...] = ()
    """Whether the message is in a thread, or is the first of one."""
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
            "threads": list(self.threads),
            "since": self.since,
            "until": self.until,
            "visible": visible_parameter(self.visible),
            "terms": list(self.terms),
            "ts": "infinity",
            "channel": "",
        } | more


def lexeme(text: str) -> str:
    """The text as a tsquery that matches exactly this lexeme."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


async def term_queries(
    connection: Connection,
    terms: Sequence[tuple[str, bool]],
    visible: VisibleChannels | None = None,
) -> tuple[IndexProgress, list[str | None]]:
    """How much of the history can be searched, and the tsquery of each term, which is (text, is_prefix).

    A query is None if the term has no words. Takes any text without NUL. A name of a channel that the reader may not
    see finds no mentions of it.
    """
    values = {
        "terms": [text for text, _ in terms],
        "prefixes": [is_prefix for _, is_prefix in terms],
        "visible": visible_parameter(visible),
    }
    cursor = await connection.execute(_TERMS, values)
    *progress, queries = await cursor.fetchone() or [*NO_PROGRESS, [None] * len(terms)]
    return IndexProgress(*progress), queries


async def newest(
    connection: Connection, match: Match, *, after: SearchPosition | None, limit: int
) -> list[SearchHit]:
    """The newest messages that match, after a position."""
    values = match.values(limit=limit, **_after(after))
    # How to find them if they are few.
    few: LiteralString | None = None
    if match.is_selective:
        few = _INDEXED
    elif any(not is_negated for _, is_negated in match.reactions):
        few = _BY_REACTION
    elif True in match.threads:
        few = _BY_THREAD
    found: list[SearchHit] = []
    for window in [_SAMPLE, _ALL] if few is None else [_SAMPLE, _WALK]:
        found = await _fetch(connection, _WALKED, values | {"window": window})
        if len(found) >= limit:
            return found
        if few is not None and len(found) * _WALK < limit * _SAMPLE:
            break  # the next window would not have enough either
    return found if few is None else await _fetch(connection, few, values)


async def most_relevant(
    connection: Connection, match: Match, *, after: SearchPosition | None, limit: int
) -> tuple[list[SearchHit], int | None]:
    """The messages that match, the most relevant first, after a position; newer ones first if equally relevant.

    A message is more relevant if it has the words close together, in a short text, and the rarer alternative words.
    If very many messages match, only the newest of them are ranked: the second value is how many; None if all are.
    `match.ranking` must not be None.
    """
    values = match.values(
        limit=limit,
        most=_RANKED,
        window=_SAMPLE,
        few=_FEW,
        score=after and after.score,
        after_ts=after and time_text(after.ts),
        after_channel=after and after.channel_id,
    )
    rows = await _fetch_rows(connection, _RANKED_IF_FEW, values)
    in_sample, size = rows[0][4:]
    if in_sample >= _FEW:
        walk = _walk(in_sample, size)
        if walk is not None:
            rows = await _fetch_rows(connection, _RANKED_WALKED, values | {"window": walk})
        if walk is None or rows[0][3] <= _RANKED:  # they can be all of the messages that were read
            rows = await _fetch_rows(connection, _RANKED_INDEXED, values)
    found = [SearchHit(*row[:3]) for row in rows if row[0] is not None]
    return found, _RANKED if rows[0][3] > _RANKED else None


def _walk(in_sample: int, size: int) -> int | None:
    """How many of the newest messages to read in order to find enough matches; None if the index is faster.

    `size` is that of the table in bytes.
    """
    walk = _RANKED * _SAMPLE // in_sample * 5 // 4
    matches = size // _ROW_BYTES * in_sample // _SAMPLE
    return walk if walk < matches * _FETCH else None


async def emoji_names(connection: Connection, emoji: Sequence[str]) -> dict[str, str]:
    """Slack's names of the emoji characters, without colons, as far as they are known."""
    if not emoji:
        return {}
    return dict(await (await connection.execute(_EMOJI_NAMES, {"emoji": emoji})).fetchall())


async def lexemes_of(
    connection: Connection, words: Sequence[str], languages: Sequence[str]
) -> list[tuple[str, list[str]]]:
    """Each word, and its lexemes, as in documents."""
    cursor = await connection.execute(_WORDS, {"words": list(words), "languages": list(languages)})
    return await cursor.fetchall()


def _after(position: SearchPosition | None) -> dict[str, Any]:
    if position is None:
        return {}
    return {"ts": time_text(position.ts), "channel": position.channel_id}


async def _fetch(
    connection: Connection, query: LiteralString, values: Mapping[str, Any]
) -> list[SearchHit]:
    return [SearchHit(*row) for row in await _fetch_rows(connection, query, values)]


async def _fetch_rows(
    connection: Connection, query: LiteralString, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    # Not prepared: the best plan depends on the values.
    return await (await connection.execute(query, values, prepare=False)).fetchall()
