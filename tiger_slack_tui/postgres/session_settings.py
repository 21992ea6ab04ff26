"""Sets the server settings that the program relies on, and reports those that it overrules.

The list contains every setting of https://www.postgresql.org/docs/current/runtime-config.html that a user, role or
database can have and that changes what a statement does. Settings that only change its speed (jit, work_mem,
plan_cache_mode, enable_*) or the place of tables (default_tablespace) are left to the operator.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.sql import SQL, Literal

log = logging.getLogger(__name__)

_WAITS = {
    # The program limits its own waits. A limit of the role would end the same batch, migration or job at every retry.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",  # since PostgreSQL 17
    # A process that is suspended, or whose machine is lost, must not keep its locks. No transaction of the program
    # waits for anything except the database.
    "idle_in_transaction_session_timeout": "300000",
    # Without it, a backend that waits for a lock does not notice that its client is gone, and each retry leaves
    # another such backend. Since PostgreSQL 14; for other systems than Linux see _READ.
    "client_connection_check_interval": "10000",
}
_MEANING = {
    # Each statement sees what was committed before it. The effects of events rely on that.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # With `off`, a crash loses commits; with `local`, a failover to a synchronous standby does. Stronger values are
    # kept: https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT
    "synchronous_commit": "on",
    # The program qualifies all its names. No other function or operator can replace PostgreSQL's own.
    "search_path": "pg_catalog",
    # A policy that hides rows causes an error, instead of an update that changes nothing.
    "row_security": "off",
    # `replica` would disable triggers. Only a privileged role may set it.
    "session_replication_role": "origin",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
}
_FORMATS = {
    "client_min_messages": "warning",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",  # fewer digits would round times in seconds
}
# Settings of the connection to the client. Behind a pooler, that client is the pooler.
_PEER = {
    "idle_session_timeout": "0",
    # The server notices within a minute that our machine is lost, and releases its locks.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_PROMISES = _WAITS | _MEANING | {"idle_session_timeout": "0"}
_PRIVILEGED = "session_replication_role"
"""Needs a right even to be set to its present value."""
_LINUX_ONLY = "client_connection_check_interval"
"""On other systems the server can refuse every value but 0."""
_DURABLE = ("on", "remote_write", "remote_apply")
_NOT_LOCAL = ("default_transaction_", *_PEER)
"""Settings that have no effect in a transaction that has begun."""

# Sent as one message: it ends before a limit of the role can end the session, and for a pooler it is one transaction.
# It only changes a session that is not pooled: a pooler would give the changed session to other clients.
_READ: LiteralString = """
set local statement_timeout = 0;
with found as materialized
( select s.name
  , case when s.name = 'statement_timeout' then s.reset_val else s.setting end as setting
  , s.source
  , case when s.name = 'synchronous_commit' and s.setting in ({durable}) then s.setting
    when s.name = {linux_only} and pg_catalog.version() !~ 'linux' then s.setting
    else w.value end as value
  from pg_settings s
  join (values {wanted}) w (name, value) on w.name = s.name
)
select pg_backend_pid()
, pg_is_in_recovery()
, current_user::text
, current_database()::text
, array
  ( select array
    [ f.name, f.setting, f.source, f.value
    , case when f.setting <> f.value and pg_backend_pid() in (0, {known}) then set_config(f.name, f.value, false) end
    ]
    from found f
  )
"""
# Sent as one message, like _READ: a limit of the role counts for each statement, and `set` takes hardly any time.
_SET: LiteralString = """
set local statement_timeout = 0;
select pg_backend_pid()
, (select count(set_config(s.name, s.value, {is_local})) from (values {wanted}) as s (name, value))
"""
_SOURCES = {
    "client": "in the connection string or PGOPTIONS",
    "command line": "on the server's command line",
    "configuration file": "in the server's configuration",
    "environment variable": "in the server's environment",
    "global": "for all roles",
    "session": "for the role or the database, or by another client of the pooler",
}


@dataclass(frozen=True, slots=True)
class OverruledSetting:
    """A setting that the program overrules in its own sessions. `source` says in words where it was set."""

    name: str
    found: str
    value: str
    source: str

    def __str__(self) -> str:
        return f"{self.name} = {self.found} (set {self.source}) is overruled by {self.value}"


@dataclass(frozen=True, slots=True)
class SessionState:
    """A server's session as it was found. `wanted` has the settings that the program needs, by name."""

    backend: int
    """The number of the server's process, from pg_backend_pid()."""
    is_pooled: bool
    """Whether the client was given another number when it connected. Only a pooler does that."""
    is_standby: bool
    wanted: dict[str, str]
    overruled: tuple[OverruledSetting, ...]


async def prepare_session(
    connection: AsyncConnection[Any], statement_seconds: float = 0
) -> SessionState:
    """Read the session's settings. Unless the session is pooled, set those that the program needs.

    `statement_seconds` limits each statement; 0 means no limit. Raises psycopg.Error.
    """
    ours = _PROMISES | _FORMATS | _PEER
    ours["statement_timeout"] = str(round(statement_seconds * 1000))
    query = SQL(_READ).format(
        linux_only=Literal(_LINUX_ONLY),
        durable=SQL(", ").join(map(Literal, _DURABLE)),
        wanted=SQL(", ").join(SQL("({}, {})").format(*item) for item in ours.items()),
        known=connection.info.backend_pid,
    )
    cursor = await connection.execute(query)
    cursor.nextset()
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 for the types
    backend, is_standby, role, database, found = row
    # A server of a single process (PGlite) reports 0, and has no pooler.
    is_pooled = backend not in (0, connection.info.backend_pid)
    wanted, overruled = {}, []
    for name, setting, source, value, _ in found:
        is_other = setting != value
        if is_other or name != _PRIVILEGED:
            wanted[name] = value
        if is_other and name in _PROMISES and source != "default":
            overruled.append(
                OverruledSetting(name, setting, value, _source(source, role, database))
            )
    return SessionState(backend, is_pooled, is_standby, wanted, tuple(overruled))


async def apply(connection: AsyncConnection[Any], found: SessionState, *, is_local: bool) -> int:
    """Set the settings that the program needs, for the present transaction (`is_local`) or for the session.

    Returns the number of the server's process. Raises psycopg.Error.
    """
    wanted = found.wanted
    if is_local:
        wanted = {n: v for n, v in wanted.items() if not n.startswith(_NOT_LOCAL)}
    query = SQL(_SET).format(
        is_local=Literal(is_local),
        wanted=SQL(", ").join(SQL("({}, {})").format(*item) for item in wanted.items()),
    )
    cursor = await connection.execute(query)
    cursor.nextset()
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 for the types
    return int(row[0])


def log_overruled(found: SessionState) -> None:
    """Log the overruled settings: each text once in the life of the process."""
    for each in found.overruled:
        _log_once(str(each))


@functools.cache
def _log_once(text: str) -> None:
    log.info("%s", text)


def _source(source: str, role: str, database: str) -> str:
    match source:
        case "user":
            return f"for the role {role}"
        case "database":
            return f"for the database {database}"
        case "database user":
            return f"for the role {role} in the database {database}"
        case _:
            return _SOURCES.get(source, f"by: {source}")
