"""Jobs run once for each time of their schedule, also where clocks are set forward and back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.faults.clock import ManualClock
from tests.gapped import web_of
from tests.support import AT_ONCE
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.jobs.backfill import make_due_gaps_job
from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.jobs.runner import IsDue, Runner
from tiger_slack_tui.jobs.schedule import Scheduler, next_run, previous_run
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.job_runs import JobRun

BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""Clocks in Berlin go from 03:00 back to 02:00."""
FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)
"""They go from 02:00 to 03:00."""


class Recording(Runner):
    """Records the times for which a job ran. Needs no database."""

    def __init__(self) -> None:
        self.served: list[datetime] = []

    async def last_done(self, job: Job) -> datetime | None:
        return max(self.served, default=None)

    async def is_wanted(self, job: Job) -> bool:
        return False

    async def run(
        self,
        job: Job,
        *,
        reason: str,
        scheduled_for: datetime | None = None,
        is_due: IsDue | None = None,
    ) -> JobRun:
        at = scheduled_for or datetime(2000, 1, 1, tzinfo=UTC)
        self.served.append(at)
        return JobRun(1, job.name, reason, at, "", at, at, "done", 0, 0, 0, None)


async def _no_work(run: ActiveRun) -> None:
    pass


async def served_around(shift: datetime, schedule: str) -> list[str]:
    """The times for which a job ran, from 3 h before the clocks change until 3 h after, checked every minute."""
    settings = JobSettings(schedule=schedule, time_zone="Europe/Berlin")
    runner, clock = Recording(), ManualClock(shift.timestamp() - 10_800)
    job = Job("users", 1, _no_work)
    scheduler = Scheduler({"users": job}, runner, settings, clock=clock)
    begin = datetime.fromtimestamp(clock.wall(), UTC)
    for _ in range(360):
        await scheduler.run_if_due(job)
        clock.advance(60)
    return [f"{at.astimezone(UTC):%H:%M}" for at in runner.served if at >= begin]


@pytest.mark.parametrize(
    ("shift", "schedule", "times"),
    [
        (BACK, "0 * * * *", "22:00 23:00 00:00 01:00 02:00 03:00"),
        (FORWARD, "0 * * * *", "22:00 23:00 00:00 01:00 02:00 03:00"),
        (BACK, "*/30 1-2 * * *", "23:00 23:30 00:00 00:30 01:00 01:30"),
        (FORWARD, "*/30 1-2 * * *", "00:00 00:30"),
        (BACK, "30 2 * * *", "00:30"),
        (FORWARD, "30 2 * * *", "01:00"),
        (BACK, "0 3 * * *", "02:00"),
        (FORWARD, "0 3 * * *", "01:00"),
    ],
)
async def test_each_time_is_served_once(shift: datetime, schedule: str, times: str) -> None:
    assert await served_around(shift, schedule) == times.split()


@pytest.mark.parametrize("shift", [BACK, FORWARD])
@pytest.mark.parametrize("schedule", ["0 * * * *", "30 2 * * *", "*/20 2 * * *", "15 */2 * * *"])
def test_the_next_time_is_in_the_future_and_the_last_one_in_the_past(
    shift: datetime, schedule: str
) -> None:
    settings = JobSettings(schedule=schedule, time_zone="Europe/Berlin")
    now, previous = shift - timedelta(hours=3), datetime.min.replace(tzinfo=UTC)
    while now < shift + timedelta(hours=3):
        coming, last = next_run(settings, now), previous_run(settings, now)
        assert previous <= last.astimezone(UTC) <= now < coming.astimezone(UTC)
        assert previous_run(settings, coming.astimezone(UTC)) == coming
        previous = last.astimezone(UTC)
        now += timedelta(minutes=5)


@pytest.mark.parametrize(
    ("team", "is_wanted"), [("T0LOCAL", True), ("TOTHER", False), (None, True)]
)
async def test_only_gaps_of_its_own_workspace_wake_the_backfill(
    conninfo: str, database: psycopg.Connection[Any], team: str | None, is_wanted: bool
) -> None:
    database.execute(
        "insert into slack.gap (team_id, reason, started_at, ended_at) values (%s, 'by hand', now(), now())",
        (team,),
    )
    async with LocalSlack() as slack, web_of(slack) as web, await connect(conninfo) as connection:
        job = make_due_gaps_job(web, is_scheduled=True, pace=AT_ONCE)
        assert job.is_wanted is not None
        assert await job.is_wanted(connection) == is_wanted
        database.execute("update slack.gap set tried_at = now()")
        assert not await job.is_wanted(connection)


async def test_without_gaps_slack_is_not_asked(conninfo: str) -> None:
    async with LocalSlack() as slack, web_of(slack) as web, await connect(conninfo) as connection:
        job = make_due_gaps_job(web, is_scheduled=True)
        assert job.is_wanted is not None
        assert not await job.is_wanted(connection)
        assert not slack.calls


async def test_two_instances_that_see_a_due_time_at_once_run_it_once(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "insert into slack.job_run (job, reason, instance, started_at, finished_at, outcome)"
        " values ('users', 'schedule', 'old', now() - interval '3 days', now() - interval '3 days', 'done')"
    )
    both_know = asyncio.Barrier(2)
    runs = 0

    class Together(Runner):
        async def last_done(self, job: Job) -> datetime | None:
            last = await super().last_done(job)
            await both_know.wait()
            return last

    async def work(run: ActiveRun) -> None:
        nonlocal runs
        runs += 1

    job = Job("users", 1, work)
    runners = [Together(conninfo, instance=name, timeout=30) for name in ("one", "two")]
    await asyncio.gather(
        *(Scheduler({"users": job}, r, JobSettings()).run_if_due(job) for r in runners)
    )
    assert runs == 1
    outcomes = database.execute("select outcome from slack.job_run order by id").fetchall()
    assert sorted(row[0] for row in outcomes) == ["done", "done", "skipped"]
