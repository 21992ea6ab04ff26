"""What the monitor knows of the database, with the types of its rows, which the views show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiger_slack_tui.console.model.rates import Rates
from tiger_slack_tui.jobs.status import JobStatus
from tiger_slack_tui.postgres.introspection import COUNTED_ROWS, Session, TableSize
from tiger_slack_tui.postgres.lock_keys import IMPORT_LOCK_CLASS, JOB_LOCK_KEYS, MIGRATION_LOCK_KEY
from tiger_slack_tui.postgres.locks import AdvisoryLock
from tiger_slack_tui.postgres.migrate.files import MigrationFileState
from tiger_slack_tui.postgres.migrate.run import MigrationFileStatus, MigrationStatus
from tiger_slack_tui.postgres.timescale import TimescaleDB
from tiger_slack_tui.store.instances import Instance
from tiger_slack_tui.store.past_imports import PastImport

__all__ = [
    "COUNTED_ROWS",
    "AdvisoryLock",
    "DatabaseState",
    "MigrationFileState",
    "MigrationFileStatus",
    "Session",
    "TableSize",
    "lock_name",
]

_LOCK_NAMES = {key: name for name, key in JOB_LOCK_KEYS.items()} | {MIGRATION_LOCK_KEY: "migration"}


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """The newest answers of the database. What was not read yet is empty."""

    at: float | None = None
    """When the database last answered."""
    problem: str | None = None
    """Why the database does not answer now; None if it does."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """By field: why it is old although the database answers."""
    asked: Mapping[str, float] = field(default_factory=dict)
    """By field: when the question was asked that it answers. A field that was not read yet is missing."""
    problem_since: float | None = None
    retry_at: float | None = None
    ping: float | None = None
    """Seconds that `select 1` took."""
    jobs: tuple[JobStatus, ...] = ()
    locks: tuple[AdvisoryLock, ...] = ()
    sessions: tuple[Session, ...] = ()
    migrations: MigrationStatus | None = None
    extension: TimescaleDB | None = None
    sizes: tuple[TableSize, ...] = ()
    instances: tuple[Instance, ...] = ()
    """The instances of the last day, the running and the lost ones first."""
    observed: Rates | None = None
    """How many events all instances wrote. Only a console that observes reads it."""
    imports: tuple[PastImport, ...] = ()
    discard_rules: int | None = None

    @property
    def postgresql(self) -> str:
        """The server with its version; empty while it is not known."""
        return f"PostgreSQL {self.migrations.postgresql.split()[0]}" if self.migrations else ""

    @property
    def timescaledb(self) -> str:
        """TimescaleDB with its version and edition; empty without it."""
        found = self.extension
        return f"TimescaleDB {found.version} {found.edition}" if found else ""


def lock_name(key: int) -> str:
    """The name of what the lock protects."""
    if key >> 32 == IMPORT_LOCK_CLASS:
        return f"import {key & 0xFFFFFFFF}"
    return _LOCK_NAMES.get(key, str(key))
