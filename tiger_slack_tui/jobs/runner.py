"""Runs a job under its lock, and records how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import psycopg

from tiger_slack_tui.base.clock import Clock, SystemClock, wall_time
from tiger_slack_tui.base.errors import DatabaseUnavailable, TigerSlackError
from tiger_slack_tui.base.spans import span
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.locks import holders, try_lock, unlock
from tiger_slack_tui.postgres.pool import connect, connect_session, end_within
from tiger_slack_tui.store import job_runs
from tiger_slack_tui.store.job_runs import JobRun, RunOutcome, RunReason

RUNNER_LOG = __name__
"""The logger of how runs ended."""
log = logging.getLogger(RUNNER_LOG)

_END_SECONDS = 1.0
"""Seconds that a cancelled run has to end, and seconds for the record of its end."""

_LEVELS = {
    RunOutcome.DONE: logging.INFO,
    RunOutcome.CANCELLED: logging.INFO,
    RunOutcome.INCOMPLETE: logging.WARNING,
}

IsDue = Callable[[Connection], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _Running:
    since: float
    """`Clock.elapsed`."""
    run: ActiveRun


class Runner:
    """Runs jobs. Of all instances that share the database, only one runs a job at a time."""

    def __init__(
        self, conninfo: str, *, instance: str, timeout: float, clock: Clock | None = None
    ) -> None:
        """`timeout` is the number of seconds after which a run is ended."""
        self._conninfo = conninfo
        self._instance = instance
        self._timeout = timeout
        self._clock = clock or SystemClock()
        self._running: dict[str, _Running] = {}

    def running(self, name: str) -> tuple[float, int] | None:
        """Since when the job runs here (seconds since 1970), and its rows so far; None if it does not run."""
        running = self._running.get(name)
        return (wall_time(self._clock, running.since), running.run.seen) if running else None

    async def last_done(self, job: Job) -> datetime | None:
        """As `job_runs.last_done`. Raises DatabaseUnavailable, DatabaseRefused."""
        async with await connect(self._conninfo) as connection:
            try:
                return await job_runs.last_done(connection, job.name)
            except psycopg.Error as error:
                raise _unavailable(error) from None

    async def is_wanted(self, job: Job) -> bool:
        """As `Job.is_wanted`. Raises DatabaseUnavailable, DatabaseRefused."""
        if job.is_wanted is None:
            return False
        async with await connect(self._conninfo) as connection:
            try:
                return await job.is_wanted(connection)
            except psycopg.Error as error:
                raise _unavailable(error) from None

    async def run(
        self,
        job: Job,
        *,
        reason: RunReason,
        scheduled_for: datetime | None = None,
        is_due: IsDue | None = None,
    ) -> JobRun:
        """Run the job now, unless another session runs it. Returns the record of the run.

        `is_due` is called under the lock. If it returns False, another session has just run the job, and this run
        is skipped.

        The lock belongs to a session that lives as long as the run, so it is released when the run, its connection
        or the process ends. Raises DatabaseUnavailable or DatabaseRefused if the run could not begin, or its
        end could not be recorded.
        """
        async with await connect_session(self._conninfo) as connection:
            try:
                if (why := await _why_not(connection, job, is_due)) is not None:
                    log.info("job %s skipped: %s", job.name, why)
                    run_id = await job_runs.skip(
                        connection,
                        job.name,
                        reason=reason,
                        scheduled_for=scheduled_for,
                        instance=self._instance,
                        why=why,
                    )
                    return await job_runs.get(connection, run_id)
                run_id, cursor = await job_runs.begin(
                    connection,
                    job.name,
                    reason=reason,
                    scheduled_for=scheduled_for,
                    instance=self._instance,
                )
                with span(f"job {job.name}", reason=reason) as current:
                    ended = await self._supervise(job, ActiveRun(run_id, connection, cursor))
                    current.set_attributes({"rows_seen": ended.rows_seen})
                await unlock(connection, job.lock_key)
                return ended
            except psycopg.Error as error:
                raise _unavailable(error) from None

    async def _supervise(self, job: Job, run: ActiveRun) -> JobRun:
        """Do the job's work, and record its end in every case."""
        self._running[job.name] = _Running(self._clock.elapsed(), run)
        work = asyncio.ensure_future(job.work(run))
        outcome, error = RunOutcome.CANCELLED, "the instance was stopped"
        try:
            await asyncio.wait({work}, timeout=self._timeout if job.has_time_limit else None)
            outcome, error = self._classify(work, run)
        finally:
            work.cancel()
            await end_within(_END_SECONDS, work, run.connection)
            record = asyncio.ensure_future(
                job_runs.end(run.connection, run.id, outcome=outcome, error=error or None)
            )
            await end_within(_END_SECONDS, record, run.connection)
            if record.cancelled() or record.exception() is not None:
                log.warning("the end of run %d of job %s was not recorded", run.id, job.name)
            del self._running[job.name]
            failure = work.exception() if work.done() and not work.cancelled() else None
            log.log(
                _LEVELS.get(outcome, logging.ERROR),
                "job %s: %s",
                job.name,
                f"{outcome}: {error}" if error else outcome,
                # The message of our own errors says everything.
                exc_info=None if isinstance(failure, TigerSlackError) else failure,
                extra={"seen": run.seen, "changed": run.changed, "failed": run.failed},
            )
        record.result()
        return await job_runs.get(run.connection, run.id)

    def _classify(self, work: asyncio.Future[None], run: ActiveRun) -> tuple[RunOutcome, str]:
        """The outcome and its reason, without any text that people wrote."""
        if not work.done():
            return RunOutcome.TIMED_OUT, f"it took longer than {self._timeout:g} s"
        failure = work.exception()
        if failure is None and run.incomplete is not None:
            return RunOutcome.INCOMPLETE, run.incomplete
        if failure is None:
            return RunOutcome.DONE, ""
        if isinstance(failure, TigerSlackError):
            return RunOutcome.FAILED, str(failure)
        if isinstance(failure, psycopg.Error):
            return RunOutcome.FAILED, str(_unavailable(failure))
        return RunOutcome.FAILED, where(failure)


async def _why_not(connection: Connection, job: Job, is_due: IsDue | None) -> str | None:
    """Why the job does not run now; None if it does, and the session then has its lock."""
    if not await try_lock(connection, job.lock_key):
        holder = (await holders(connection, [job.lock_key])).get(job.lock_key)
        return f"{holder or 'another session'} runs it"
    if is_due is not None and not await is_due(connection):
        return "another session has just run it"
    return None


def _unavailable(error: psycopg.Error) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"The database ended the job: {describe(error)}")
