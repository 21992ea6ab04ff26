"""Transactions take their locks in one order, so that no two of them deadlock."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
import pytest

from tests.auditing import message, record
from tests.gapped import post, web_of
from tests.instances import instance_state
from tests.support import AT_ONCE, count, until
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.jobs.backfill import make_chosen_gaps_job
from tiger_slack_tui.jobs.job import ActiveRun
from tiger_slack_tui.jobs.retention import make_retention_job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.postgres.lock_keys import MESSAGE_LOCK_CLASS
from tiger_slack_tui.postgres.migrate.files import MigrationFile, shipped_migrations
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store import directory, gap_progress, gaps, history, instances, job_runs
from tiger_slack_tui.store.events import as_array
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.instances import ConnectedAges, Heartbeat

pytestmark = pytest.mark.slow

NOW = float(int(time.time()))
DAY = 86_400.0
WEEK = 7 * DAY
_WAITING = (
    "select count(*) from pg_stat_activity"
    " where datname = current_database() and wait_event_type = 'Lock'"
)
_DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


async def beat(connection: Connection, name: str, *spans: ConnectedAges) -> None:
    found = Heartbeat(instance_state(name), spans, [])
    await instances.write_heartbeat(
        connection, lambda: found, stale=30, others_are_up_to_date=True, least_gap=1
    )


async def test_heartbeats_change_connections_of_each_other(conninfo: str) -> None:
    """Each heartbeat changes its own rows, then rows of the other instance."""
    async with (
        await connect(conninfo) as one,
        await connect(conninfo) as two,
        await connect(conninfo) as blocker,
    ):
        await beat(one, "one", ConnectedAges(1, 20, 10, is_over=False))
        await beat(two, "two")
        await blocker.execute("update slack.connection set is_judged = false")
        own = ConnectedAges(1, 20, 0, is_over=False)
        async with blocker.transaction():
            await blocker.execute("select slack.lock_gaps()")
            other = asyncio.create_task(beat(two, "two"))
            await until(lambda: count(conninfo, _WAITING) == 1)
            owner = asyncio.create_task(beat(one, "one", own))
            await until(lambda: count(conninfo, _WAITING) == 2)
        await asyncio.gather(other, owner)
    assert deadlocks(conninfo) == 0


async def test_a_backfill_an_import_and_live_events(conninfo: str) -> None:
    """A page of a backfill covers two weeks, with a deletion in the week whose lock comes last."""
    new = next(at for at in (NOW - n * WEEK for n in range(1, 60)) if is_first(conninfo, at))
    old = new - WEEK
    listed = Directory([], [{"id": "C1", "name": "place"}])
    async with LocalSlack(directory=listed) as slack, web_of(slack) as web:
        for at in (old - 1, new):  # the message between them was deleted in Slack
            slack.lose(post(at))
        async with (
            await connect(conninfo) as blocker,
            await connect(conninfo) as live,
            await connect(conninfo) as importing,
        ):
            await blocker.execute(
                "select slack.insert_message(%s::jsonb)",
                (orjson.dumps(post(old)["event"]).decode(),),
            )

            async def find(connection: Connection, team: str) -> list[Gap]:
                since, until_ = (datetime.fromtimestamp(at, UTC) for at in (old - 60, new + 60))
                added = await gaps.add(
                    connection, team=team, since=since, until=until_, channel="C1", instance="x"
                )
                return [added]

            runner = Runner(conninfo, instance="test", timeout=60)
            job = make_chosen_gaps_job(web, find, pace=AT_ONCE)
            async with blocker.transaction():
                await blocker.execute("lock table slack.tombstone in share mode")
                closing = asyncio.create_task(runner.run(job, reason="by hand"))
                await until(lambda: count(conninfo, _WAITING) == 1)
                event = post(new)
                writing = asyncio.create_task(ingest(live, record("EvLive", event["event"])))
                await until(lambda: count(conninfo, _WAITING) == 2)
                merging = asyncio.create_task(
                    lock_weeks(importing, {"C1": [int(at // WEEK) for at in (old, new)]})
                )
                await until(lambda: count(conninfo, _WAITING) == 3)
            ended = await closing
            await asyncio.gather(writing, merging)
    assert (ended.outcome, ended.error) == ("done", None)
    assert count(conninfo, "select count(*) from slack.tombstone") == 1
    assert deadlocks(conninfo) == 0


def is_first(conninfo: str, at: float) -> bool:
    """Whether the lock of the time's week comes before that of the week before it."""
    key = "hashtextextended('C1', {})::bit(31)::int4"
    week = int(at // WEEK)
    return bool(count(conninfo, f"select ({key.format(week)} < {key.format(week - 1)})::int4"))


async def test_many_kinds_of_transactions_at_the_same_time(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    """Many transactions change few rows, in random order."""
    name = database.info.dbname
    database.execute(f"alter database {name} set deadlock_timeout = '20ms'".encode())
    database.execute(
        "insert into slack.gap (team_id, reason, started_at, ended_at, closed_at)"
        " select 'T1', 'by hand', now() - interval '2 years', now(), now() - interval '2 years'"
        " from generate_series(1, 50)"
    )
    chosen = random.Random(1)
    work = [live_events, live_events, imports, people, places, heartbeats, heartbeats, removals]
    work += [members, members, histories, histories]
    loops = [asyncio.create_task(repeat(conninfo, step, chosen)) for step in work]
    await asyncio.gather(*loops)
    assert deadlocks(conninfo, sessions=1) == 0


Step = Callable[[Connection, random.Random, int], Awaitable[object]]


async def repeat(conninfo: str, step: Step, chosen: random.Random) -> None:
    async with await connect(conninfo) as connection:
        for number in range(60):
            await step(connection, chosen, number)


async def live_events(connection: Connection, chosen: random.Random, _: int) -> None:
    records = []
    for _ in range(20):
        n = chosen.randrange(40)
        reaction = {"type": "message", "channel": "C1", "ts": message(n)["ts"]}
        person = {"id": f"U{n % 7}", "name": "a", "updated": chosen.randrange(10**6)}
        place = {"id": f"C{n % 7}", "name": f"n{chosen.randrange(99)}"}
        records.append(
            record(
                f"Ev{chosen.randrange(300)}",
                chosen.choice(
                    (
                        message(n),
                        message(n, type="reaction_added", reaction="eyes", item=reaction),
                        message(n, subtype="message_deleted", deleted_ts=message(n)["ts"]),
                        message(n, type="user_change", user=person, channel=None, ts=None),
                        message(n, type="channel_rename", channel=place, ts=None),
                        message(n, type="app_rate_limited", channel=None, ts=None),
                    )
                ),
            )
        )
    await ingest(connection, *records)


async def imports(connection: Connection, chosen: random.Random, _: int) -> None:
    weeks = {f"C{chosen.randrange(3)}": chosen.sample(range(5), 3) for _ in range(2)}
    async with connection.transaction():
        await lock_weeks(connection, weeks)


async def people(connection: Connection, chosen: random.Random, number: int) -> None:
    rows = [{"id": f"U{n}", "name": "b", "updated": number} for n in chosen.sample(range(7), 7)]
    await directory.upsert(connection, "user", rows)


async def places(connection: Connection, chosen: random.Random, number: int) -> None:
    rows = [{"id": f"C{n}", "name": f"n{number}"} for n in chosen.sample(range(7), 7)]
    await directory.upsert(connection, "channel", rows)


async def heartbeats(connection: Connection, chosen: random.Random, _: int) -> None:
    await connection.execute(
        "update slack.connection set is_judged = false where id = %s", (chosen.randrange(1, 20),)
    )
    name = str(connection.info.backend_pid)
    spans = [
        ConnectedAges(n, chosen.random() * 9, 0, is_over=chosen.random() < 0.5)
        for n in chosen.sample(range(20), 4)
    ]
    await beat(connection, name, *spans)


async def members(connection: Connection, chosen: random.Random, number: int) -> None:
    async with connection.transaction():
        for channel in sorted(chosen.sample(range(7), 4)):
            kind = chosen.choice(["member_joined_channel", "channel_left"])
            event = {"type": kind, "channel": f"C{channel}", "event_ts": f"{number}.000000"}
            await connection.execute(
                "select slack.upsert_channel(%s::jsonb)", (orjson.dumps(event).decode(),)
            )


async def histories(connection: Connection, chosen: random.Random, _: int) -> None:
    found = await gaps.newest(connection, most=10)
    owed = [gap for gap in found if gap.is_history and gap.closed_at is None]
    chosen.shuffle(owed)
    await gaps.fail(connection, {gap.id: {} for gap in owed}, "a failure")
    for gap in owed[:1]:
        assert gap.channel_id
        if begun := await gap_progress.begin(connection, gap.id, [gap.channel_id]):
            [state] = begun[1]
            state.is_done, state.skipped = True, chosen.choice([None, "not_in_channel"])
            await gap_progress.save(connection, gap, state)
            is_closed = chosen.random() < 0.5
            await gap_progress.end(connection, gap, is_closed=is_closed, account={}, error=None)
    await history.refresh_heard(connection, "")
    await history.update_heard(connection, None)
    await history.update_heard(connection, ["group"])


async def removals(connection: Connection, chosen: random.Random, number: int) -> None:
    run_id, _ = await job_runs.begin(
        connection, "retention", reason="by hand", scheduled_for=None, instance="test"
    )
    run = ActiveRun(run_id, connection, None)
    await make_retention_job(1).work(run)


async def ingest(connection: Connection, *records: bytes) -> None:
    await connection.execute("select slack.ingest(%s::jsonb)", (as_array(records),))


async def lock_weeks(connection: Connection, weeks: dict[str, list[int]]) -> None:
    await connection.execute(
        "select slack.lock_for_import(%s::jsonb)", (orjson.dumps(weeks).decode(),)
    )


async def test_a_migration_and_live_events(conninfo: str) -> None:
    """A writer of messages holds its buckets when it comes to a table; a migration locks tables and wants buckets."""
    files = [f for f in shipped_migrations() if f.is_incremental]
    change = (
        "alter table slack.message_search add column x int; select slack.renew_documents('simple')"
    )
    files.append(MigrationFile("incremental/999-change.sql", change))
    async with await connect(conninfo) as live:
        async with live.transaction():
            await live.execute("select pg_advisory_xact_lock(%s, 5)", (MESSAGE_LOCK_CLASS,))
            migrating = asyncio.create_task(migrate(conninfo, files=files, version="999.0.0"))
            await until(lambda: count(conninfo, _WAITING) == 1 or migrating.done())
            await live.execute("insert into slack.message_search values (now(), 'C1', '')")
        assert await migrating == [files[-1].name]
    assert deadlocks(conninfo) == 0


def deadlocks(conninfo: str, *, sessions: int = 0) -> int:
    """The number of deadlocks in the database. Sessions report them when they end, so this waits for their ends."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for _ in range(500):
            row = connection.execute(
                "select count(*) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
            ).fetchone()
            if row == (sessions,):
                break
            time.sleep(0.02)
    return count(conninfo, _DEADLOCKS)


@pytest.mark.parametrize("victims", [1, 3])
async def test_a_deadlock_with_another_program_is_retried(victims: int) -> None:
    tries = 0

    async def transaction() -> str:
        nonlocal tries
        tries += 1
        if tries <= victims:
            raise psycopg.errors.DeadlockDetected
        return "done"

    assert await retry_deadlocks(transaction) == "done"
    assert tries == victims + 1
    tries = -100
    with pytest.raises(psycopg.errors.DeadlockDetected):
        await retry_deadlocks(transaction)
