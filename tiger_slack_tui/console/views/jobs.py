"""The view Jobs: scheduled jobs, advisory locks, migrations, and the database's sessions and tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content

from tiger_slack_tui import __version__
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.sizes import byte_size
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.console.actions import JOBS, action
from tiger_slack_tui.console.formats import brief, moment
from tiger_slack_tui.console.model.database_state import (
    AdvisoryLock,
    MigrationFileState,
    MigrationFileStatus,
    Session,
    TableSize,
    lock_name,
)
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.monitor import RUNS as RUNS_READ
from tiger_slack_tui.console.panes.jobs import (
    FILE_FIELDS,
    FILES,
    JOB_FIELDS,
    LOCK_FIELDS,
    LOCKS,
    RUN_FIELDS,
    RUNS,
    SESSION_FIELDS,
    SESSIONS,
    SIZE_FIELDS,
    SIZES,
    outcome,
    paint_file,
    paint_run,
    paint_session,
    paint_size,
    progress_left,
)
from tiger_slack_tui.console.panes.jobs import (
    JOBS as JOB_COLUMNS,
)
from tiger_slack_tui.console.panes.paint import (
    BAD,
    GOOD,
    KEY,
    NOTE,
    line,
    pairs,
    wrapped,
)
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.views.view import View
from tiger_slack_tui.jobs.status import JobStatus
from tiger_slack_tui.store.job_runs import JobRun, RunOutcome


class JobsView(View):
    """Shows jobs with their last runs, the holders of advisory locks, the migrations, and the database.

    A job runs in one instance at a time, under its lock. An instance that finds the lock taken skips the run.
    """

    NAME: ClassVar[str] = JOBS

    def compose(self) -> ComposeResult:
        def key_of_lock(lock: AdvisoryLock) -> tuple[int, int]:
            return (lock.key, lock.pid)

        yield Pane[JobStatus](
            self._paint_job,
            id="job-list",
            key=lambda job: job.name,
            selectable=True,
            fields=JOB_FIELDS,
        )
        yield Pane[AdvisoryLock](
            self._paint_lock, id="locks", key=key_of_lock, selectable=True, fields=LOCK_FIELDS
        )
        yield Pane[JobRun](
            paint_run, id="runs", key=lambda run: run.id, selectable=True, fields=RUN_FIELDS
        )
        yield Pane[MigrationFileStatus](
            paint_file,
            id="migrations",
            key=lambda file: file.name,
            selectable=True,
            fields=FILE_FIELDS,
        )
        yield Pane[Session](
            paint_session,
            id="sessions",
            key=lambda session: session.pid,
            selectable=True,
            fields=SESSION_FIELDS,
        )
        yield Pane[TableSize](
            paint_size, id="sizes", key=lambda size: size.name, selectable=True, fields=SIZE_FIELDS
        )

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
                note=f"cron {database.jobs[0].schedule} {database.jobs[0].time_zone}"
                if database.jobs
                else "",
                head=JOB_COLUMNS.head,
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
                newest=0,
                left_out=f"the newest {RUNS_READ}"
                if chosen and len(chosen.runs) == RUNS_READ
                else "",
                head=RUNS.head,
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
                note=model.note_of(
                    "locks", f"{held} held" + (f" · {queued} waiting" if queued else "")
                ),
                head=LOCKS.head,
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
        note = ""
        if found:
            same = found.database_version == found.version
            note = f"database {found.database_version or 'none'}"
            note += " ✓" if same else f" ▲ program {found.version}"
            note += f" · {found.pending} pending" if found.pending else ""
            note += " · migrating …" if model.is_migrating else ""
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
                head=FILES.head,
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
                note=model.note_of("sessions", f"{len(database.sessions)} · {active} active"),
                head=SESSIONS.head,
                empty_text=model.empty_text("sessions"),
                is_old=model.is_old("sessions"),
                problem=model.error_of("sessions"),
            )
        )
        server = ", ".join(filter(None, (database.postgresql, database.timescaledb)))
        total = model.note_of("sizes", byte_size(sum(size.bytes for size in database.sizes)))
        self.query_one("#sizes", Pane).show(
            Body(
                rows=database.sizes,
                title="tables",
                note=" · ".join(filter(None, (server, total))),
                head=SIZES.head,
                empty_text=model.empty_text("sizes"),
                is_old=model.is_old("sizes"),
                problem=model.error_of("sizes"),
            )
        )

    def _paint_job(self, job: JobStatus, width: int) -> Content:
        last = job.present
        now = self._model.at if self._model else 0.0
        took = since = "-"
        if last is not None:
            since = brief(now - last.started_at.timestamp())
            end = last.finished_at.timestamp() if last.finished_at else now
            took = brief(end - last.started_at.timestamp())
        wait = job.next_run - datetime.fromtimestamp(now, UTC)
        return JOB_COLUMNS.row(
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
                f"in {brief(wait.total_seconds())}",
            ],
        )

    def _paint_lock(self, lock: AdvisoryLock, width: int) -> Content:
        model = self._model
        is_ours = model is not None and lock.application_name == model.instance
        since = brief(model.at - lock.since.timestamp()) if model and lock.since else "-"
        who = f"{lock.application_name or 'unnamed'} ({lock.host})"
        return LOCKS.row(
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
            self.query_one("#runs", Pane).follow()

    def _job(self) -> JobStatus | None:
        pane: Pane[JobStatus] = self.query_one("#job-list", Pane)
        return pane.row

    @action("jobs.details", "enter", "Details", shown="Enter")
    def act_details(self) -> None:
        """Show the whole row."""
        pane = self.pane
        if pane is not None and pane.row is not None:
            self.host.read(str(pane.body.title), partial(_details, pane.row))

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
        return self._model is not None and self._model.has_engine and self._job() is not None

    @action("jobs.migrate", "M,shift+m", "Migrate", changes=True)
    def act_migrate(self) -> None:
        """Apply the pending migrations."""
        found = self._model.database.migrations if self._model else None
        if found is None:
            return
        due = [file.name for file in found.files if file.state is not MigrationFileState.APPLIED]

        async def migrate() -> str:
            ran = await self.host.operator.migrate()
            return f"Applied {amount(len(ran), 'file')}; the database has version {__version__}"

        self.host.confirm_and_run(
            f"Bring the database from {found.database_version or 'nothing'} to {__version__}?",
            ["All files run in one transaction, under a lock that other instances wait for.", *due],
            verb="Migrate",
            what="Migration",
            work=migrate,
        )

    @act_migrate.when
    def _can_migrate(self) -> bool:
        model = self._model
        found = model.database.migrations if model else None
        return (
            model is not None and found is not None and found.pending > 0 and not model.is_migrating
        )


def _details(row: object, width: int) -> Iterator[Content]:
    """All about a row of any pane."""
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
            if row.present is not None and progress_left(row.present):
                yield from pairs(width, ("progress", str(row.present.progress)))
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


def _fields(row: Any) -> list[tuple[str, object]]:
    """The names and values of a dataclass's fields."""
    return list(asdict(row).items())
