"""Classifies database errors: the database is unavailable, it refuses the connection, or it refuses the data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable, MigrationError
from tiger_slack_tui.postgres.addresses import database_name, setting_of

# Error classes after which a retry can succeed: connection, deadlock or serialisation, resources, lock or statement
# timeout, shutdown, I/O, and a standby, which takes no writes until it is promoted.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING = ("08", "25", "40", "53", "55", "57", "58")
# 53400 is TimescaleDB's limit on what one statement may decompress. A retry meets the same limit.
_LASTING = ("53400",)
POOLER_FULL = (
    "the pooler has no session of the server left: raise its pool size (default_pool_size of pgbouncer),"
    " or lower PG_MAX_POOL_SIZE"
)
NO_CONNECTION_LEFT = (
    "the server has no connection left: raise max_connections, or lower PG_MAX_POOL_SIZE"
)
NOT_MIGRATED = (
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedTable,
)
"""The errors of a statement that meets no schema, or that of another version."""


def is_unavailable(error: psycopg.Error) -> bool:
    """Whether the same statement can succeed later, or through a new connection."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate.startswith(_PASSING) and error.sqlstate not in _LASTING


DriverError = psycopg.Error
"""The base of all errors of the driver, for callers that do not use the driver otherwise."""


class ReadOnlyServer(psycopg.errors.ReadOnlySqlTransaction):
    """The server takes no writes: it is a standby or a read-only primary. `server` is its host and port."""

    def __init__(self, server: str) -> None:
        super().__init__(f"the server at {server} is a standby or read-only: it takes no writes")


def may_be_the_connection(error: psycopg.Error) -> bool:
    """Whether the cause can be the connection or a plan that it keeps, so that another connection may succeed.

    These are internal errors (XX), a prepared statement that a pooler lost (26), a plan of an earlier schema (42).
    """
    return (error.sqlstate or "").startswith(("XX", "26", "42"))


class SilentServer(psycopg.OperationalError):
    """Nothing arrived from the server, and it does not work on the statement. The connection is closed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"nothing came from the server for {seconds:.0f} s, and it does not work on the statement"
        )


class StatementPooler(psycopg.NotSupportedError):
    """The pooler works in statement mode, which allows no transactions."""


class PoolerFull(psycopg.OperationalError):
    """The pooler has no free session of the server within its time limit or ours."""

    def __init__(self) -> None:
        super().__init__(POOLER_FULL)


def is_pooler_full(error: psycopg.Error) -> bool:
    """Whether the pooler had no free session of the server within its time limit or ours.

    pgbouncer reports 08P01 and names its setting query_wait_timeout; while connecting, it only names the setting.
    """
    return isinstance(error, PoolerFull) or "query_wait_timeout" in str(error)


def describe(error: psycopg.Error) -> str:
    """The error in words for people and logs. PostgreSQL's own message is left out, because it can quote data."""
    if isinstance(error, ReadOnlyServer | SilentServer | PoolerFull):
        return str(error)
    meaning = _meaning(error)
    if error.sqlstate is None:
        return meaning or _spaced(type(error).__name__)
    return f"{meaning} ({error.sqlstate})" if meaning else sqlstate_words(error.sqlstate)


def sqlstate_words(code: str) -> str:
    """The SQLSTATE in words and as a code: "unique violation (23505)"; only the code if it is not known."""
    try:
        return f"{_spaced(psycopg.errors.lookup(code).__name__)} ({code})"
    except KeyError:
        return code


def _spaced(name: str) -> str:
    """The name of a class as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _meaning(error: psycopg.Error) -> str | None:
    """What happened and what to do, for errors that have to be fixed on the server."""
    # The name of a setting is the same in every language.
    if error.sqlstate == "53200" and "max_locks_per_transaction" in (error.diag.message_hint or ""):
        return (
            "the server's table of locks is full: raise max_locks_per_transaction in its configuration"
            " and restart it; tiger-slack doctor says to what"
        )
    if error.sqlstate == "53300":
        return NO_CONNECTION_LEFT
    if is_pooler_full(error):
        return POOLER_FULL
    if error.sqlstate == "42501":
        return (
            "the current role lacks a right: use the owner of the schema slack, or let the owner run"
            " grant usage on schema slack to ROLE and grant all on all tables in schema slack to ROLE;"
            " a role that is set for the database or the user (alter … set role) replaces the role that"
            " connects"
        )
    if error.sqlstate == "26000":
        return "a pooler has lost a prepared statement"
    return None


def not_migrated(conninfo: str) -> MigrationError:
    """The error for a missing table, column or function in the database."""
    setting = setting_of(conninfo)
    other = f"Set {setting} to another database, or create them" if setting else "To create them"
    name = database_name(conninfo)
    subject = f"The{name[3:]}" if name.startswith("the ") else f"The database {name}"
    return MigrationError(
        f"{subject} does not have the tables of this version.",
        hint=f"{other}: tiger-slack migrate",
    )


@contextmanager
def translate_errors(conninfo: str) -> Iterator[None]:
    """Turn psycopg's errors inside the block into DatabaseUnavailable, MigrationError or DatabaseRefused.

    `conninfo` is the address of the connection that the block uses.
    """
    try:
        yield
    except psycopg.Error as error:
        if isinstance(error, ReadOnlyServer):
            raise DatabaseUnavailable(f"The database takes no writes: {error}.") from None
        if is_unavailable(error):
            raise DatabaseUnavailable(f"The database does not answer: {describe(error)}") from None
        if isinstance(error, NOT_MIGRATED):
            raise not_migrated(conninfo) from None
        raise DatabaseRefused(
            f"The database {database_name(conninfo)} refused: {describe(error)}"
        ) from None
