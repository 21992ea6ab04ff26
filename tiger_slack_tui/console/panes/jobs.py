"""How the view Jobs shows its rows: jobs and their runs, locks, migrations, sessions and tables."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from tiger_slack_tui.base.sizes import byte_size
from tiger_slack_tui.console.formats import brief, moment
from tiger_slack_tui.console.model.database_state import (
    COUNTED_ROWS,
    AdvisoryLock,
    MigrationFileState,
    MigrationFileStatus,
    Session,
    TableSize,
    lock_name,
)
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.paint import (
    BAD,
    DIM,
    GOOD,
    KEY,
    NOTE,
    Column,
    Columns,
    StyledText,
)
from tiger_slack_tui.jobs.status import JobStatus
from tiger_slack_tui.store.job_runs import JobRun, RunOutcome

JOBS = Columns(
    Column("job", 10),
    Column("state", 12),
    Column("last start", 19, least=90),
    Column("ago", 6, right=True),
    Column("took", 6, right=True),
    Column("seen", 7, right=True),
    Column("changed", 7, right=True),
    Column("failed", 6, right=True, least=86),
    Column("next"),
)
RUNS = Columns(
    Column("started", 19),
    Column("took", 7, right=True),
    Column("outcome", 11),
    Column("seen", 9, right=True),
    Column("changed", 8, right=True),
    Column("why", 11, least=100),
    Column("by / error"),
)
LOCKS = Columns(
    Column("lock", 12),
    Column("state", 8),
    Column("pid", 8, right=True),
    Column("since", 7, right=True),
    Column("who"),
)
FILES = Columns(
    Column("file"),
    Column("state", 9),
    Column("applied at", 19, least=70),
    Column("by", 8),
)
SESSIONS = Columns(
    Column("pid", 8, right=True),
    Column("who", 30),
    Column("state", 12),
    Column("for", 7, right=True),
    Column("wait", 18, least=74),
    Column("query"),
)
SIZES = Columns(
    Column("table", 16),
    Column("rows", 12, right=True),
    Column("size", 10, right=True),
    Column("chunks"),
)
_RUN_STYLES: Mapping[str | None, tuple[str, str]] = {
    None: ("▶ running", KEY),
    RunOutcome.DONE: ("✓ done", GOOD),
    RunOutcome.INCOMPLETE: ("○ incomplete", NOTE),
    RunOutcome.SKIPPED: ("○ skipped", DIM),
    RunOutcome.CANCELLED: ("○ cancelled", NOTE),
}


def outcome(run: JobRun | None) -> tuple[str, str]:
    """Text and style of how a run ended."""
    if run is None:
        return ("○ never ran", DIM)
    if run.outcome is None and run.percent is not None:
        return (f"▶ {run.percent} %", KEY)
    if run.outcome is None and run.progress is not None:
        return (f"▶ {run.progress.partition(',')[0]}", KEY)
    return _RUN_STYLES.get(run.outcome, (f"✗ {run.outcome}", BAD))


def progress_left(run: JobRun) -> str:
    """The progress of a run without its percentage, the last part first: what it waits for, or the time left.

    So the most wanted part is what a narrow column shows. Empty for a run without progress, and one that has ended.
    """
    if run.outcome is not None or run.progress is None:
        return ""
    return ", ".join(reversed(run.progress.split(", ")[1:]))


def paint_run(run: JobRun, width: int) -> Content:
    """A run of a job."""
    took = brief((run.finished_at - run.started_at).total_seconds()) if run.finished_at else "…"
    about: StyledText = (
        (run.error, BAD if run.outcome != RunOutcome.SKIPPED else DIM)
        if run.error
        else progress_left(run) or run.instance
    )
    return RUNS.row(
        width,
        [
            moment(run.started_at),
            took,
            outcome(run),
            f"{run.rows_seen:,}",
            f"{run.rows_changed:,}",
            (run.reason, DIM),
            about,
        ],
    )


def paint_file(file: MigrationFileStatus, width: int) -> Content:
    """A migration file."""
    style = {MigrationFileState.APPLIED: GOOD, MigrationFileState.PENDING: NOTE}.get(
        file.state, BAD
    )
    symbol = {MigrationFileState.APPLIED: "✓", MigrationFileState.PENDING: "▲"}.get(file.state, "✗")
    return FILES.row(
        width,
        [
            file.name,
            (f"{symbol} {file.state.value}", style),
            moment(file.applied_at),
            file.applied_at_version or "-",
        ],
    )


def paint_size(size: TableSize, width: int) -> Content:
    """A table."""
    about = ""
    if size.chunks:
        about = f"columnstore {size.compressed}/{size.chunks}"
        if size.waiting:
            about += f", {size.waiting} wait"
        if size.bytes_before and size.bytes_after:
            about += f", {size.bytes_before / size.bytes_after:.0f}x smaller"
    return SIZES.row(width, [size.name, _rows(size.rows), byte_size(size.bytes), (about, DIM)])


def _rows(number: int) -> str:
    """The number of a table's rows: exact, or an estimate with a ~."""
    if number <= COUNTED_ROWS:
        return f"{number:,}"
    return f">{COUNTED_ROWS:,}" if number == COUNTED_ROWS + 1 else f"~{number:,}"


def paint_session(session: Session, width: int) -> Content:
    """A session of the database."""
    busy = session.state == "active"
    return SESSIONS.row(
        width,
        [
            str(session.pid),
            session.application_name or session.host,
            (session.state or "hidden", KEY if busy else DIM),
            brief(session.seconds),
            (session.wait, DIM),
            " ".join(session.query.split()),
        ],
    )


JOB_FIELDS = (
    Field[JobStatus]("job", lambda job: job.name),
    Field[JobStatus]("state", lambda job: outcome(job.present)[0]),
    Field[JobStatus]("last start", lambda job: getattr(job.present, "started_at", None)),
    Field[JobStatus]("seen", lambda job: getattr(job.present, "rows_seen", None)),
    Field[JobStatus]("changed", lambda job: getattr(job.present, "rows_changed", None)),
    Field[JobStatus]("failed", lambda job: getattr(job.present, "rows_failed", None)),
    Field[JobStatus]("next", lambda job: job.next_run),
)
RUN_FIELDS = (
    Field[JobRun]("started", lambda run: run.started_at),
    Field[JobRun]("finished", lambda run: run.finished_at),
    Field[JobRun]("outcome", lambda run: outcome(run)[0]),
    Field[JobRun]("seen", lambda run: run.rows_seen),
    Field[JobRun]("changed", lambda run: run.rows_changed),
    Field[JobRun]("why", lambda run: run.reason),
    Field[JobRun]("by", lambda run: run.instance),
    Field[JobRun]("error", lambda run: run.error),
)
LOCK_FIELDS = (
    Field[AdvisoryLock]("lock", lambda lock: lock_name(lock.key)),
    Field[AdvisoryLock]("state", lambda lock: "held" if lock.is_held else "waits"),
    Field[AdvisoryLock]("pid", lambda lock: lock.pid),
    Field[AdvisoryLock]("since", lambda lock: lock.since),
    Field[AdvisoryLock]("who", lambda lock: lock.application_name or lock.host),
)
FILE_FIELDS = (
    Field[MigrationFileStatus]("file", lambda file: file.name),
    Field[MigrationFileStatus]("state", lambda file: file.state.value),
    Field[MigrationFileStatus]("applied at", lambda file: file.applied_at),
    Field[MigrationFileStatus]("by", lambda file: file.applied_at_version),
)
SESSION_FIELDS = (
    Field[Session]("pid", lambda session: session.pid),
    Field[Session]("who", lambda session: session.application_name or session.host),
    Field[Session]("state", lambda session: session.state),
    Field[Session]("for", lambda session: session.seconds),
    Field[Session]("wait", lambda session: session.wait),
    Field[Session]("query", lambda session: session.query),
)
SIZE_FIELDS = (
    Field[TableSize]("table", lambda size: size.name),
    Field[TableSize]("rows", lambda size: size.rows),
    Field[TableSize]("size", lambda size: size.bytes),
    Field[TableSize]("chunks", lambda size: size.chunks),
)
