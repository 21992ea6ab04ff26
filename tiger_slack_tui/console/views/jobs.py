"""The view Jobs: scheduled jobs, advisory locks, migrations, and the database's sessions and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, ClassVar

import humanize
from textual.app import ComposeResult
from textual.content import Content

from tiger_slack_tui import __version__
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.console.actions import JOBS, action
from tiger_slack_tui.console.formats import age, moment
from tiger_slack_tui.console.model.database_state import (
    AdvisoryLock,
    MigrationFileState,
    MigrationFileStatus,
    Session,
    TableSize,
    lock_name,
)
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.paint import (
    BAD,
    DIM,
    GOOD,
    KEY,
    NOTE,
    Column,
    Columns,
    StyledText,
    line,
    pairs,
    wrapped,
)
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.views.view import View
from tiger_slack_tui.jobs.status import JobStatus
from tiger_slack_tui.store.job_runs import JobRun, RunOutcome

_JOBS = Columns(
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
_RUNS = Columns(
    Column("started", 19),
    Column("took", 7, right=True),
    Column("outcome", 11),
    Column("seen", 9, right=True),
    Column("changed", 8, right=True),
    Column("why", 11, least=100),
    Column("by / error"),
)
_LOCKS = Columns(
    Column("lock", 12),
    Column("state", 8),
    Column("pid", 8, right=True),
    Column("since", 7, right=True),
    Column("who"),
)
_FILES = Columns(
    Column("file"),
    Column("state", 9),
    Column("applied at", 19, least=70),
    Column("by", 8),
)
_SESSIONS = Columns(
    Column("pid", 8, right=True),
    Column("who", 30),
    Column("state", 12),
    Column("for", 7, right=True),
    Column("wait", 18, least=74),
    Column("query"),
)
_SIZES = Columns(
    Column("table", 16),
    Column("rows", 12, right=True),
    Column("size", 10, right=True),
    Column("chunks"),
)
_RUN_STYLES: Mapping[str | None, tuple[str, str]] = {
    None: ("▶ running", KEY),
    RunOutcome.DONE: ("✓ done", GOOD),
    RunOutcome.SKIPPED: ("○ skipped", DIM),
    RunOutcome.CANCELLED: ("○ cancelled", NOTE),
}


def outcome(run: JobRun | None) -> tuple[str, str]:
    """Text and style of how a run ended."""
    if run is None:
        return ("○ never ran", DIM)
    return _RUN_STYLES.get(run.outcome, (f"✗ {run.outcome}", BAD))


def paint_run(run: JobRun, width: int) -> Content:
    """A run of a job."""
    took = age((run.finished_at - run.started_at).total_seconds()) if run.finished_at else "…"
    about: StyledText = (
        (run.error, BAD if run.outcome != RunOutcome.SKIPPED else DIM)
        if run.error
        else run.instance
    )
    return _RUNS.row(
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
    return _FILES.row(
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
        about = f"{size.chunks} chunks, {size.compressed} in the columnstore"
        if size.bytes_before and size.bytes_after:
            about += f", {size.bytes_before / size.bytes_after:.0f} times smaller"
    return _SIZES.row(
        width, [size.name, f"~{size.rows:,}", humanize.naturalsize(size.bytes), (about, DIM)]
    )


def paint_session(session: Session, width: int) -> Content:
    """A session of the database."""
    busy = session.state == "active"
    return _SESSIONS.row(
        width,
        [
            str(session.pid),
            session.application_name or session.host,
            (session.state or "hidden", KEY if busy else DIM),
            age(session.seconds),
            (session.wait, DIM),
            " ".join(session.query.split()),
        ],
    )


class JobsView(View):
    """Shows jobs with their last runs, the holders of advisory locks, the migrations, and the database.

    A job runs in one instance at a time, under its lock. An instance that finds the lock taken skips the run.
    """

    NAME: ClassVar[str] = JOBS

    def compose(self) -> ComposeResult:
        yield Pane[JobStatus](
            self._paint_job, id="job-list", key=lambda job: job.name, selectable=True
        )
        yield Pane[AdvisoryLock](
            self._paint_lock, id="locks", key=lambda lock: (lock.key, lock.pid), selectable=True
        )
        yield Pane[JobRun](paint_run, id="runs", key=lambda run: run.id, selectable=True)
        yield Pane[MigrationFileStatus](
            paint_file, id="migrations", key=lambda file: file.name, selectable=True
        )
        yield Pane[Session](
            paint_session, id="sessions", key=lambda session: session.pid, selectable=True
        )
        yield Pane[TableSize](paint_size, id="sizes", key=lambda size: size.name, selectable=True)

    def on_mount(self) -> None:
        self._model: Model | None = None

    def show(self, model: Model) -> None:
        self._model = model
        database = model.database
        jobs: Pane[JobStatus] = self.query_one("#job-list", Pane)
        jobs.show(
            Body(
                rows=database.jobs,
                title="jobs",
                note=f"{database.jobs[0].schedule} {database.jobs[0].time_zone}"
                if database.jobs
                else "",
                head=_JOBS.head,
                empty_text=model.empty_text("jobs"),
                is_old=model.is_old("jobs"),
                problem=model.database_problem_text or model.error_of("jobs"),
            )
        )
        chosen = jobs.row
        self.query_one("#runs", Pane).show(
            Body(
                rows=chosen.runs if chosen else (),
                title=f"runs of {chosen.name}" if chosen else "runs",
                head=_RUNS.head,
                empty_text=("This job never ran. R runs it now.",)
                if chosen
                else model.empty_text("jobs"),
                is_old=model.is_old("jobs"),
            )
        )
        self._show_locks(model)
        self._show_migrations(model)
        self._show_database(model)

    def _show_locks(self, model: Model) -> None:
        database = model.database
        held = sum(lock.is_held for lock in database.locks)
        queued = len(database.locks) - held
        self.query_one("#locks", Pane).show(
            Body(
                rows=database.locks,
                title="advisory locks",
                note=f"{held} held" + (f" · {queued} waiting" if queued else ""),
                head=_LOCKS.head,
                empty_text=model.empty_text(
                    "locks", "All are free: no job, migration or import is running."
                ),
                is_old=model.is_old("locks"),
                problem=model.error_of("locks"),
            )
        )

    def _show_migrations(self, model: Model) -> None:
        found = model.database.migrations
        files = found.files if found else ()
        pending = sum(file.state is MigrationFileState.PENDING for file in files)
        note = ""
        if found:
            same = found.database_version == found.version
            note = f"database {found.database_version or 'none'}"
            note += " ✓" if same else f" ▲ program {found.version}"
            note += f" · {pending} pending" if pending else ""
        self.query_one("#migrations", Pane).show(
            Body(
                rows=sorted(
                    files,
                    key=lambda file: (
                        file.state is not MigrationFileState.PENDING,
                        file.name,
                    ),
                ),
                title="migrations",
                note=note,
                head=_FILES.head,
                empty_text=model.empty_text("migrations"),
                is_old=model.is_old("migrations"),
                problem=model.error_of("migrations"),
            )
        )

    def _show_database(self, model: Model) -> None:
        database = model.database
        active = sum(session.state == "active" for session in database.sessions)
        self.query_one("#sessions", Pane).show(
            Body(
                rows=database.sessions,
                title="database sessions",
                note=f"{len(database.sessions)} · {active} active",
                head=_SESSIONS.head,
                empty_text=model.empty_text("sessions"),
                is_old=model.is_old("sessions"),
                problem=model.error_of("sessions"),
            )
        )
        server = (
            f"PostgreSQL {database.migrations.postgresql.split()[0]}" if database.migrations else ""
        )
        if database.extension:
            server += f", TimescaleDB {database.extension.version} {database.extension.edition}"
        self.query_one("#sizes", Pane).show(
            Body(
                rows=database.sizes,
                title="tables",
                note=f"{server} · {humanize.naturalsize(sum(s.bytes for s in database.sizes))}",
                head=_SIZES.head,
                empty_text=model.empty_text("sizes"),
                is_old=model.is_old("sizes"),
                problem=model.error_of("sizes"),
            )
        )

    def _paint_job(self, job: JobStatus, width: int) -> Content:
        last = job.runs[0] if job.runs else None
        now = self._model.at if self._model else 0.0
        took = since = "-"
        if last is not None:
            since = age(now - last.started_at.timestamp())
            end = last.finished_at.timestamp() if last.finished_at else now
            took = age(end - last.started_at.timestamp())
        wait = job.next_run - datetime.fromtimestamp(now, UTC)
        return _JOBS.row(
            width,
            [
                job.name,
                outcome(last),
                moment(last.started_at if last else None),
                since,
                took,
                f"{last.rows_seen:,}" if last else "-",
                f"{last.rows_changed:,}" if last else "-",
                f"{last.rows_failed:,}" if last else "-",
                f"in {age(wait.total_seconds())}",
            ],
        )

    def _paint_lock(self, lock: AdvisoryLock, width: int) -> Content:
        model = self._model
        is_ours = model is not None and lock.application_name == model.instance
        since = age(model.at - lock.since.timestamp()) if model and lock.since else "-"
        who = f"{lock.application_name or 'unnamed'} ({lock.host})"
        return _LOCKS.row(
            width,
            [
                lock_name(lock.key),
                ("held", GOOD) if lock.is_held else ("waits", NOTE),
                str(lock.pid),
                since,
                ("ours", KEY) if is_ours else who,
            ],
        )

    def on_descendant_focus(self) -> None:
        self.set_class(self.pane is self.query_one("#job-list"), "-home")

    def on_pane_selected(self, event: Pane.Selected) -> None:
        if event.pane.id == "job-list" and self._model is not None:
            self.show(self._model)

    def _job(self) -> JobStatus | None:
        pane: Pane[JobStatus] = self.query_one("#job-list", Pane)
        return pane.row

    @action("jobs.details", "enter", "Details", shown="Enter")
    def act_details(self) -> None:
        """Show the whole row."""
        pane = self.pane
        if pane is not None and pane.row is not None:
            self.host.read(str(pane.body.title), list(self._details(pane.row)))

    def _details(self, row: object) -> Iterator[Content]:
        width = self.size.width - 4
        match row:
            case JobStatus():
                coming = f"{row.next_run:%Y-%m-%d %H:%M:%S %Z}"
                held = str(row.holder) if row.holder else "free"
                yield from pairs(
                    width,
                    ("job", row.name),
                    ("schedule", f"{row.schedule} ({row.time_zone})"),
                    ("next run", coming),
                    ("lock", f"{row.lock_key}, {held}"),
                )
                yield Content("")
                yield from (paint_run(run, width) for run in row.runs)
            case JobRun(error=error):
                given = ((name, str(value)) for name, value in _fields(row) if name != "error")
                yield from pairs(width, *given, name=16)
                yield from wrapped(error or "", width)
            case MigrationFileStatus(difference=difference):
                yield from pairs(width, *((n, str(v)) for n, v in _fields(row)[:4]), name=22)
                yield Content("")
                for text in (difference or "").splitlines():
                    style = {"+": GOOD, "-": BAD, "@": KEY}.get(text[:1], "")
                    yield line((text, style))
            case AdvisoryLock(query=query) | Session(query=query):
                given = ((name, str(value)) for name, value in _fields(row) if name != "query")
                yield from pairs(width, *given, name=18)
                yield Content("")
                yield from wrapped(query, width)
            case _:
                yield from pairs(width, *((n, str(v)) for n, v in _fields(row)), name=16)

    @action("jobs.run_job", "R,shift+r", "Run job now", changes=True)
    def act_run_job(self) -> None:
        """Run the selected job now."""
        job = self._job()
        if job is None:
            return
        held = (
            [f"{job.holder} is running it now, so this run would be skipped."] if job.holder else []
        )

        async def run_job() -> str:
            run = await self.host.operator.run_job(job.name)
            text = (
                f"{job.name}: {run.outcome}, {run.rows_seen:,} seen, {run.rows_changed:,} changed"
            )
            if run.outcome not in (RunOutcome.DONE, RunOutcome.SKIPPED):
                raise TigerSlackError(f"{text}. {run.error or ''}")
            return f"{text}. {run.error or ''}"

        self.host.confirm_and_run(
            f"Run the job {job.name} now?",
            [
                f"Its schedule does not change: the next run is at {job.next_run:%Y-%m-%d %H:%M %Z}.",
                *held,
            ],
            verb="Run now",
            what=f"Job {job.name}",
            work=run_job,
        )

    @act_run_job.when
    def _can_run_job(self) -> bool:
        return self.backend.engine is not None and self._job() is not None

    @action("jobs.migrate", "M,shift+m", "Migrate", changes=True)
    def act_migrate(self) -> None:
        """Apply the pending migrations."""
        found = self._model.database.migrations if self._model else None
        if found is None:
            return
        due = [file.name for file in found.files if file.state is not MigrationFileState.APPLIED]

        async def migrate() -> str:
            ran = await self.host.operator.migrate()
            return f"Applied {len(ran)} files; the database has version {__version__}"

        self.host.confirm_and_run(
            f"Bring the database from {found.database_version or 'nothing'} to {__version__}?",
            ["All files run in one transaction, under a lock that other instances wait for.", *due],
            verb="Migrate",
            what="Migration",
            work=migrate,
        )

    @act_migrate.when
    def _can_migrate(self) -> bool:
        found = self._model.database.migrations if self._model else None
        return found is not None and any(f.state is MigrationFileState.PENDING for f in found.files)


def _fields(row: Any) -> list[tuple[str, object]]:
    """The names and values of a dataclass's fields."""
    return list(asdict(row).items())
