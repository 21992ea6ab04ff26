"""Finds messages by their search documents, newest first or most relevant first.

A look at the newest messages shows how frequent the matches are. It decides between reading messages in order and
reading the index, so that the server's statistics, which miss rare and combined words, do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_value
from tiger_slack_tui.store.readable_messages import time_text
from tiger_slack_tui.store.search_index import NO_PROGRESS, IndexProgress
from tiger_slack_tui.store.visible_channels import VisibleChannels, visible_parameter

_SAMPLE: Final = 2000
"""The newest messages that are looked at first."""
_WALK: Final = 40_000
"""Messages that are read in order, if the sample says that they hold enough matches."""
_ALL: Final = 1 << 40
"""More messages than there are."""
_RANKED: Final = 30_000
"""The newest matches that are ranked, at most; of alternatives, which take three times as long, a third."""
_WALK_PER_RANKED: Final = 10
"""Messages that are read in order for each match that is ranked, if the sample says that they hold enough matches."""

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
_MATCHING: LiteralString = f"""
from slack.message_search s
where (%(since)s::timestamptz = '-infinity' or s.ts >= %(since)s::timestamptz)
and (%(until)s::timestamptz = 'infinity' or s.ts < %(until)s::timestamptz)
and
( %(oldest_ts)s::timestamptz = '-infinity'
  or (s.ts, s.channel_id) >= (%(oldest_ts)s::timestamptz, %(oldest_channel)s)
)
and {_MATCHES}
"""
# Materialised, so that the planner does not expect to find enough soon. The server still stops at the limit.
_COUNT: LiteralString = f"""
with found as materialized (select {_MATCHING})
select count(*) from (select from found limit %(most)s + 1) s
"""  # noqa: S608 our own text
_COUNT_NEWEST: LiteralString = f"select count(*) from {_NEWEST} where {_MATCHES}"  # noqa: S608 our own texts
# The oldest of the newest matches.
_OLDEST_WALKED: LiteralString = f"""
select s.ts, s.channel_id
from {_NEWEST}
where {_MATCHES}
order by s.ts desc, s.channel_id desc
offset %(most)s - 1
limit 1
"""  # noqa: S608 our own texts
_OLDEST_INDEXED: LiteralString = f"""
with found as materialized (select s.ts, s.channel_id {_MATCHING})
select f.ts, f.channel_id
from found f
order by f.ts desc, f.channel_id desc
offset %(most)s - 1
limit 1
"""  # noqa: S608 our own text
_CLOSENESS: LiteralString = "ts_rank_cd(s.document, %(ranking)s::tsquery, 1)::float8"
_RANK: LiteralString = """
select f.channel_id, slack.to_ts(f.ts), f.score
from found f
where (f.score, f.ts, f.channel_id) < (%(score)s::float8, %(ts)s::timestamptz, %(channel)s)
or %(score)s::float8 is null
order by f.score desc, f.ts desc, f.channel_id desc
limit %(limit)s
"""
_TOGETHER: tuple[LiteralString, LiteralString] = (
    f"with found as materialized (select s.ts, s.channel_id, {_CLOSENESS} as score",
    f") {_RANK}",
)
# A term is worth more the fewer of the matches have it. The worth is rounded, so that a few new messages rarely
# change the order between two pages.
_ALTERNATIVES: tuple[LiteralString, LiteralString] = (
    f"""
with matching as materialized
( select s.ts, s.channel_id, {_CLOSENESS} as closeness
  , array
    ( select s.document @@ t.term::tsquery
      from unnest(%(terms)s::text[]) with ordinality t (term, n)
      order by t.n
    ) as has
""",  # noqa: S608 our own text
    f"""
)
, worth as materialized
( select t.n, round(-2 * ln(greatest(count(*) filter (where m.has[t.n]), 1)::float8 / count(*))) / 2 as worth
  from matching m
  cross join generate_subscripts(%(terms)s::text[], 1) t (n)
  group by t.n
)
, found as materialized
( select m.ts, m.channel_id
  , m.closeness + (select coalesce(sum(w.worth), 0) from worth w where m.has[w.n]) as score
  from matching m
)
{_RANK}
""",  # noqa: S608 our own text
)
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
            "oldest_ts": "-infinity",
            "oldest_channel": "",
            "score": None,
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
    connection: Connection, match: Match, *, after: Position | None, limit: int
) -> list[Found]:
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
    found: list[Found] = []
    for window in [_SAMPLE, _ALL] if few is None else [_SAMPLE, _WALK]:
        found = await _fetch(connection, _WALKED, values | {"window": window})
        if len(found) >= limit:
            return found
        if few is not None and len(found) * _WALK < limit * _SAMPLE:
            break  # the next window would not have enough either
    return found if few is None else await _fetch(connection, few, values)


async def most_relevant(
    connection: Connection, match: Match, *, after: Position | None, limit: int
) -> tuple[list[Found], int | None]:
    """The messages that match, the most relevant first, after a position; newer ones first if equally relevant.

    A message is more relevant if it has the words close together, in a short text, and the rarer alternative words.
    If very many messages match, only the newest of them are ranked: the second value is how many; None if all are.
    `match.ranking` must not be None.
    """
    most = _RANKED // 3 if match.terms else _RANKED
    values = match.values(limit=limit, most=most)
    are_many = await fetch_value(connection, _COUNT, values, prepare=False) > most
    if are_many:
        values |= await _oldest_ranked(connection, values)
    begin, end = _ALTERNATIVES if match.terms else _TOGETHER
    found = await _fetch(connection, begin + _MATCHING + end, values | _after(after))
    return found, most if are_many else None


async def _oldest_ranked(connection: Connection, values: dict[str, Any]) -> dict[str, Any]:
    """The parameters that limit the matches to the newest `most`. More must match."""
    walk = values["most"] * _WALK_PER_RANKED
    sample = values | {"window": _SAMPLE}
    in_sample = await fetch_value(connection, _COUNT_NEWEST, sample, prepare=False)
    row = None
    if in_sample * walk >= values["most"] * _SAMPLE:
        row = await _fetch_row(connection, _OLDEST_WALKED, values | {"window": walk})
    row = row or await _fetch_row(connection, _OLDEST_INDEXED, values)
    return dict(zip(("oldest_ts", "oldest_channel"), row, strict=True)) if row else {}


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


async def _fetch_row(
    connection: Connection, query: LiteralString, values: Mapping[str, Any]
) -> tuple[Any, ...] | None:
    return await (await connection.execute(query, values, prepare=False)).fetchone()
