"""Reads the state of each job: its next run, who runs it now, and its last runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg

from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.jobs.schedule import next_run
from tiger_slack_tui.jobs.search import SEARCH
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import not_migrated
from tiger_slack_tui.postgres.lock_keys import JOB_LOCK_KEYS
from tiger_slack_tui.postgres.locks import Holder, holders
from tiger_slack_tui.store import job_runs
from tiger_slack_tui.store.job_runs import JobRun, RunOutcome
from tiger_slack_tui.store.search_index import fetch_progress


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The state of a job. `holder` is the session that holds its lock. A run without an outcome goes on."""

    name: str
    lock_key: int
    schedule: str
    time_zone: str
    next_run: datetime
    holder: Holder | None
    runs: tuple[JobRun, ...]
    """The newest first."""

    @property
    def present(self) -> JobRun | None:
        """The run that shows how the job stands: one that goes on, or else the newest that was not skipped.

        A run is skipped while another goes on, so it says nothing of the job.
        """
        going_on = (run for run in self.runs if run.outcome is None)
        ended = (run for run in self.runs if run.outcome is not RunOutcome.SKIPPED)
        return next(going_on, None) or next(ended, None) or next(iter(self.runs), None)


async def fetch_status(
    connection: Connection, settings: JobSettings, *, most: int
) -> list[JobStatus]:
    """The state of each job, with at most `most` of its newest runs. Raises psycopg.Error and MigrationError."""
    coming = next_run(settings, datetime.now(UTC))
    held = await holders(connection, list(JOB_LOCK_KEYS.values()))
    try:
        indexed = (await fetch_progress(connection)).percent
        return [
            JobStatus(
                name,
                key,
                settings.schedule,
                settings.time_zone,
                coming,
                held.get(key),
                tuple(
                    _settled(run, held.get(key), indexed if name == SEARCH else None)
                    for run in await job_runs.newest(connection, name, most=most)
                ),
            )
            for name, key in JOB_LOCK_KEYS.items()
        ]
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise not_migrated(connection.conninfo) from None


def _settled(run: JobRun, holder: Holder | None, percent: int | None) -> JobRun:
    """The run as it is now: an unfinished run has a percentage, or is cut off if its instance has lost the lock."""
    if run.outcome is None and (holder is None or holder.application_name != run.instance):
        return replace(run, outcome=RunOutcome.CUT_OFF, error="its session was lost")
    return replace(run, percent=percent) if run.outcome is None else run
