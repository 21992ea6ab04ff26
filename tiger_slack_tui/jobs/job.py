"""A job, and a run of it while the job works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store import job_runs
from tiger_slack_tui.store.job_runs import RunReason

_BAD_ROWS = 20
"""Refused rows that are stored with their ids. All refused rows are counted."""


@dataclass(slots=True)
class ActiveRun:
    """A run of a job, while the job works.

    `connection` holds the job's lock as long as it is open, and commits each statement by itself. The job writes only
    through it, so it never writes without the lock.
    """

    id: int
    connection: Connection
    cursor: str | None
    """Slack's cursor of the next page; None before the first page."""
    seen: int = 0
    changed: int = 0
    failed: int = 0
    bad_rows: list[dict[str, str]] = field(default_factory=list)
    incomplete: str | None = None
    """What the job could not do, though it came to its end; None if it did all."""

    async def advance(
        self,
        *,
        seen: int,
        changed: int,
        bad_rows: list[dict[str, str]] | None = None,
        cursor: str | None = None,
        progress: str | None = None,
    ) -> None:
        """Add to the counts what was done since the last call, and save them with the cursor.

        `progress` says in words how far the run is.
        """
        bad_rows = bad_rows or []
        self.seen += seen
        self.changed += changed
        self.failed += len(bad_rows)
        self.bad_rows = (self.bad_rows + bad_rows)[:_BAD_ROWS]
        self.cursor = cursor
        await job_runs.save_progress(
            self.connection,
            self.id,
            seen=self.seen,
            changed=self.changed,
            failed=self.failed,
            bad_rows=self.bad_rows,
            cursor=cursor,
            progress=progress,
        )


@dataclass(frozen=True, slots=True)
class Job:
    """Work that one instance at a time does, and that slack.job_run records."""

    name: str
    lock_key: int
    """The advisory lock that its session holds."""
    work: Callable[[ActiveRun], Awaitable[None]]
    is_wanted: Callable[[Connection], Awaitable[bool]] | None = None
    """Whether there is something to do before its scheduled time."""
    is_scheduled: bool = True
    """False if it runs only when an operator starts it."""
    wanted_reason: RunReason = RunReason.GAP
    """Why a run begins that `is_wanted` asks for."""
    has_time_limit: bool = True
    """Whether a run is ended after TIGER_SLACK_JOBS_TIMEOUT."""
