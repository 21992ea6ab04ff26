"""Migrates the schema to this program's version: in one transaction, by one instance at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from tiger_slack_tui import __version__
from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable, MigrationError
from tiger_slack_tui.base.spans import span
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import ReadOnlyServer, describe, is_unavailable
from tiger_slack_tui.postgres.lock_keys import (
    DOCUMENTS_LOCK_KEY,
    MESSAGE_LOCK_CLASS,
    MIGRATION_LOCK_KEY,
)
from tiger_slack_tui.postgres.locks import holders
from tiger_slack_tui.postgres.migrate.files import (
    AppliedMigration,
    MigrationFile,
    MigrationFileState,
    body_difference,
    file_states,
    pending,
    shipped_migrations,
    version_number,
)
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.postgres.timescale import find_timescaledb

_OLDEST_POSTGRESQL = 14
_OLDEST_TIMESCALEDB = (2, 22)

# A writer holds its buckets and then waits for a table. So the buckets come first, before a file locks a table.
# Earlier versions have 128 of them.
_RECORD_FILE: LiteralString = """
insert into slack.migration (file_name, applied_at_version, body) values (%s, %s, %s)
on conflict (file_name) do update set
  applied_at_version = excluded.applied_at_version
, applied_at = excluded.applied_at
, body = excluded.body
"""
_STOP_WRITERS: tuple[LiteralString, ...] = (
    "select pg_advisory_xact_lock(%(documents)s)",
    "select pg_advisory_xact_lock(%(messages)s, bucket) from generate_series(0, 127) bucket",
)
_BOOKKEEPING = """
create table slack.version
( version text not null
, at timestamptz not null default now()
);
create unique index version_one_row_idx on slack.version ((true));
comment on table slack.version is 'The version of the program that the schema belongs to. One row.';
comment on column slack.version.version is 'Version of the program that migrated the schema last.';
comment on column slack.version.at is 'When it migrated the schema.';
create table slack.migration
( file_name text not null primary key
, applied_at_version text not null
, applied_at timestamptz not null default now()
, body text not null
);
comment on table slack.migration is 'The migration files that were applied.';
comment on column slack.migration.file_name is 'Path below the migrations directory.';
comment on column slack.migration.applied_at_version is 'Version of the program that applied it.';
comment on column slack.migration.applied_at is 'When it was applied; for an idempotent file, the last time.';
comment on column slack.migration.body is 'Text of the file as it was applied.';
"""


class MigrationRunning(DatabaseUnavailable):
    """Another instance migrates. An engine keeps waiting, and writes events to its spool meanwhile."""


@dataclass(frozen=True, slots=True)
class MigrationMessage:
    """A line about a migration that runs. `level` is a level of the logging module."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class MigrationFileStatus:
    """A file, and its state in a database."""

    name: str
    state: MigrationFileState
    applied_at: datetime | None
    applied_at_version: str | None
    difference: str | None
    """For a changed file, a unified diff from the text that was applied."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """The schema of a database. `database_version` is None for a database that was never migrated."""

    version: str
    database_version: str | None
    postgresql: str
    timescaledb: str | None
    files: tuple[MigrationFileStatus, ...]

    @property
    def pending(self) -> int:
        """How many files are to be applied."""
        return sum(file.state is MigrationFileState.PENDING for file in self.files)

    @property
    def is_current(self) -> bool:
        """Whether the database has the program's version, and no file is to be applied."""
        return self.database_version == self.version and not self.pending


@dataclass(frozen=True, slots=True)
class _State:
    version: str | None
    applied: dict[str, AppliedMigration]


async def migrate(
    conninfo: str,
    *,
    report: Callable[[MigrationMessage], None] = lambda _: None,
    version: str = __version__,
    files: tuple[MigrationFile, ...] | None = None,
    lock_seconds: float = 60,
) -> list[str]:
    """Run the pending files, all or none, and return the names of those that ran.

    Without `files`, runs those that belong to this program. Waits at most `lock_seconds` for another instance that
    migrates, then raises MigrationRunning, which names it. Raises MigrationError if the schema cannot be brought
    to `version`, DatabaseRefused if the server is too old or refuses us, and DatabaseUnavailable if a retry can
    help. After an error, nothing has changed. A file may run as long as the server works on it.
    """
    files = shipped_migrations() if files is None else files
    async with await connect(conninfo) as connection:
        try:
            await check_server(connection)
            async with _lock(connection, report, lock_seconds):
                state = await _fetch_state(connection)
                due = pending(files, state.applied, version=version, database_version=state.version)
                _warn(files, state, report)
                if due or state.version != version:
                    await _check_owner(connection)
                    await _apply(connection, due, state, version, report)
            return [file.name for file in due]
        except psycopg.Error as error:
            if isinstance(error, ReadOnlyServer):
                raise DatabaseUnavailable(
                    f"The schema cannot be brought up to date: {error}."
                ) from None
            if is_unavailable(error) or connection.broken:
                raise DatabaseUnavailable(
                    f"The migration was interrupted: {_short(error)}"
                ) from None
            lacks_rights = isinstance(error, psycopg.errors.InsufficientPrivilege)
            hint = "tiger-slack doctor says which rights the role lacks." if lacks_rights else None
            raise MigrationError(f"The migration failed: {_short(error)}", hint=hint) from None


async def migration_status(
    conninfo: str, *, version: str = __version__, files: tuple[MigrationFile, ...] | None = None
) -> MigrationStatus:
    """The state of the schema. Writes nothing, and takes no lock that others wait for. Raises as `migrate`."""
    files = shipped_migrations() if files is None else files
    async with await connect(conninfo) as connection:
        try:
            state = await _fetch_state(connection)
            timescaledb = await find_timescaledb(connection)
        except psycopg.Error as error:
            if is_unavailable(error) or connection.broken:
                raise DatabaseUnavailable(f"The schema cannot be read: {describe(error)}") from None
            raise MigrationError(f"The schema cannot be read: {_short(error)}") from None
        server = connection.info.parameter_status("server_version") or "unknown"
    states = file_states(files, state.applied, same_version=state.version == version)
    bodies = {file.name: file for file in files}
    shown = []
    for name, file_state in states.items():
        row = state.applied.get(name)
        changed = file_state is MigrationFileState.CHANGED and row is not None
        difference = body_difference(bodies[name], row) if changed and row else None
        at, at_version = (row.at, row.version) if row else (None, None)
        shown.append(MigrationFileStatus(name, file_state, at, at_version, difference))
    return MigrationStatus(
        version, state.version, server, timescaledb.version if timescaledb else None, tuple(shown)
    )


async def check_server(connection: Connection) -> None:
    """Check version and encoding. Raises DatabaseRefused if one does not fit."""
    if connection.info.server_version < _OLDEST_POSTGRESQL * 10_000:
        raise DatabaseRefused(
            f"The server's PostgreSQL is too old; {_OLDEST_POSTGRESQL} or newer is needed."
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise DatabaseRefused(
            f"The database has the encoding {encoding}, which cannot hold what people write.",
            hint="Create one with: create database slack encoding 'UTF8' template template0",
        )
    timescaledb = await find_timescaledb(connection)
    if timescaledb is not None and version_number(timescaledb.version) < _OLDEST_TIMESCALEDB:
        oldest = ".".join(map(str, _OLDEST_TIMESCALEDB))
        raise DatabaseRefused(
            f"TimescaleDB {timescaledb.version} is too old; {oldest} or newer is needed.",
            hint="Update it: alter extension timescaledb update.",
        )


async def _check_owner(connection: Connection) -> None:
    """Raise DatabaseRefused if another role owns the schema: only its owner can change it."""
    row = await _one(
        connection,
        "select nspowner::regrole::text, nspowner = current_user::regrole, current_user"
        " from pg_namespace where nspname = 'slack'",
    )
    if row is not None and not row[1]:
        raise DatabaseRefused(
            f"The schema slack belongs to the role {row[0]}, not to {row[2]}.",
            hint=f"Connect as {row[0]}, or: alter schema slack owner to {row[2]}",
        )


@asynccontextmanager
async def _lock(
    connection: Connection, report: Callable[[MigrationMessage], None], seconds: float
) -> AsyncIterator[None]:
    """A transaction that holds the lock. While it waits for the lock, no transaction stays open."""
    began, has_reported = time.monotonic(), False
    while True:
        async with connection.transaction():
            row = await _one(connection, "select pg_try_advisory_xact_lock(%s)", MIGRATION_LOCK_KEY)
            if row is not None and row[0]:
                yield
                return
        holder = (await holders(connection, [MIGRATION_LOCK_KEY])).get(MIGRATION_LOCK_KEY)
        if holder is not None and not has_reported:
            report(MigrationMessage(logging.INFO, f"waiting for another migration: {holder}"))
            has_reported = True
        if time.monotonic() - began > seconds:
            raise MigrationRunning(
                f"Another migration has not ended after {seconds:g} s: {holder or 'holder unknown'}",
                hint="Wait for it, or end its session, and start again.",
            )
        await asyncio.sleep(0.1)


async def _fetch_state(connection: Connection) -> _State:
    row = await _one(
        connection, "select to_regclass('slack.version'), to_regclass('slack.migration')"
    )
    if row is None or None in row:
        return _State(None, {})
    versions = await _one(connection, "select version from slack.version")
    cursor = await connection.execute(
        "select file_name, applied_at_version, applied_at, body from slack.migration order by file_name"
    )
    applied = {
        name: AppliedMigration(version, at, body) async for name, version, at, body in cursor
    }
    return _State(versions[0] if versions else None, applied)


def _warn(
    files: tuple[MigrationFile, ...], state: _State, report: Callable[[MigrationMessage], None]
) -> None:
    """Report applied files that are missing here, and those whose applied text differs from the file."""
    bodies = {file.name: file for file in files}
    for name, row in state.applied.items():
        if not name.startswith("incremental/"):
            continue
        if name not in bodies:
            report(
                MigrationMessage(
                    logging.WARNING, f"{name} was applied, but this program does not have it"
                )
            )
        elif bodies[name].body != row.body:
            difference = body_difference(bodies[name], row)
            report(
                MigrationMessage(
                    logging.WARNING, f"{name} differs from the text that was applied:\n{difference}"
                )
            )


async def _apply(
    connection: Connection,
    due: list[MigrationFile],
    state: _State,
    version: str,
    report: Callable[[MigrationMessage], None],
) -> None:
    await _set_up_session(connection)
    if await _one(connection, "select from pg_namespace where nspname = 'slack'") is None:
        await connection.execute("create schema slack")
    if state.version is None and not state.applied:
        await connection.execute(_BOOKKEEPING)
    else:
        for statement in _STOP_WRITERS:
            await connection.execute(
                statement, {"documents": DOCUMENTS_LOCK_KEY, "messages": MESSAGE_LOCK_CLASS}
            )
    for file in due:
        began = time.monotonic()
        with span(f"migration {file.name}", version=version):
            await _run(connection, file)
        await connection.execute(_RECORD_FILE, (file.name, version, file.body))
        seconds = time.monotonic() - began
        report(MigrationMessage(logging.INFO, f"applied {file.name} ({seconds:.2f} s)"))
    if await _one(connection, "select where to_regprocedure('slack.grant_to_roles()') is not null"):
        await connection.execute("select slack.grant_to_roles()")
    await connection.execute(
        "insert into slack.version (version) values (%s)"
        " on conflict ((true)) do update set version = excluded.version, at = excluded.at",
        (version,),
    )


async def _set_up_session(connection: Connection) -> None:
    """Set the search path, limits and messages for the current transaction."""
    timescaledb = await find_timescaledb(connection)
    # The files call TimescaleDB's functions, which are in the schema that its extension was created in.
    await connection.execute(
        "select set_config('search_path', 'pg_catalog, ' || quote_ident(%s), true)"
        ", set_config('lock_timeout', '10s', true), set_config('client_min_messages', 'warning', true)",
        (timescaledb.schema if timescaledb else "public",),
    )


async def _run(connection: Connection, file: MigrationFile) -> None:
    try:
        await connection.execute(file.body.encode())
    except psycopg.Error as error:
        if is_unavailable(error) or connection.broken:
            raise
        position = error.diag.statement_position
        line = f", line {file.body.count(chr(10), 0, int(position)) + 1}" if position else ""
        raise MigrationError(f"{file.name}{line}: {_short(error)}") from None


async def _one(connection: Connection, query: str, *values: object) -> tuple[Any, ...] | None:
    cursor = await connection.execute(query.encode(), values or None)
    row: tuple[Any, ...] | None = await cursor.fetchone()
    return row


def _short(error: psycopg.Error) -> str:
    if error.sqlstate == "53200":
        return describe(error)
    return (
        f"{error.diag.message_primary or type(error).__name__} ({error.sqlstate or 'no SQLSTATE'})"
    )
