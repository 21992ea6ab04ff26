"""Brings the schema to this version: all in one transaction, by one instance at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable, MigrationError
from tiger_slack_tui.base.telemetry import span
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import ReadOnlyServer, describe, is_unavailable
from tiger_slack_tui.postgres.locks import holders
from tiger_slack_tui.postgres.migrate.files import (
    Applied,
    FileState,
    MigrationFile,
    body_difference,
    file_states,
    number,
    pending,
)
from tiger_slack_tui.postgres.pool import connect

LOCK_KEY = 5860155447541760
"""Advisory lock of whoever migrates, held to the end of its transaction."""

_OLDEST_POSTGRESQL = 14
_OLDEST_TIMESCALEDB = (2, 22)

_BOOKKEEPING = """
create table slack.version
( version text not null
, at timestamptz not null default now()
);
create unique index version_one_row_idx on slack.version ((true));
comment on table slack.version is 'Version of the program that this schema belongs to. One row.';
comment on column slack.version.version is 'Version of the program that migrated last.';
comment on column slack.version.at is 'When it did.';
create table slack.migration
( file_name text not null primary key
, applied_at_version text not null
, applied_at timestamptz not null default now()
, body text not null
);
comment on table slack.migration is 'Migration files that were applied.';
comment on column slack.migration.file_name is 'Path below the migrations directory.';
comment on column slack.migration.applied_at_version is 'Version of the program that applied it.';
comment on column slack.migration.applied_at is 'When; for idempotent files, the last time.';
comment on column slack.migration.body is 'What was applied.';
"""


class MigrationRunning(DatabaseUnavailable):
    """Another instance migrates. An engine waits on and takes events into its spool meanwhile."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell while migrating. `level` is one of logging."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class FileStatus:
    """One file in a database."""

    name: str
    state: FileState
    applied_at: datetime | None
    applied_at_version: str | None
    difference: str | None
    """For a changed file, its unified diff against what was applied."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """What `status` found. `database_version` is None for a database that was never migrated."""

    version: str
    database_version: str | None
    postgresql: str
    timescaledb: str | None
    files: tuple[FileStatus, ...]


@dataclass(frozen=True, slots=True)
class _State:
    version: str | None
    applied: dict[str, Applied]


async def migrate(
    conninfo: str,
    *,
    version: str,
    files: tuple[MigrationFile, ...],
    tell: Callable[[Note], None],
    lock_seconds: float = 60,
) -> list[str]:
    """Run what is pending, all or nothing, and return the names of the files that ran.

    Waits at most `lock_seconds` for another instance that migrates, then raises MigrationRunning, which names it.
    Raises MigrationError where the schema cannot be brought to `version`, DatabaseRefused where the server is too
    old, or refuses us, and DatabaseUnavailable where trying again later can help. In each case nothing was changed.
    A file may run as long as the server works on it.
    """
    async with await connect(conninfo) as connection:
        try:
            await check_server(connection)
            async with _lock(connection, tell, lock_seconds):
                state = await _read_state(connection)
                _warn(files, state, tell)
                due = pending(files, state.applied, version=version, database_version=state.version)
                if due or state.version != version:
                    await _apply(connection, due, state, version, tell)
            return [file.name for file in due]
        except psycopg.Error as error:
            if isinstance(error, ReadOnlyServer):
                raise DatabaseUnavailable(
                    f"The schema cannot be brought up to date: {error}."
                ) from None
            if is_unavailable(error) or connection.broken:
                raise DatabaseUnavailable(
                    f"The migration was broken off: {_short(error)}"
                ) from None
            lacks_rights = isinstance(error, psycopg.errors.InsufficientPrivilege)
            hint = "tiger-slack doctor says which rights the role lacks." if lacks_rights else None
            raise MigrationError(f"The migration failed: {_short(error)}", hint=hint) from None


async def status(
    conninfo: str, *, version: str, files: tuple[MigrationFile, ...]
) -> MigrationStatus:
    """What the database has. Writes nothing and takes no lock that anybody waits for. Raises as `migrate`."""
    async with await connect(conninfo) as connection:
        try:
            state = await _read_state(connection)
            timescaledb = await _timescaledb(connection)
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
        changed = file_state is FileState.CHANGED and row is not None
        difference = body_difference(bodies[name], row) if changed and row else None
        at, at_version = (row.at, row.version) if row else (None, None)
        shown.append(FileStatus(name, file_state, at, at_version, difference))
    return MigrationStatus(version, state.version, server, timescaledb, tuple(shown))


async def check_server(connection: Connection) -> None:
    """Raises DatabaseRefused where the server, the database or the schema's owner does not fit."""
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
    timescaledb = await _timescaledb(connection)
    if timescaledb is not None and number(timescaledb) < _OLDEST_TIMESCALEDB:
        oldest = ".".join(map(str, _OLDEST_TIMESCALEDB))
        raise DatabaseRefused(
            f"TimescaleDB {timescaledb} is too old; {oldest} or newer is needed.",
            hint="Update it: alter extension timescaledb update.",
        )
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
    connection: Connection, tell: Callable[[Note], None], seconds: float
) -> AsyncIterator[None]:
    """A transaction that holds the lock. No transaction stays open while another holds it."""
    begun, told = time.monotonic(), False
    while True:
        async with connection.transaction():
            row = await _one(connection, "select pg_try_advisory_xact_lock(%s)", LOCK_KEY)
            if row is not None and row[0]:
                yield
                return
        holder = (await holders(connection, [LOCK_KEY])).get(LOCK_KEY)
        if holder is not None and not told:
            tell(Note(logging.INFO, f"waiting for another migration: {holder}"))
            told = True
        if time.monotonic() - begun > seconds:
            raise MigrationRunning(
                f"Another migration has not ended after {seconds:g} s: {holder or 'holder unknown'}",
                hint="Wait for it, or end its session, and start again.",
            )
        await asyncio.sleep(0.1)


async def _read_state(connection: Connection) -> _State:
    row = await _one(
        connection, "select to_regclass('slack.version'), to_regclass('slack.migration')"
    )
    if row is None or None in row:
        return _State(None, {})
    versions = await _one(connection, "select version from slack.version")
    cursor = await connection.execute(
        "select file_name, applied_at_version, applied_at, body from slack.migration order by file_name"
    )
    applied = {name: Applied(version, at, body) async for name, version, at, body in cursor}
    return _State(versions[0] if versions else None, applied)


def _warn(files: tuple[MigrationFile, ...], state: _State, tell: Callable[[Note], None]) -> None:
    """Tell of what was applied otherwise than it stands in the files."""
    bodies = {file.name: file for file in files}
    for name, row in state.applied.items():
        if not name.startswith("incremental/"):
            continue
        if name not in bodies:
            tell(Note(logging.WARNING, f"{name} was applied, but is not among the files"))
        elif bodies[name].body != row.body:
            difference = body_difference(bodies[name], row)
            tell(Note(logging.WARNING, f"{name} was applied in another form:\n{difference}"))


async def _apply(
    connection: Connection,
    due: list[MigrationFile],
    state: _State,
    version: str,
    tell: Callable[[Note], None],
) -> None:
    # Functions of TimescaleDB stand in the schema that its extension was created in.
    await connection.execute(
        "select set_config('search_path', 'pg_catalog, ' || coalesce((select quote_ident(n.nspname)"
        " from pg_extension e join pg_namespace n on n.oid = e.extnamespace"
        " where e.extname = 'timescaledb'), 'public'), true)"
        ", set_config('lock_timeout', '10s', true), set_config('client_min_messages', 'warning', true)"
    )
    if await _one(connection, "select from pg_namespace where nspname = 'slack'") is None:
        await connection.execute("create schema slack")
        await connection.execute(
            "comment on schema slack is 'A Slack workspace, as ingested by tiger-slack'"
        )
    if state.version is None and not state.applied:
        await connection.execute(_BOOKKEEPING)
    for file in due:
        begun = time.monotonic()
        with span(f"migration {file.name}", version=version):
            await _run(connection, file)
        await connection.execute(
            "insert into slack.migration (file_name, applied_at_version, body) values (%s, %s, %s)"
            " on conflict (file_name) do update set applied_at_version = excluded.applied_at_version"
            ", applied_at = excluded.applied_at, body = excluded.body",
            (file.name, version, file.body),
        )
        tell(Note(logging.INFO, f"applied {file.name} ({time.monotonic() - begun:.2f} s)"))
    await connection.execute(
        "insert into slack.version (version) values (%s)"
        " on conflict ((true)) do update set version = excluded.version, at = excluded.at",
        (version,),
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


async def _timescaledb(connection: Connection) -> str | None:
    row = await _one(
        connection, "select extversion from pg_extension where extname = 'timescaledb'"
    )
    return str(row[0]) if row else None


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
