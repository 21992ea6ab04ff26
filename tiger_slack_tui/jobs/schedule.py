"""Runs the jobs on their schedule, and catches up on runs that were missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from aiocron import crontab
from cronsim import CronSim

from tiger_slack_tui.base.backoff import LogThrottle
from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable, SlackUnavailable
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.base.snapshot import JobState
from tiger_slack_tui.jobs.job import Job
from tiger_slack_tui.jobs.runner import IsDue, Runner
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store import job_runs
from tiger_slack_tui.store.job_runs import JobRun, RunOutcome, RunReason

log = logging.getLogger(__name__)

_RETRY_SECONDS = 30
_EARLY = timedelta(seconds=1)
"""A timer can fire this long before the clock shows its time."""
_LATE = timedelta(minutes=1)
"""A run that begins later than this after its time is a catch-up."""
_NEAR_SHIFT = timedelta(hours=3)
_AROUND_SHIFT = timedelta(hours=6)
"""Longer than any change of a zone's clocks, counted from any time near the change."""


def next_run(settings: JobSettings, now: datetime) -> datetime:
    """The first time of the schedule after `now`, in the schedule's time zone."""
    zone = ZoneInfo(settings.time_zone)
    start = now - _AROUND_SHIFT if _is_near_shift(zone, now) else now
    coming = CronSim(settings.schedule, start.astimezone(zone))
    return next(at for at in coming if at.astimezone(UTC) > now)


def previous_run(settings: JobSettings, now: datetime) -> datetime:
    """The last time of the schedule at `now` or before it, in the schedule's time zone."""
    zone = ZoneInfo(settings.time_zone)
    start = now + (_AROUND_SHIFT if _is_near_shift(zone, now) else timedelta(microseconds=1))
    past = CronSim(settings.schedule, start.astimezone(zone), reverse=True)
    return next(at for at in past if at.astimezone(UTC) <= now)


def _is_near_shift(zone: ZoneInfo, now: datetime) -> bool:
    """Whether the zone's clocks are set forward or back near that time.

    If an hour comes twice, CronSim takes its times for those of the first one, so it has to start outside of it.
    Times of one zone must not be compared or subtracted here: Python then uses what clocks show, not the real time.
    """
    near = (now + way * _NEAR_SHIFT for way in (-1, 1))
    return len({at.astimezone(zone).utcoffset() for at in near}) > 1


def _never_done(job: Job) -> IsDue:
    async def is_due(connection: Connection) -> bool:
        return await job_runs.last_done(connection, job.name) is None

    return is_due


def _not_done_since(job: Job, due: datetime) -> IsDue:
    async def is_due(connection: Connection) -> bool:
        last = await job_runs.last_done(connection, job.name)
        return last is None or last < due

    return is_due


class Scheduler:
    """Owns a task for each job, so that runs of a job never overlap here. The job's lock excludes other instances."""

    def __init__(
        self,
        jobs: Mapping[str, Job],
        runner: Runner,
        settings: JobSettings,
        *,
        recheck: float = 3600,
        clock: Clock | None = None,
    ) -> None:
        """`recheck` is the number of seconds after which a job that is due and has failed is tried again."""
        self._jobs = jobs
        self._runner = runner
        self._settings = settings
        self._recheck_seconds = recheck
        self._clock = clock or SystemClock()
        self._zone = ZoneInfo(settings.time_zone)
        self._started_at = self._now()
        self._last: dict[str, str] = {}
        """The outcome of each job's last run here."""
        self._wakes = {name: asyncio.Event() for name in jobs}

    async def run(self) -> None:
        """Run the jobs on schedule until cancelled, which also ends running jobs. A failed job affects no other."""
        async with asyncio.TaskGroup() as group:
            for job in self._jobs.values():
                if job.is_scheduled:
                    group.create_task(self._run_job_forever(job))

    def wake(self, name: str) -> None:
        """Check soon whether the job has something to do. Returns at once."""
        self._wakes[name].set()

    async def run_now(self, name: str) -> JobRun:
        """Run a job now, as an operator asked. Raises as `Runner.run`, and KeyError for an unknown job."""
        return await self._run(self._jobs[name], RunReason.BY_HAND)

    def states(self) -> tuple[JobState, ...]:
        """The state of the scheduled jobs. No I/O."""
        coming = next_run(self._settings, self._now()).timestamp()
        states = []
        for name, job in self._jobs.items():
            if not job.is_scheduled:
                continue
            since, seen = self._runner.running(name) or (None, 0)
            states.append(JobState(name, coming, since, seen, self._last.get(name)))
        return tuple(states)

    async def _run_job_forever(self, job: Job) -> None:
        throttle = LogThrottle(self._clock)
        while True:
            try:
                await self.run_if_due(job)
            except (DatabaseUnavailable, DatabaseRefused, SlackUnavailable) as error:
                if throttle.allows():
                    log.warning("job %s waits: %s", job.name, error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except Exception as error:  # a failed job must not end the ingestion
                log.error("job %s failed", job.name, exc_info=error)
            throttle.reset()
            await self._wait_for_next_run(self._wakes[job.name])

    async def run_if_due(self, job: Job) -> None:
        """Run the job if its last scheduled time has not been served yet, here or by another instance."""
        now = self._now()
        due = previous_run(self._settings, now + _EARLY).astimezone(UTC)
        last = await self._runner.last_done(job)
        if last is None:
            await self._run(job, RunReason.FIRST_START, is_due=_never_done(job))
        elif last < due and (self._settings.catch_up or due > self._started_at):
            reason = RunReason.SCHEDULE if now - due < _LATE else RunReason.CATCH_UP
            await self._run(job, reason, scheduled_for=due, is_due=_not_done_since(job, due))
        elif await self._runner.is_wanted(job):
            await self._run(job, job.wanted_reason, is_due=job.is_wanted)

    async def _run(
        self,
        job: Job,
        reason: RunReason,
        *,
        scheduled_for: datetime | None = None,
        is_due: IsDue | None = None,
    ) -> JobRun:
        ended = await self._runner.run(
            job, reason=reason, scheduled_for=scheduled_for, is_due=is_due
        )
        self._last[job.name] = ended.outcome or RunOutcome.CUT_OFF
        return ended

    async def _wait_for_next_run(self, wake: asyncio.Event) -> None:
        """Wait for the schedule's next time, for the recheck, or until woken.

        aiocron only wakes this task; the clock and slack.job_run decide what is due. So a tick does no harm if it
        comes late or during a run. aiocron reads the clock once, when it starts. An early tick is ignored: in an hour
        that comes twice, aiocron takes a time of the first for one of the second.
        """
        coming = next_run(self._settings, self._now()).astimezone(UTC)

        def tick() -> None:
            if self._now() + _EARLY >= coming:
                wake.set()

        cron = crontab(self._settings.schedule, func=tick, tz=self._zone)
        try:
            async with asyncio.timeout(self._recheck_seconds):
                await wake.wait()
        except TimeoutError:
            pass
        finally:
            wake.clear()
            cron.stop()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall(), UTC)
