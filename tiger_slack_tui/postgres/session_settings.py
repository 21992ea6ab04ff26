"""The server settings that the program's promises need, and what the server, database or role had instead.

The list follows https://www.postgresql.org/docs/current/runtime-config.html: every setting that a user, role or
database can have and that changes what our statements do. Settings that only change their speed (jit, work_mem,
plan_cache_mode, enable_*) or where tables lie (default_tablespace) stay the operator's.
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
    # The program bounds its own waits; a limit of the role would break off the same batch, migration or job again
    # and again.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",  # since PostgreSQL 17
    # A process that stands still (suspended, or its machine lost) must not keep its locks. No transaction of ours
    # waits for anything but the database.
    "idle_in_transaction_session_timeout": "300000",
    # A backend that waits for a lock otherwise does not notice that its client is gone, and each retry leaves one
    # more. Since PostgreSQL 14; see _READ for other systems than Linux.
    "client_connection_check_interval": "10000",
}
_MEANING = {
    # Each statement sees what was committed before it, as the effects of events rely on.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # With `off` a crash loses commits; with `local` a failover to a synchronous standby does. The stronger values
    # stay: https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT
    "synchronous_commit": "on",
    # All names of ours are qualified; nobody else's function or operator stands in for PostgreSQL's.
    "search_path": "pg_catalog",
    # A policy that hides rows is an error, not an update that changes nothing.
    "row_security": "off",
    # `replica` would switch our triggers off. Only a privileged role may set it.
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
# Of the session with its client. Through a pooler they are the pooler's.
_PEER = {
    "idle_session_timeout": "0",
    # The server notices within a minute that our machine is lost, and frees the locks.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_PROMISES = _WAITS | _MEANING | {"idle_session_timeout": "0"}
_PRIVILEGED = "session_replication_role"
"""Needs a right even to be set to what it is."""
_LINUX_ONLY = "client_connection_check_interval"
"""Elsewhere the server may refuse any value but 0: it finds out when it is set."""
_DURABLE = ("on", "remote_write", "remote_apply")
_NOT_LOCAL = ("default_transaction_", *_PEER)
"""Settings that mean nothing inside a transaction that has begun."""

# One message: it ends before any limit of the role can end the session, and is one transaction for a pooler. Only a
# session that is ours alone is changed: a pooler would give it to others.
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
    , case when f.setting <> f.value and pg_backend_pid() in (0, {told}) then set_config(f.name, f.value, false) end
    ]
    from found f
  )
"""
# One message, as _READ: a limit of the role ends a statement of its own only, and `set` takes no time to speak of.
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
class Overruled:
    """A setting that the program replaces for its own sessions. `source` says in words who set it."""

    name: str
    found: str
    value: str
    source: str

    def __str__(self) -> str:
        return f"{self.name} = {self.found} (set {self.source}) is overruled by {self.value}"


@dataclass(frozen=True, slots=True)
class Found:
    """A session as it was. `wanted` is what the program sets in it, by name."""

    backend: int
    """The server's process, as it says itself."""
    is_pooled: bool
    """Whether the client was told another one, which is what a pooler does."""
    is_standby: bool
    wanted: dict[str, str]
    overruled: tuple[Overruled, ...]


async def prepare_session(connection: AsyncConnection[Any], statement_seconds: float = 0) -> Found:
    """Read what the session has, and set what the program needs unless a pooler lends the session.

    Raises psycopg.Error.
    """
    ours = _PROMISES | _FORMATS | _PEER
    ours["statement_timeout"] = str(round(statement_seconds * 1000))
    query = SQL(_READ).format(
        linux_only=Literal(_LINUX_ONLY),
        durable=SQL(", ").join(map(Literal, _DURABLE)),
        wanted=SQL(", ").join(SQL("({}, {})").format(*item) for item in ours.items()),
        told=connection.info.backend_pid,
    )
    cursor = await connection.execute(query)
    cursor.nextset()
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 for the types
    backend, is_standby, role, database, found = row
    # A server in a single process (PGlite) says 0, and has no pooler.
    is_pooled = backend not in (0, connection.info.backend_pid)
    wanted, overruled = {}, []
    for name, setting, source, value, _ in found:
        is_other = setting != value
        if is_other or name != _PRIVILEGED:
            wanted[name] = value
        if is_other and name in _PROMISES and source != "default":
            overruled.append(Overruled(name, setting, value, _source(source, role, database)))
    return Found(backend, is_pooled, is_standby, wanted, tuple(overruled))


async def apply(connection: AsyncConnection[Any], found: Found, *, is_local: bool) -> int:
    """Set what the program needs, for the transaction at hand or for the session; returns the server's process.

    Raises psycopg.Error.
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


def log_overruled(found: Found) -> None:
    """Say in the log what is overruled, once in the life of the process."""
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
