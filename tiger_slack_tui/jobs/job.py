"""What a job is, and the run that it reports to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store import job_runs

_BAD_ROWS = 20
"""Refused rows that are kept by name; all are counted."""


@dataclass(slots=True)
class Run:
    """A run under way.

    `connection` holds the job's lock for as long as it lives, and commits each statement by itself. All writes of
    the job go through it: without the lock there is no writing.
    """

    id: int
    connection: Connection
    cursor: str | None
    """Where to begin: the run before this one stopped there."""
    seen: int = 0
    changed: int = 0
    failed: int = 0
    bad_rows: list[dict[str, str]] = field(default_factory=list)

    async def advance(
        self,
        *,
        seen: int,
        changed: int,
        bad_rows: list[dict[str, str]] | None = None,
        cursor: str | None = None,
    ) -> None:
        """Count what was done since the last call, and keep where to go on."""
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
        )


@dataclass(frozen=True, slots=True)
class Job:
    """Something that one instance at a time does, and `slack.job_run` tells of."""

    name: str
    lock_key: int
    """Advisory lock of the session that runs it."""
    work: Callable[[Run], Awaitable[None]]
    is_wanted: Callable[[Connection], Awaitable[bool]] | None = None
    """Whether there is something to do before its time comes."""
    is_scheduled: bool = True
    """False where it runs by hand only."""
