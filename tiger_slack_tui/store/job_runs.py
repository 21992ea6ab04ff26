"""slack.job_run: what the jobs did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tiger_slack_tui.postgres.connection import Connection

_COLUMNS: LiteralString = (
    "id, job, reason, scheduled_for, instance, started_at, finished_at, outcome"
    ", rows_seen, rows_changed, rows_failed, error"
)


@dataclass(frozen=True, slots=True)
class JobRun:
    """A row. `outcome` is None while the job runs, and after a crash until the next run."""

    id: int
    job: str
    reason: str
    scheduled_for: datetime | None
    instance: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    rows_seen: int
    rows_changed: int
    rows_failed: int
    error: str | None


async def begin(
    connection: Connection,
    job: str,
    *,
    reason: str,
    scheduled_for: datetime | None,
    instance: str,
) -> tuple[int, str | None]:
    """Record that a run begins. The caller holds the job's lock: a run without an end was cut off.

    Returns its id, and the cursor at which the run before it stopped, where that ended badly less than an hour
    ago: Slack's cursors do not live long.
    """
    async with connection.transaction(), connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            "update slack.job_run set outcome = 'cut off', finished_at = now(), error = 'its session was lost'"
            " where job = %s and finished_at is null",
            (job,),
        )
        await cursor.execute(
            "select case when outcome <> 'done' and started_at > now() - interval '1 hour' then r.cursor end"
            " from slack.job_run r where job = %s and outcome <> 'skipped' order by id desc limit 1",
            (job,),
        )
        left_at: str | None = await cursor.fetchone()
        await cursor.execute(
            "insert into slack.job_run (job, reason, scheduled_for, instance)"
            " values (%s, %s, %s, %s) returning id",
            (job, reason, scheduled_for, instance),
        )
        return int(await cursor.fetchone() or 0), left_at


async def skip(
    connection: Connection,
    job: str,
    *,
    reason: str,
    scheduled_for: datetime | None,
    instance: str,
    why: str,
) -> int:
    """Record that the job did not run, because of another session."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            "insert into slack.job_run (job, reason, scheduled_for, instance, finished_at, outcome, error)"
            " values (%s, %s, %s, %s, now(), 'skipped', %s) returning id",
            (job, reason, scheduled_for, instance, why),
        )
        return int(await cursor.fetchone() or 0)


async def save_progress(
    connection: Connection,
    run_id: int,
    *,
    seen: int,
    changed: int,
    failed: int,
    bad_rows: Sequence[dict[str, str]],
    cursor: str | None,
) -> None:
    """Keep how far the run has come."""
    await connection.execute(
        "update slack.job_run set rows_seen = %s, rows_changed = %s, rows_failed = %s, bad_rows = %s, cursor = %s"
        " where id = %s",
        (seen, changed, failed, Jsonb(bad_rows) if bad_rows else None, cursor, run_id),
    )


async def end(connection: Connection, run_id: int, *, outcome: str, error: str | None) -> None:
    """Record how the run ended."""
    await connection.execute(
        "update slack.job_run set outcome = %s, error = %s, finished_at = now()"
        " where id = %s and finished_at is null",
        (outcome, error, run_id),
    )


async def last_done(connection: Connection, job: str) -> datetime | None:
    """The time that the newest good run was for, or began at; None where there was none."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            "select max(coalesce(scheduled_for, started_at)) from slack.job_run where job = %s and outcome = 'done'",
            (job,),
        )
        found: datetime | None = await cursor.fetchone()
        return found


async def get(connection: Connection, run_id: int) -> JobRun:
    """One run."""
    query = f"select {_COLUMNS} from slack.job_run where id = %s"  # noqa: S608 columns of ours
    async with connection.cursor(row_factory=class_row(JobRun)) as cursor:
        await cursor.execute(query, (run_id,))
        row = await cursor.fetchone()
    if row is None:
        raise LookupError(run_id)
    return row


async def newest(connection: Connection, job: str, *, most: int) -> list[JobRun]:
    """The newest runs of the job, the newest first."""
    query = f"select {_COLUMNS} from slack.job_run where job = %s order by id desc limit %s"  # noqa: S608
    async with connection.cursor(row_factory=class_row(JobRun)) as cursor:
        await cursor.execute(query, (job, most))
        return await cursor.fetchall()
