"""Jobs with a local Slack and a real PostgreSQL: locks, retries, records of runs, and the schedule."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from tests.support import ADVISORY_LOCKS, allow_connections, delivered, make_engine, running, until
from tiger_slack_tui.base.errors import DatabaseUnavailable, EngineNotReady
from tiger_slack_tui.base.settings import JobSettings, SlackSettings
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import Faults, LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.jobs.channels import make_channels_job
from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.jobs.schedule import Scheduler, previous_run
from tiger_slack_tui.jobs.users import make_users_job
from tiger_slack_tui.postgres.connection import with_defaults
from tiger_slack_tui.postgres.lock_keys import USERS_LOCK_KEY
from tiger_slack_tui.postgres.locks import holders
from tiger_slack_tui.presence.heartbeat import HeartbeatTiming
from tiger_slack_tui.slack.web import SlackWeb
from tiger_slack_tui.store.job_runs import JobRun

KEY = 42
ZONE = UTC


def person(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"U{number:05d}", "name": f"user{number}", "updated": 1_700_000_000} | fields


def place(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"C{number:05d}", "name": f"place{number}", "created": 1_600_000_000} | fields


@asynccontextmanager
async def web_of(slack: LocalSlack) -> AsyncIterator[SlackWeb]:
    async with aiohttp.ClientSession() as session:
        yield SlackWeb(SlackSettings(slack.bot_token, slack.app_token, slack.url), session)


def make_runner(conninfo: str, instance: str = "one@here:1", timeout: float = 30) -> Runner:
    named = with_defaults(conninfo, application_name=instance)
    return Runner(named, instance=instance, timeout=timeout)


def waits(gate: asyncio.Event) -> Callable[[ActiveRun], Awaitable[None]]:
    async def work(run: ActiveRun) -> None:
        await gate.wait()

    return work


def runs(database: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return database.execute("select job, reason, outcome from slack.job_run order by id").fetchall()


async def test_all_users_and_channels_are_loaded_although_slack_fails_at_times(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    people = [person(n) for n in range(2500)]
    places = [place(n, is_private=n % 3 == 0) for n in range(1200)]
    faults = Faults(http_500=0.3, http_429=0.2, seed=4)
    async with (
        LocalSlack(faults=faults, directory=Directory(people, places)) as slack,
        web_of(slack) as web,
    ):
        loaded = await make_runner(conninfo).run(make_users_job(web), reason="by hand")
        assert (loaded.outcome, loaded.rows_seen, loaded.rows_changed) == ("done", 2500, 2500)
        loaded = await make_runner(conninfo).run(make_channels_job(web), reason="by hand")
        assert (loaded.outcome, loaded.rows_seen, loaded.rows_changed) == ("done", 1200, 1200)
        again = await make_runner(conninfo).run(make_users_job(web), reason="by hand")
        assert (again.rows_seen, again.rows_changed, again.rows_failed) == (2500, 0, 0)
    row = database.execute(
        'select (select count(*) from slack."user"), (select count(*) from slack.channel)'
    ).fetchone()
    assert row == (2500, 1200)


async def test_the_lock_is_held_while_the_job_runs_and_others_skip(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    gate = asyncio.Event()
    job = Job("users", USERS_LOCK_KEY, waits(gate))
    first, second = make_runner(conninfo, "one@here:1"), make_runner(conninfo, "two@there:2")
    task = asyncio.create_task(first.run(job, reason="by hand"))
    await until(lambda: first.running("users") is not None)

    async with await psycopg.AsyncConnection.connect(conninfo) as other:
        holder = (await holders(other, [USERS_LOCK_KEY]))[USERS_LOCK_KEY]
    assert holder.application_name == "one@here:1"
    sessions = database.execute(
        "select state from pg_stat_activity"
        " where datname = current_database() and application_name = 'one@here:1'"
    ).fetchall()
    assert sessions == [("idle",)]  # no transaction is open while Slack is slow

    skipped = await second.run(job, reason="by hand")
    assert skipped.outcome == "skipped"
    assert f"one@here:1 (local, pid {holder.pid}" in str(skipped.error)

    gate.set()
    assert (await task).outcome == "done"
    assert database.execute(ADVISORY_LOCKS).fetchall() == []


@pytest.mark.parametrize("way", ["cancelled", "raises", "hangs", "killed"])
async def test_the_lock_is_released_at_every_end_of_a_run(
    conninfo: str, database: psycopg.Connection[Any], way: str
) -> None:
    gate = asyncio.Event()

    async def work(run: ActiveRun) -> None:
        await gate.wait()
        if way == "raises":
            raise RuntimeError("SECRET text of a message")

    runner = make_runner(conninfo, timeout=0.5 if way == "hangs" else 30)
    task = asyncio.create_task(runner.run(Job("users", KEY, work), reason="by hand"))
    await until(lambda: runner.running("users") is not None)
    if way == "cancelled":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    elif way == "killed":
        database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'one@here:1'"
        )
        gate.set()
        with pytest.raises(DatabaseUnavailable):
            await task
    else:
        if way == "raises":
            gate.set()
        ended = await task
        assert ended.outcome == ("timed out" if way == "hangs" else "failed")
        assert "SECRET" not in str(ended.error)
    # The session of a lost connection ends when the server notices the loss.
    await until(lambda: not database.execute(ADVISORY_LOCKS).fetchall())
    gate.set()
    way = ""
    again = await make_runner(conninfo).run(Job("users", KEY, work), reason="by hand")
    assert again.outcome == "done"
    first = {"raises": "failed", "hangs": "timed out"}.get(
        runs(database)[0][2], runs(database)[0][2]
    )
    assert first in ("cancelled", "failed", "timed out", "cut off")


async def test_a_run_that_loses_the_database_is_shown_as_cut_off(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    gate = asyncio.Event()

    async def work(run: ActiveRun) -> None:
        await run.advance(seen=5, changed=5, cursor="page2")
        await gate.wait()
        await run.advance(seen=5, changed=5)

    runner = make_runner(conninfo)
    task = asyncio.create_task(runner.run(Job("users", KEY, work), reason="by hand"))
    await until(lambda: (runner.running("users") or (0, 0))[1] == 5)
    database.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name = 'one@here:1'"
    )
    gate.set()
    with pytest.raises(DatabaseUnavailable):
        await task
    assert runs(database) == [("users", "by hand", None)]

    seen: list[str | None] = []

    async def resumed(run: ActiveRun) -> None:
        seen.append(run.cursor)

    await make_runner(conninfo).run(Job("users", KEY, resumed), reason="by hand")
    assert seen == ["page2"]
    assert [row[2] for row in runs(database)] == ["cut off", "done"]


async def test_a_bad_row_is_recorded_and_does_not_affect_the_others(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    people = [person(n) for n in range(250)]
    people[7]["tz_offset"] = "9" * 40  # too large for int4
    people[9]["name"] = "nul\0and \ud800 surrogate"
    people.append({"name": "without an id"})
    directory = Directory(people[:-1])
    directory.users["none"] = people[-1]
    async with LocalSlack(directory=directory) as slack, web_of(slack) as web:
        loaded = await make_runner(conninfo).run(make_users_job(web), reason="by hand")
    assert (loaded.outcome, loaded.rows_seen, loaded.rows_failed) == ("done", 251, 1)
    row = database.execute("select bad_rows from slack.job_run").fetchone()
    assert row is not None
    assert [bad["id"] for bad in row[0]] == ["None"]
    # Only the bad field is lost, not the row.
    kept = database.execute(
        "select user_name, tz_offset from slack.\"user\" where id = 'U00007'"
    ).fetchone()
    assert kept == (people[7]["name"], None)
    named = database.execute("select user_name from slack.\"user\" where id = 'U00009'").fetchone()
    assert named == ("nuland \ufffd surrogate",)


async def test_newer_live_state_wins_over_what_slack_lists(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    live = {"user": person(1, name="newer", updated=1_700_000_100), "event_ts": "1700000100.5"}
    database.execute("select slack.upsert_user(%s)", (psycopg.types.json.Jsonb(live),))
    async with (
        LocalSlack(directory=Directory([person(1, real_name="Only listed")])) as slack,
        web_of(slack) as web,
    ):
        await make_runner(conninfo).run(make_users_job(web), reason="by hand")
    row = database.execute('select user_name, real_name from slack."user"').fetchone()
    assert row == ("newer", "Only listed")


class Counting:
    """A job that counts its runs and notices whether they overlap."""

    def __init__(self, seconds: float = 0) -> None:
        self.runs = 0
        self.now = 0
        self.most = 0
        self.seconds = seconds
        self.failures = 0

    async def __call__(self, run: ActiveRun) -> None:
        self.now += 1
        self.runs += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
            if self.failures:
                self.failures -= 1
                raise RuntimeError
        finally:
            self.now -= 1


@asynccontextmanager
async def scheduled(
    conninfo: str, work: Counting, *, recheck: float = 3600, **settings: Any
) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(
        {"users": Job("users", KEY, work)},
        make_runner(conninfo),
        JobSettings(**settings),
        recheck=recheck,
    )
    task = asyncio.create_task(scheduler.run())
    try:
        yield scheduler
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_schedule_runs_without_overlap_or_bursts(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    work = Counting(seconds=1.6)  # so every second time of the schedule comes during a run
    async with scheduled(conninfo, work, schedule="* * * * * *"):
        await until(lambda: work.runs >= 3)
    assert work.most == 1
    reasons = [row[1] for row in runs(database)]
    assert reasons[0] == "first start"
    assert set(reasons[1:]) == {"schedule"}
    assert runs(database)[-1][2] == "cancelled"


@pytest.mark.parametrize("catch_up", [True, False])
async def test_a_missed_run_is_caught_up_once(
    conninfo: str, database: psycopg.Connection[Any], catch_up: bool
) -> None:
    database.execute(
        "insert into slack.job_run (job, reason, instance, started_at, finished_at, outcome)"
        " values ('users', 'schedule', 'old', now() - interval '3 days', now() - interval '3 days', 'done')"
    )
    work = Counting()
    now = datetime.now(UTC)
    schedule = f"{(now - timedelta(minutes=30)).minute} {(now - timedelta(minutes=30)).hour} * * *"
    async with scheduled(conninfo, work, recheck=0.1, schedule=schedule, catch_up=catch_up):
        if catch_up:
            await until(lambda: work.runs == 1)
        await asyncio.sleep(1)
    assert work.runs == catch_up
    if catch_up:
        row = database.execute(
            "select reason, scheduled_for from slack.job_run order by id desc limit 1"
        ).fetchone()
        assert row == ("catch-up", previous_run(JobSettings(schedule=schedule), now))


async def test_a_run_that_failed_is_retried_until_it_succeeds(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    work = Counting()
    work.failures = 2
    async with scheduled(conninfo, work, recheck=0.1) as scheduler:
        await until(lambda: work.runs == 3)
        await until(lambda: scheduler.states()[0].last_outcome == "done")
    assert [row[2] for row in runs(database)] == ["failed", "failed", "done"]


def test_schedules_follow_their_time_zone_over_daylight_saving() -> None:
    from zoneinfo import ZoneInfo

    settings = JobSettings(time_zone="Europe/Berlin")
    zone = ZoneInfo("Europe/Berlin")
    winter = previous_run(settings, datetime(2026, 3, 29, 0, 30, tzinfo=UTC).astimezone(zone))
    summer = previous_run(settings, datetime(2026, 3, 30, 0, 30, tzinfo=UTC).astimezone(zone))
    assert winter.astimezone(UTC).hour == 0
    assert summer.astimezone(UTC).hour == 23


async def test_a_job_that_raises_or_hangs_does_not_affect_the_ingestion(
    conninfo: str, tmp_path: Path, database: psycopg.Connection[Any]
) -> None:
    sent = list(Workspace(1, 1_700_000_000.0, 100).events(500))
    async with LocalSlack(faults=Faults(seed=1)) as slack:
        slack.directory.answer = _hang_or_break  # type: ignore[method-assign]
        async with running(make_engine(slack, conninfo, tmp_path)) as engine:
            await slack.send_all(sent)
            await delivered(slack, engine)
            await until(lambda: bool(runs(database)))
            assert slack.acked == 500


def _hang_or_break(method: str, given: object) -> dict[str, Any]:
    raise RuntimeError(method)


async def test_the_engine_loads_the_tables_at_its_first_start_and_by_hand(
    conninfo: str, tmp_path: Path, database: psycopg.Connection[Any]
) -> None:
    directory = Directory([person(1)], [place(1)])
    async with LocalSlack(directory=directory) as slack:
        engine = make_engine(slack, conninfo, tmp_path)
        with pytest.raises(EngineNotReady):
            await engine.run_job("users")
        async with running(engine):
            await until(lambda: all(job.last_outcome == "done" for job in engine.snapshot().jobs))
            by_hand: JobRun = await engine.run_job("channels")
            assert (by_hand.outcome, by_hand.rows_seen) == ("done", 1)
        # A slow machine makes no gap between the two, which would start a backfill.
        timing = HeartbeatTiming(least_gap=600)
        async with running(make_engine(slack, conninfo, tmp_path, heartbeat=timing)):
            await asyncio.sleep(0.3)
    found = sorted(runs(database))
    assert found == [
        ("backfill", "first start", "done"),
        ("channels", "by hand", "done"),
        ("channels", "first start", "done"),
        ("retention", "first start", "done"),
        ("search", "first start", "done"),
        ("users", "first start", "done"),
    ]


async def test_jobs_wait_while_the_database_is_unavailable(
    conninfo: str, tmp_path: Path, database: psycopg.Connection[Any]
) -> None:
    database.close()
    allow_connections(conninfo, allowed=False)
    async with (
        LocalSlack(directory=Directory([person(1)])) as slack,
        running(make_engine(slack, conninfo, tmp_path)) as engine,
    ):
        await asyncio.sleep(0.5)
        allow_connections(conninfo, allowed=True)
        await until(lambda: all(job.last_outcome == "done" for job in engine.snapshot().jobs))
