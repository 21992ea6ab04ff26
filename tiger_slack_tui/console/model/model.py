"""What the views show: a sample of the engine, the database's answers, the log and the imports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tiger_slack_tui.base.snapshot import Snapshot
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.console.formats import age
from tiger_slack_tui.console.model.database_state import DatabaseState
from tiger_slack_tui.console.model.event_counts import EventCounts
from tiger_slack_tui.console.model.findings import NO_FINDINGS, Findings, StoredFindings
from tiger_slack_tui.console.model.log_ring import LogLine
from tiger_slack_tui.console.model.rates import Rates
from tiger_slack_tui.console.model.read_errors import STALE_ANSWER_SECONDS
from tiger_slack_tui.imports.state import ImportState, Phase
from tiger_slack_tui.store.instances import Instance


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """The progress of this process's import, in a few numbers."""

    phase: Phase
    path: str
    share: float
    """Of its bytes."""
    rate: float
    """Records a second."""
    seconds_left: float | None
    files: int
    files_done: int
    bad: int
    """Bad records and files."""


@dataclass(frozen=True, slots=True)
class Model:
    """The state at `at`. It never changes.

    `engine` is None until it is made, and always in a console that only observes.
    """

    at: float
    instance: str
    engine: Snapshot | None
    rates: Rates
    database: DatabaseState
    log: tuple[LogLine, ...]
    has_engine: bool = False
    """Whether this process has an engine, which can run jobs and backfills."""
    stored_findings: StoredFindings = field(default_factory=StoredFindings)
    stored_findings_age: float | None = None
    """Seconds since the findings were read from the database."""
    stored_findings_waited: float = 0.0
    """Seconds for which a view has waited for them."""
    findings: Findings = NO_FINDINGS
    """The stored findings merged with those that the engine saw."""
    import_state: ImportState | None = None
    """A copy of the present import, or of the last one."""
    check_state: ImportState | None = None
    """A copy of the present check of an archive, or of the last one."""
    window: int = 120
    """Seconds that charts show."""
    event_counts: EventCounts | None = None
    """The events of these seconds, if they are more than `rates` has."""
    live_limit: float | None = None
    """Seconds (p95) that live acks may take before an import waits for them; None if it never waits."""
    read_only: bool = False
    is_observing: bool = False
    is_frozen: bool = False
    """Whether this is a copy of an earlier moment, which the operator looks at."""

    @property
    def import_summary(self) -> ImportSummary | None:
        """The progress of this process's import; None if it has none."""
        return None if self.import_state is None else _summary_of(self.import_state)

    @property
    def instances(self) -> Sequence[Instance]:
        """The instances. What is known of them grows older while the database is not read."""
        database = self.database
        if not self.is_old("instances"):
            return database.instances
        more = self.at - (database.at or self.at)
        return [replace(row, read_age=more) for row in database.instances]

    @property
    def is_silent(self) -> bool:
        """Whether no instance reports to this console that only observes: what it shows is of an earlier time."""
        return self.is_observing and not any(row.is_running for row in self.instances)

    @property
    def seen_ago(self) -> str:
        """When an instance last reported, as a phrase."""
        return self._of_silence("as of {} ago")

    @property
    def silent_for(self) -> str:
        """For how long no instance has reported, as a phrase."""
        return self._of_silence("silent for {}")

    def _of_silence(self, phrase: str) -> str:
        """The phrase with the time since an instance last reported."""
        if self.database.at is None:
            return self.read_ago
        ages = [row.silence for row in self.instances if not row.is_stopped]
        return phrase.format(age(min(ages))) if ages else "none runs"

    @property
    def instances_counted(self) -> str:
        """How many of the instances that were not stopped report now, as a phrase."""
        rows = [row for row in self.instances if not row.is_stopped]
        running = sum(row.is_running for row in rows)
        some = "" if running == len(rows) else f"{running:,} of "
        return some + amount(len(rows), "instance")

    @property
    def is_database_old(self) -> bool:
        """Whether its answers are old: the database does not answer, or has not for some time."""
        database = self.database
        return database.problem is not None or bool(
            database.at and self.at - database.at > STALE_ANSWER_SECONDS
        )

    @property
    def last_read(self) -> str | None:
        """When the database was read, as a phrase; None if that is just now."""
        return self.read_ago if self.is_database_old and self.database.at is not None else None

    @property
    def read_ago(self) -> str:
        """When the database was read, as a phrase."""
        at = self.database.at
        return "not read yet" if at is None else f"as of {age(self.at - at)} ago"

    @property
    def database_problem_text(self) -> str | None:
        """Why its answers are old, when they were read, and when the next try is; None if they are new."""
        database, old = self.database, self.last_read
        if database.problem is None:
            return old
        retry = (
            f", again in {max(database.retry_at - self.at, 0):.0f} s" if database.retry_at else ""
        )
        return f"{database.problem}{f' ({old})' if old else ''}{retry}"

    @property
    def is_migrating(self) -> bool:
        """Whether this process is about to migrate the schema, or has, and the schema was not read since."""
        database, engine = self.database, self.engine
        found = database.migrations
        if self.is_observing or found is None or found.is_current:
            return False
        since = engine.schema_since if engine else None
        return since is None or database.asked.get("migrations", since) < since

    @property
    def has_tables(self) -> bool:
        """Whether the schema is there, as far as is known. Without it, questions about its tables only fail."""
        found = self.database.migrations
        is_empty = found is not None and found.database_version is None
        return self.database.at is not None and not (is_empty and self.is_migrating)

    def is_old(self, *names: str) -> bool:
        """Whether one of the named answers of the database is old."""
        return self.is_database_old or any(name in self.database.problems for name in names)

    def error_of(self, *names: str) -> str | None:
        """Why one of the named answers is old although the database answers; None if none is."""
        problems = self.database.problems
        return next(
            (f"cannot be read: {problems[name]}" for name in names if name in problems), None
        )

    def empty_text(self, name: str, *otherwise: str) -> Sequence[str]:
        """What a pane says if the fact has no rows. `otherwise` is for the case that the database really has none."""
        if name in self.database.problems:
            return ("This could not be read.",)
        return otherwise if name in self.database.asked else (self.asking_text,)

    @property
    def asking_text(self) -> str:
        """What a pane says before its fact was read."""
        if self.is_migrating:
            return "The schema is being migrated. This is read as soon as it is there …"
        return "Asking the database …"

    def note_of(self, name: str, note: str) -> str:
        """The note of a pane that shows the fact: `note`, or "reading …" before it was read."""
        return note if name in self.database.asked else "reading …"

    def frozen(self) -> Model:
        """The same model, marked as one of an earlier moment."""
        return replace(self, is_frozen=True)


def _summary_of(state: ImportState) -> ImportSummary:
    """The progress of an import, in a few numbers."""
    ledger = state.ledger
    return ImportSummary(
        phase=state.phase,
        path=str(state.request.path),
        share=state.share,
        rate=state.rate,
        seconds_left=state.seconds_left,
        files=ledger.files,
        files_done=ledger.files_done,
        bad=state.num_bad,
    )
