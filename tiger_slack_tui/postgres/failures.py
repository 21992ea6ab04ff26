"""Tells a database that cannot be used now from one that refuses us, and from data that it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable, MigrationError

# Classes of https://www.postgresql.org/docs/current/errcodes-appendix.html that pass by themselves: connection,
# rollback by deadlock or serialisation, resources, lock or statement timeout, shutdown, I/O, and a standby that
# takes no writes until it is promoted.
_PASSING = ("08", "25", "40", "53", "55", "57", "58")
# 53400 is TimescaleDB's limit on what one statement may decompress: it will not pass.
_LASTING = ("53400",)
# While connecting: not authorised, no such database, no rights.
_REFUSED = ("28", "3D", "42501")
# libpq reports refusals that happen while connecting without their SQLSTATE.
_REFUSED_TEXTS = (
    "password authentication failed",
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "permission denied for database",
    "is not permitted to log in",
    "certificate verify failed",
    "does not support SSL",
    "connection is bad: invalid",  # an option that libpq does not take
)
_POOLER_FULL = (
    "the pooler has no session of the server left: raise its pool size (default_pool_size of pgbouncer),"
    " or lower PG_MAX_POOL_SIZE"
)
_NOT_MIGRATED = (
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedTable,
)


def is_unavailable(error: psycopg.Error) -> bool:
    """Whether the same statement may succeed later, on this database or through a new connection."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate.startswith(_PASSING) and error.sqlstate not in _LASTING


class ReadOnlyServer(psycopg.errors.ReadOnlySqlTransaction):
    """The server takes no writes: a standby, or a primary that was made read-only. `server` is host and port."""

    def __init__(self, server: str) -> None:
        super().__init__(f"the server at {server} is a standby or read-only: it takes no writes")


def may_be_the_connection(error: psycopg.Error) -> bool:
    """Whether the fault can lie with the connection or with a plan that it keeps: another connection may do.

    Internal errors (XX), a prepared statement that a pooler lost (26), a plan of an earlier schema (42).
    """
    return (error.sqlstate or "").startswith(("XX", "26", "42"))


class SilentServer(psycopg.OperationalError):
    """Nothing came from the server, and it does not work on the statement. The connection is closed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"nothing came from the server for {seconds:.0f} s, and it does not work on the statement"
        )


class StatementPooler(psycopg.NotSupportedError):
    """A pooler that works by statement, and takes no transactions."""


class PoolerFull(psycopg.OperationalError):
    """A pooler has no session of the server for us in time."""

    def __init__(self) -> None:
        super().__init__(_POOLER_FULL)


def is_pooler_full(error: psycopg.Error) -> bool:
    """Whether a pooler had no session of the server for us in time, by its own limit or by ours.

    pgbouncer says 08P01 with the name of its setting, or nothing but that while connecting.
    """
    return isinstance(error, PoolerFull) or "query_wait_timeout" in str(error)


def describe(error: psycopg.Error) -> str:
    """The error for people and logs: without the data that PostgreSQL's messages can quote."""
    if isinstance(error, ReadOnlyServer | SilentServer | PoolerFull):
        return str(error)
    name = f"{type(error).__name__} {error.sqlstate or ''}".rstrip()
    meaning = _meaning(error)
    return f"{meaning} ({name})" if meaning else name


def _meaning(error: psycopg.Error) -> str | None:
    """What happened and what to do, for failures whose cure is at the server."""
    # Names of settings are the same in every language of the server.
    if error.sqlstate == "53200" and "max_locks_per_transaction" in (error.diag.message_hint or ""):
        return (
            "the server's table of locks is full: raise max_locks_per_transaction in its configuration"
            " and restart it; tiger-slack doctor says to what"
        )
    if error.sqlstate == "53300":
        return "the server has no connection left: raise max_connections, or lower PG_MAX_POOL_SIZE"
    if is_pooler_full(error):
        return _POOLER_FULL
    if error.sqlstate == "42501":
        return (
            "the role that is in force lacks a right: use the owner of the schema slack, or have the owner run"
            " grant usage on schema slack to ROLE and grant all on all tables in schema slack to ROLE;"
            " a role that was set for the database or the user (alter … set role) takes the place of the one"
            " that connects"
        )
    if error.sqlstate == "26000":
        return "a pooler has lost a prepared statement"
    return None


def connect_failure(error: psycopg.Error) -> DatabaseUnavailable | DatabaseRefused:
    """Why a connection could not be made, as one of our errors. Shows no password."""
    if isinstance(error, StatementPooler):
        return DatabaseRefused(
            "The pooler works by statement: it takes no transactions.",
            hint="Let it work by transaction or by session (pool_mode of pgbouncer).",
        )
    if is_pooler_full(error):
        return DatabaseUnavailable(f"The database was not reached: {_POOLER_FULL}")
    # libpq: connection failed: connection to server at "host" (address), port 5432 failed: FATAL:  reason
    text = str(error).strip().partition("\n")[0]
    reason = text.rpartition(" failed: ")[2].removeprefix("connection is bad: ")
    reason = reason.removeprefix("FATAL:").strip() or type(error).__name__
    refused = error.sqlstate is not None and error.sqlstate.startswith(_REFUSED)
    if refused or (error.sqlstate is None and any(part in text for part in _REFUSED_TEXTS)):
        return DatabaseRefused(
            f"The database refused the connection: {reason}",
            hint="Check DATABASE_URL (or the PG* variables): user, password, database name, options.",
        )
    return DatabaseUnavailable(f"The database was not reached: {reason}")


def not_migrated() -> MigrationError:
    """The error where a table, column or function of ours is missing."""
    return MigrationError(
        "The database does not have the tables of this version.", hint="Run: tiger-slack migrate"
    )


@contextmanager
def explained() -> Iterator[None]:
    """Errors of the database inside the block as ours: DatabaseUnavailable, MigrationError, DatabaseRefused."""
    try:
        yield
    except psycopg.Error as error:
        if isinstance(error, ReadOnlyServer):
            raise DatabaseUnavailable(f"The database takes no writes: {error}.") from None
        if is_unavailable(error):
            raise DatabaseUnavailable(f"The database does not answer: {describe(error)}") from None
        if isinstance(error, _NOT_MIGRATED):
            raise not_migrated() from None
        raise DatabaseRefused(f"The database refused: {describe(error)}") from None
