"""The same SQL on a real TimescaleDB: hypertables, policies, writes into compressed chunks."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import DAY, export, message, run_import, write_folder
from tests.auditing import asking, at, store, ts
from tests.auditing import message as received
from tests.catalogue import read_catalogue
from tests.integration.test_upgrade import load, read_rows
from tests.support import SCALE, check, delivered, make_engine, running
from tiger_slack_tui import __version__
from tiger_slack_tui.audit.preview import previews
from tiger_slack_tui.audit.replay import replay
from tiger_slack_tui.audit.rules import add_rule, remove_rule
from tiger_slack_tui.audit.why import Verdict, fetch_message_trail
from tiger_slack_tui.checks.server import check_columnstore
from tiger_slack_tui.demo.slack import Faults, LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.imports.progress_events import ImportNote
from tiger_slack_tui.jobs.retention import make_retention_job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.columnstore import ChunkCounts, chunk_counts
from tiger_slack_tui.postgres.introspection import chunk_locks
from tiger_slack_tui.postgres.migrate.run import migrate, migration_status
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.search.search import search
from tiger_slack_tui.store.activity import daily_activity
from tiger_slack_tui.store.audit_events import EventFilter, fetch_page
from tiger_slack_tui.store.conversations import (
    fetch_first_replies,
    fetch_top_level,
)
from tiger_slack_tui.store.readable_messages import fetch_thread
from tiger_slack_tui.store.replay import ReplaySelection
from tiger_slack_tui.store.rules import list_rules
from tiger_slack_tui.store.visible_channels import VisibleChannels, channel_types

pytestmark = [pytest.mark.slow, pytest.mark.timescale, pytest.mark.timeout(300)]

BESIDE = Path(__file__).parents[3] / "shared" / "timescaledb" / "serve"


@contextmanager
def beside(*arguments: str) -> Iterator[str]:
    """Run the server that is installed beside the repository, as long as the block."""
    if not BESIDE.exists():
        pytest.skip("no TimescaleDB: set TIGER_SLACK_TEST_DSN")
    with subprocess.Popen(
        ["bash", BESIDE, "0", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        hello = process.stdout.readline()
        if not hello:
            pytest.skip(
                "the TimescaleDB beside the repository did not start (it needs node and npm)"
            )
        yield f"host=127.0.0.1 port={json.loads(hello)['port']} user=postgres dbname=postgres"
        process.stdin.close()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The server of TIGER_SLACK_TEST_DSN, or the one beside the repository."""
    if given := os.environ.get("TIGER_SLACK_TEST_DSN"):
        yield given
        return
    with beside() as conninfo:
        yield conninfo


@pytest.fixture
def conninfo(server: str) -> str:
    """A database with our schema and empty tables. The schema is created once, because that takes long here."""
    with psycopg.connect(server, autocommit=True) as connection:
        if _schema_is_current(connection):
            tables = connection.execute(
                "select string_agg(format('slack.%I', tablename), ', ') from pg_tables"
                " where schemaname = 'slack' and tablename not in ('migration', 'version', 'search_progress')"
            ).fetchone()
            assert tables is not None
            connection.execute(f"truncate {tables[0]} restart identity".encode())
            return server
        connection.execute("create extension if not exists timescaledb")
        connection.execute("drop schema if exists slack cascade")
    asyncio.run(migrated(server))
    return server


def _schema_is_current(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("select to_regclass('slack.version')").fetchone()
    if row is None or row[0] is None:
        return False
    return connection.execute("select version from slack.version").fetchone() == (__version__,)


async def migrated(conninfo: str, version: str = __version__) -> list[str]:
    return await migrate(conninfo, version=version)


def rows(conninfo: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(conninfo) as connection:
        return connection.execute(query.encode()).fetchall()


async def test_hypertables_and_policies(conninfo: str) -> None:
    found = rows(
        conninfo,
        "select d.hypertable_name, d.column_name, d.time_interval::text"
        " from timescaledb_information.dimensions d where d.hypertable_schema = 'slack' order by 1",
    )
    assert found == [("event", "event_ts", "7 days"), ("message", "ts", "7 days")]
    policies = rows(
        conninfo,
        "select hypertable_name, coalesce(config ->> 'compress_after', config ->> 'drop_after')"
        " from timescaledb_information.jobs where hypertable_schema = 'slack' order by 1, 2",
    )
    assert policies == [("event", "45 days"), ("event", "90 days"), ("message", "45 days")]
    assert (await migration_status(conninfo, version=__version__, files=())).timescaledb is not None


_POLICIES = """
select hypertable_name, proc_name, schedule_interval, config - 'hypertable_id'
from timescaledb_information.jobs
where hypertable_schema = 'slack'
union all
select hypertable::text, 'columnstore', null, jsonb_build_array(segmentby, orderby)
from timescaledb_information.hypertable_columnstore_settings
order by 1, 2
"""


@pytest.mark.parametrize("version", ["0.1.0", "0.4.0"])
async def test_an_upgraded_database_is_as_a_new_one(conninfo: str, version: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        new = read_catalogue(connection), connection.execute(_POLICIES).fetchall()
        connection.execute("drop schema slack cascade")
        load(connection, version)
        rows_before = read_rows(connection)
        await migrated(conninfo)
        assert (read_catalogue(connection), connection.execute(_POLICIES).fetchall()) == new
        rows_after = read_rows(connection)
    for table in ("message", "event"):
        old = rows_before[table]
        kept = [{name: row[name] for name in old[0]} for row in rows_after[table]]
        assert sorted(map(str, kept)) == sorted(map(str, old))


async def chunks_after_retention(conninfo: str, days: int) -> int:
    """Store events of two old weeks and of this one, run the job, and return the number of chunks that are left."""
    rows(
        conninfo,
        "insert into slack.event (event_ts, event, event_id, received_at, outcome)"
        " select now() - n * interval '200 days', '{}', 'Ev' || n, now() - n * interval '200 days', 'audit'"
        " from generate_series(0, 2) n returning 1",
    )
    run = await Runner(conninfo, instance="test", timeout=60).run(
        make_retention_job(days), reason="by hand"
    )
    assert (run.outcome, run.error) == ("done", None)
    return len(rows(conninfo, "select public.show_chunks('slack.event')"))


async def test_a_retention_policy_for_events_takes_precedence(conninfo: str) -> None:
    assert await chunks_after_retention(conninfo, 1) == 3


async def test_a_workspace_is_stored_completely(conninfo: str, tmp_path: Path) -> None:
    sent = list(
        Workspace(3, 1_700_000_000.0, 0.001, nasty=True).events(600)
    )  # a week, over two chunks
    async with (
        LocalSlack(faults=Faults(duplicates=0.2, shuffle=30)) as slack,
        running(make_engine(slack, conninfo, tmp_path)) as engine,
    ):
        await slack.send_all(sent)
        await delivered(slack, engine)
    await check(conninfo, sent)
    chunks = len(rows(conninfo, "select public.show_chunks('slack.message')"))
    assert chunks > 1
    async with asking(conninfo) as connection:
        locks = await chunk_locks(connection)
    assert locks is not None
    assert locks.chunks >= chunks
    assert locks.needed > locks.chunks  # every chunk has indexes


async def chunks_of(conninfo: str) -> list[ChunkCounts]:
    async with asking(conninfo) as connection:
        return await chunk_counts(connection)


async def test_edits_deletions_and_reactions_reach_compressed_chunks(
    conninfo: str, tmp_path: Path
) -> None:
    sent = list(Workspace(4, 1_700_000_000.0, 0.001).events(500))
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        await slack.send_all(sent[:300])
        await delivered(slack, engine)
    rows(conninfo, "select public.compress_chunk(c) from public.show_chunks('slack.message') c")
    rows(conninfo, "select public.compress_chunk(c) from public.show_chunks('slack.event') c")
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        await slack.send_all([*sent[300:], *sent[:100]])
        await delivered(slack, engine)
    await check(conninfo, sent)
    # The policy converts chunks again that were written to.
    [events, messages] = await chunks_of(conninfo)
    assert (messages.hypertable, messages.converted) == ("message", messages.chunks)
    assert 0 < messages.waiting <= messages.chunks
    query = "select job_id from timescaledb_information.jobs where hypertable_name = 'message'"
    [(job,)] = rows(conninfo, query)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("call public.run_job(%s)", (job,))
    [events, messages] = await chunks_of(conninfo)
    assert (messages.converted, messages.waiting) == (messages.chunks, 0)
    assert check_columnstore(messages).state == "ok"
    assert events.waiting > 0
    # Documents are made again from compressed chunks, and found.
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("select slack.set_search_language('german')")
        connection.execute("delete from slack.message_search")
        while connection.execute("select slack.index_history(90)").fetchone() != (0,):
            pass
    await check(conninfo, sent)
    async with asking(conninfo) as session:
        page = await search(session, "from:u* has:reaction", limit=5)
        assert len(page.results) == 5
        (word, *_) = page.results[0].message.text.split()
        assert (await search(session, f'"{word}"')).results


async def test_the_audit_trail_answers_and_replays_from_compressed_chunks(conninfo: str) -> None:
    days = range(0, 20 * 86_400, 4 * 3600)  # three chunks
    users = {n: f"U{i % 3}" for i, n in enumerate(days)}
    async with asking(conninfo) as connection:
        rule = (await add_rule(connection, '$.user == "U1"', None)).id
        events = {f"Ev{n}": received(n, user=user) for n, user in users.items()}
        await store(conninfo, events | {"EvX": received(7, user="U2", ts="x")})
        await connection.execute(
            "select public.compress_chunk(c) from public.show_chunks('slack.event') c"
        )
        kept_away = [n for n, user in users.items() if user == "U1"]
        for wanted, n in (
            (EventFilter(), 121),
            (EventFilter(rule=rule), len(kept_away)),
            (
                EventFilter(outcome="discarded", user_ids=("U1",), channel_ids=("C1",)),
                len(kept_away),
            ),
            (EventFilter(outcome="failed", types=("message",)), 1),
            (EventFilter(types=("reaction_added",)), 0),
        ):
            page = await fetch_page(connection, wanted, most=500)
            assert len(page.rows) == n
            assert list(page.rows) == sorted(page.rows, key=lambda r: r.event_ts, reverse=True)
        assert (await list_rules(connection))[0].hits == len(kept_away)
        found = await fetch_message_trail(connection, "C1", ts(kept_away[0]))
        assert found.verdict is Verdict.DISCARDED
        last = [p async for p in previews(connection, '$.user == "U1"', since=at(-1))][-1]
        assert (last.recent.matched, last.stored.tested) == (len(kept_away), 120 - len(kept_away))
        await remove_rule(connection, rule)
        report = [r async for r in replay(connection, ReplaySelection(rule=rule))][-1]
        assert report.changes == {("discarded", "stored"): len(kept_away)}
        found = await fetch_message_trail(connection, "C1", ts(kept_away[0]))
        assert (found.verdict, found.events[0].replays[0].outcome) == ("stored", "discarded")
    assert rows(conninfo, "select count(*) from slack.message") == [(120,)]
    assert rows(conninfo, "select count(*), count(distinct event_id) from slack.event") == [
        (121, 121)
    ]


@pytest.mark.skipif(SCALE < 2, reason="starts two more servers: with TIGER_SLACK_TEST_SCALE=2")
async def test_the_apache_edition_has_hypertables_only(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with beside(data) as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("alter system set timescaledb.license = 'apache'")
    with beside(data) as conninfo:
        await migrated(conninfo)
        tables = "select hypertable_name from timescaledb_information.hypertables order by 1"
        assert rows(conninfo, tables) == [("event",), ("message",)]
        policies = "select 1 from timescaledb_information.jobs where hypertable_schema = 'slack'"
        assert rows(conninfo, policies) == []
        sent = list(Workspace(5, 1_700_000_000.0, 0.01).events(200))
        async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
            await slack.send_all(sent)
            await delivered(slack, engine)
        await check(conninfo, sent)
        # These events are years old but were received just now. Retention counts from the receipt.
        chunks = len(rows(conninfo, "select public.show_chunks('slack.event')"))
        assert await chunks_after_retention(conninfo, 300) == chunks + 2
        left = rows(conninfo, "select count(*) from slack.event where event_id like 'Ev5%'")
        assert left == [(len({event["event_id"] for event in sent}),)]
        rows(conninfo, "update slack.event set received_at = event_ts returning 1")
        assert await chunks_after_retention(conninfo, 300) == 2


async def test_imports_into_chunks_and_into_compressed_ones(conninfo: str, tmp_path: Path) -> None:
    days = {
        f"2023-11-{14 + day}": [message(day * 86_400 + n, f"text {n}") for n in range(1300)]
        for day in range(10)
    }
    files = export({"general": days})
    path = write_folder(tmp_path / "one", files)
    imported = await run_import(
        conninfo, path
    )  # large enough that the import compresses old chunks
    assert imported.result.total.inserted == 13_000
    assert imported.events_of(ImportNote) == [
        ImportNote("All messages are stored. Compressing old chunks.")
    ]
    chunks = (
        "select count(*), count(*) filter (where is_compressed) from timescaledb_information.chunks"
        " where hypertable_schema = 'slack' and hypertable_name = 'message'"
    )
    (found,) = rows(conninfo, chunks)
    assert found[0] == found[1] >= 2
    # A later export has one more message, an edit, a deletion and a reaction. The rest is stored already.
    first = days["2023-11-14"]
    edited = first[0] | {"text": "edited", "edited": {"user": "U1", "ts": f"{DAY + 99_999}.000000"}}
    reacted = first[1] | {"reactions": [{"name": "+1", "users": ["U2"], "count": 1}]}
    later = [edited, reacted, message(2, subtype="tombstone"), *first[3:], message(1301, "new")]
    again = await run_import(
        conninfo, write_folder(tmp_path / "two", export({"general": {"2023-11-14": later}}))
    )
    total = again.result.total
    assert (total.inserted, total.updated, total.already_there) == (1, 2, 1297)
    assert rows(conninfo, "select count(*) from slack.message") == [(13_000,)]
    assert rows(
        conninfo, "select text, reactions is null from slack.message order by ts limit 3"
    ) == [
        ("edited", True),
        ("text 1", False),
        ("text 3", True),
    ]


async def test_migrations_run_again(conninfo: str) -> None:
    assert await migrated(conninfo) == []
    assert all(name.startswith("idempotent/") for name in await migrated(conninfo, "999.0.0"))


async def test_readers_of_conversations_read_compressed_chunks(conninfo: str) -> None:
    everything = VisibleChannels({"C1": "channel"})
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("insert into slack.channel (id, channel_name) values ('C1', 'ops')")
        connection.execute(
            "insert into slack.message (ts, channel_id, user_id, text, thread_ts, channel_type)"
            " select '2024-03-01'::timestamptz + n * interval '1 day', 'C1', 'U1', 'n' || n"
            ", case when n % 2 = 0 then '2024-03-01'::timestamptz end, 'channel' from generate_series(0, 9) n"
        )
        connection.execute(
            "select slack.index_messages('C1', array(select m.ts from slack.message m))"
        )
        connection.execute(
            "select public.compress_chunk(c) from public.show_chunks('slack.message') c"
        )
    day = datetime(2024, 3, 1, tzinfo=UTC)
    async with await connect(conninfo) as connection:
        assert [(c.id, c.type) for c in await channel_types(connection)] == [("C1", "channel")]
        page = await fetch_thread(connection, "C1", "1709251200.000000", 3)
        assert [message.text for message in page] == ["n0", "n2", "n4"]
        rest = await fetch_thread(connection, "C1", "1709251200.000000", 9, after=page[2].ts)
        assert [message.text for message in rest] == ["n6", "n8"]
        period: dict[str, Any] = {"since": day, "until": day + timedelta(days=5)}
        top = await fetch_top_level(connection, "C1", **period, before=None, n=9)
        assert [message.text for message in top] == ["n3", "n1", "n0"]
        replies = await fetch_first_replies(connection, "C1", ["1709251200.000000"], n=2)
        assert [message.text for message in replies] == ["n2", "n4"]
        activity = await daily_activity(
            connection, everything, **period, channel_id=None, user_id=None, after=None, n=9
        )
        assert len(activity) == 5
