"""Measures the search. Compare ratios of one run: absolute figures depend on the machine.

    python benchmarks/search.py queries [MESSAGES]   time of queries, size of the index, known items (1,000,000)
    python benchmarks/search.py activity [MESSAGES]  time to count what is written, by day and channel (1,000,000)
    python benchmarks/search.py ingest               throughput of ingestion with search documents, and without
    python benchmarks/search.py imports [MESSAGES]   rate of imports with search documents, and without (40,000)

`queries` and `activity` read the messages of corpus.py. The database is the embedded PostgreSQL, with fsync on.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import statistics
import sys
from collections.abc import Awaitable, Callable
from typing import Any, LiteralString

import psycopg
from corpus import CHANNELS, Stopwatch, Text, Took, corpus, shown, time_of
from imports import data, database, drop, run
from ingest import place, sent

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.search.search import search

_ROUNDS = 5
_SEARCHES = 21


async def _timed(connection: Connection, query: str, **options: Any) -> Took:
    watch = Stopwatch([connection.info.backend_pid])
    await search(connection, query, **options)
    return watch.lap()


async def _median(connection: Connection, make: Callable[[], str], **options: Any) -> str:
    return shown([await _timed(connection, make(), **options) for _ in range(_SEARCHES)])


def mixed(text: Text) -> tuple[str, bool]:
    """A query as people write them, and whether the newest come first."""
    share = text.chance.choice((0.1, 0.02, 0.005, 0.001, 0.0001))
    query = text.word_of_share(share)
    more = text.chance.choice(("", "", "word", "or", "prefix", "from", "in", "during"))
    other = text.word_of_share(text.chance.choice((0.02, 0.005, 0.001)))
    query += {
        "word": f" {other}",
        "or": f" or {other}",
        "prefix": f" {other[:4]}*",
        "from": f" from:person{text.person()}",
        "in": f" in:channel-{text.chance.randrange(CHANNELS)}",
        "during": " during:2022-03",
    }.get(more, "")
    return query, text.chance.random() < 0.5


async def _ask(conninfo: str, text: Text, messages: int) -> None:
    async with await connect(conninfo) as connection:
        rare, common = text.words[-200:], text.word_of_share(0.02)
        await _timed(connection, common)
        cursor = await connection.execute(
            "select count(*) from slack.message_search"
            " where document @@ (select slack.search_term(%s, false, '{english}'))",
            (common,),
        )
        row = await cursor.fetchone()
        share = row[0] / messages if row else 0
        print(
            f"rare word: {await _median(connection, lambda: text.chance.choice(rare))} (target: 10)"
        )
        newest = await _median(connection, lambda: common, newest=True)
        print(f"word of {share:.1%}, newest first: {newest} (target: 50)")
        relevant = await _median(connection, lambda: common)
        print(f"word of {share:.1%}, by relevance: {relevant} (target: 150)")
        words = " ".join(text.word_of_share(each) for each in (0.02, 0.05, 0.1))
        filtered = f"{words} from:person3 in:channel-25"
        print(f"three words, from:, in: {await _median(connection, lambda: filtered)} (target: 50)")
        times: list[tuple[Took, str, bool]] = []
        for _ in range(300):
            query, is_newest = mixed(text)
            times.append((await _timed(connection, query, newest=is_newest), query, is_newest))
        took = [each for each, _, _ in times]
        print(f"mixed: median {shown(took)}; p99 {shown(took, 0.99)} (target at 10,000,000: 300)")
        for slow, query, is_newest in sorted(times)[-5:]:
            print(
                f"  {slow.wall:.0f} ms, {slow.cpu:.0f} ms {query!r}{' newest' if is_newest else ''}"
            )
        await _known_items(connection, text, messages)


async def _known_items(connection: Connection, text: Text, messages: int) -> None:
    """Messages of at least four words are found by three of them; the rarest word is not used."""
    chance = random.Random(7)
    wanted = found = 0
    while wanted < 500:
        at = time_of(chance.randrange(messages), messages)
        cursor = await connection.execute(
            "select m.text, slack.to_ts(m.ts) from slack.message m where m.ts >= %s order by m.ts limit 1",
            (at,),
        )
        row = await cursor.fetchone()
        words = sorted(set(row[0].split()), key=text.rank.__getitem__, reverse=True) if row else []
        if row is None or len(words) < 4:
            continue
        wanted += 1
        page = await search(connection, " ".join(words[1:4]), limit=10)
        found += row[1] in {result.message.ts for result in page.results}
    print(f"known items within the first ten: {found / wanted:.1%} (target: 95 %)")


def queries(messages: int = 1_000_000) -> None:
    with corpus(messages) as conninfo:
        with psycopg.connect(conninfo) as connection:
            sizes = connection.execute(
                "select pg_relation_size('slack.message_search_document_idx')"
                ", pg_total_relation_size('slack.message_search')"
            ).fetchone()
            assert sizes is not None
        index, whole = (size / messages / 1000 for size in sizes)
        print(
            f"index {index:.2f} kB a message (target: 0.5), table with all indexes {whole:.2f} kB"
        )
        asyncio.run(_ask(conninfo, Text(), messages))


_ACTIVITY: dict[str, LiteralString] = {
    "a week": "slack.get_activity('2024-06-01Z', '2024-06-08Z')",
    "a week, from the view": "slack.activity_daily where day between '2024-06-01' and '2024-06-07'",
    "a quarter": "slack.get_activity('2024-04-01Z', '2024-07-01Z')",
    "a quarter, with the sums that `stats` shows": "slack.get_activity('2024-04-01Z', '2024-07-01Z', sums => true)",
    "a year of a channel": "slack.get_activity('2023-01-01Z', '2024-01-01Z', '{C00000025}')",
    "five years": "slack.get_activity('2020-01-01Z', '2025-01-01Z')",
}


async def _count(conninfo: str) -> None:
    async with await connect(conninfo) as connection:
        watch = Stopwatch([connection.info.backend_pid])
        for name, source in _ACTIVITY.items():
            took = []
            for _ in range(_ROUNDS):
                watch.lap()
                await connection.execute(b"select * from " + source.encode())
                took.append(watch.lap())
            print(f"activity of {name}: {shown(took)}", flush=True)


def activity(messages: int = 1_000_000) -> None:
    with corpus(messages) as conninfo:
        asyncio.run(_count(conninfo))


def ingest() -> None:
    ratios = []
    for _ in range(_ROUNDS):
        rates = {}
        for how in ("without", "with"):
            with place() as (home, conninfo):
                asyncio.run(migrate(conninfo))
                if how == "without":
                    _stop_documents(conninfo)
                rates[how] = asyncio.run(sent(home, conninfo, 40_000, 0))["per_second"]
        ratios.append(rates["with"] / rates["without"])
        print(
            f"  {rates['with']:,.0f} events/s with, {rates['without']:,.0f} without: {ratios[-1]:.0%}",
            flush=True,
        )
    print(
        f"ingestion with search documents: {statistics.median(ratios):.0%} of the speed without (target: 85 %)"
    )


_NO_DOCUMENTS = """
create or replace function slack.index_messages(channel_id text, times timestamptz[])
returns int8 language sql as 'select 0::int8'
"""
# Splits the texts into words, and does nothing else: the least that documents can cost.
_ONLY_WORDS = """
create or replace function slack.index_messages(channel_id text, times timestamptz[])
returns int8 language sql
set plan_cache_mode = force_custom_plan
as $$
  select count(to_tsvector('slack.search_english', m.text))
  from slack.message m
  where m.channel_id = index_messages.channel_id
  and m.ts = any (times)
$$
"""


def imports(messages: int = 40_000) -> None:
    ratios, floors = [], []
    with data(messages) as root, place() as (_, conninfo):
        for number in range(3):
            rates = {}
            for how in ("without", "words", "with"):
                target = database(conninfo, f"{how}{number}")
                if how != "with":
                    with psycopg.connect(target) as connection:
                        connection.execute(_NO_DOCUMENTS if how == "without" else _ONLY_WORDS)
                rates[how] = run(target, root).rate
                drop(target)
            ratios.append(rates["with"] / rates["without"])
            floors.append(rates["words"] / rates["without"])
            print(
                f"  {rates['with']:,.0f} messages/s with, {rates['without']:,.0f} without: {ratios[-1]:.0%};"
                f" {rates['words']:,.0f} where PostgreSQL only splits the texts into words: {floors[-1]:.0%}",
                flush=True,
            )
    print(f"imports with search documents: {statistics.median(ratios):.0%} of the rate without;")
    print(f"  where PostgreSQL only splits the texts into words: {statistics.median(floors):.0%}")


def _stop_documents(conninfo: str) -> None:
    """Let ingestion store messages without documents."""
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(
            "select pg_get_functiondef('slack.store_messages(slack.routed_event[])'::regprocedure)"
        ).fetchone()
        assert row is not None
        plain = re.sub(r"with stored as\s*\(", "", row[0])
        plain = re.sub(r"returning m\.ts.*?excluded\.thread_ts;", ";", plain, flags=re.DOTALL)
        assert "message_search" not in plain
        connection.execute(plain.encode())


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    figures: dict[str, Callable[..., Awaitable[None] | None]] = {
        "queries": queries,
        "activity": activity,
        "ingest": ingest,
        "imports": imports,
    }
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in figures:
        sys.exit(__doc__)
    figures[sys.argv[1]](*map(int, sys.argv[2:]))
