"""slack.job_run: the runs of the jobs, and how each ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, LiteralString, NamedTuple

from psycopg.types.json import Jsonb

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value

_COLUMNS: LiteralString = (
    "id, job, reason, scheduled_for, instance, started_at, finished_at, outcome"
    ", rows_seen, rows_changed, rows_failed, error, progress"
)
_END_CUT_OFF: LiteralString = """
update slack.job_run set outcome = 'cut off', finished_at = now(), error = 'its session was lost'
where job = %s
and finished_at is null
"""
_CURSOR: LiteralString = """
select case when outcome not in ('done', 'incomplete') and started_at > now() - interval '1 hour' then r.cursor end
from slack.job_run r
where job = %s
and outcome <> 'skipped'
order by id desc
limit 1
"""
_BEGIN: LiteralString = """
insert into slack.job_run (job, reason, scheduled_for, instance)
values (%s, %s, %s, %s)
returning id
"""
_SKIP: LiteralString = """
insert into slack.job_run (job, reason, scheduled_for, instance, finished_at, outcome, error)
values (%s, %s, %s, %s, now(), 'skipped', %s)
returning id
"""
_SAVE_PROGRESS: LiteralString = """
update slack.job_run set rows_seen = %s, rows_changed = %s, rows_failed = %s, bad_rows = %s, cursor = %s
, progress = %s
where id = %s
"""
_END: LiteralString = """
update slack.job_run set outcome = %s, error = %s, finished_at = now()
where id = %s
and finished_at is null
"""
_LAST_DONE: LiteralString = """
select max(coalesce(scheduled_for, started_at))
from slack.job_run
where job = %s
and outcome in ('done', 'incomplete')
"""
_GET: LiteralString = f"select {_COLUMNS} from slack.job_run where id = %s"  # noqa: S608 only constants
_NEWEST: LiteralString = f"""
select {_COLUMNS} from slack.job_run where job = %s order by id desc limit %s
"""  # noqa: S608 only constants


class RunReason(StrEnum):
    """Why a run began (slack.job_run.reason)."""

    SCHEDULE = "schedule"
    CATCH_UP = "catch-up"
    FIRST_START = "first start"
    BY_HAND = "by hand"
    GAP = "gap"
    PENDING = "pending"


class RunOutcome(StrEnum):
    """How a run ended (slack.job_run.outcome)."""

    DONE = "done"
    INCOMPLETE = "incomplete"
    """It came to its end, and its error says what it could not do."""
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"
    CUT_OFF = "cut off"
    """Its session or its process was lost."""
    SKIPPED = "skipped"
    """It did not begin, because another session ran the job."""


@dataclass(frozen=True, slots=True)
class JobRun:
    """A run. `outcome` is None while it goes on, and after a crash until the job's next run."""

    id: int
    job: str
    reason: str
    """A RunReason."""
    scheduled_for: datetime | None
    instance: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    """A RunOutcome."""
    rows_seen: int
    rows_changed: int
    rows_failed: int
    error: str | None
    progress: str | None = None
    """How far it is, in words; None for jobs that cannot tell."""
    percent: int | None = None
    """How much of its work is done; None after it, and for jobs that do not know how much there is."""


class BegunRun(NamedTuple):
    """A run that begins, and Slack's cursor from which it continues; None to start from the first page."""

    id: int
    cursor: str | None


async def begin(
    connection: Connection,
    job: str,
    *,
    reason: RunReason,
    scheduled_for: datetime | None,
    instance: str,
) -> BegunRun:
    """Record that a run begins. The caller holds the job's lock, so an earlier run without an end was cut off.

    The run continues from the cursor of the one before it, if that ended badly and began less than an hour ago:
    Slack's cursors expire.
    """
    async with connection.transaction():
        await connection.execute(_END_CUT_OFF, (job,))
        left_at: str | None = await fetch_value(connection, _CURSOR, (job,))
        values = (job, reason, scheduled_for, instance)
        return BegunRun(int(await fetch_value(connection, _BEGIN, values)), left_at)


async def skip(
    connection: Connection,
    job: str,
    *,
    reason: RunReason,
    scheduled_for: datetime | None,
    instance: str,
    why: str,
) -> int:
    """Record that the job did not run because of another session. Returns the id of the record."""
    values = (job, reason, scheduled_for, instance, why)
    return int(await fetch_value(connection, _SKIP, values))


async def save_progress(
    connection: Connection,
    run_id: int,
    *,
    seen: int,
    changed: int,
    failed: int,
    bad_rows: Sequence[dict[str, str]],
    cursor: str | None,
    progress: str | None,
) -> None:
    """Save the progress of a run; `progress` is in words."""
    refused = Jsonb(bad_rows) if bad_rows else None
    values = (seen, changed, failed, refused, cursor, progress, run_id)
    await connection.execute(_SAVE_PROGRESS, values)


async def end(
    connection: Connection, run_id: int, *, outcome: RunOutcome, error: str | None
) -> None:
    """Record how the run ended."""
    await connection.execute(_END, (outcome, error, run_id))


async def last_done(connection: Connection, job: str) -> datetime | None:
    """The time for which the newest successful run was scheduled, or at which it began; None without one."""
    found: datetime | None = await fetch_value(connection, _LAST_DONE, (job,))
    return found


async def get(connection: Connection, run_id: int) -> JobRun:
    """One run. Raises LookupError if there is none of this id."""
    found = await _runs(connection, _GET, (run_id,))
    if not found:
        raise LookupError(run_id)
    return found[0]


async def newest(connection: Connection, job: str, *, most: int) -> list[JobRun]:
    """At most `most` runs of the job, the newest first."""
    return await _runs(connection, _NEWEST, (job, most))


async def _runs(
    connection: Connection, query: LiteralString, values: tuple[Any, ...]
) -> list[JobRun]:
    return await fetch_rows(connection, JobRun, query, values)
