"""The part of `tiger-slack doctor` that looks at the server, its settings, and what lies before it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg

from tiger_slack_tui.base.errors import DatabaseRefused, TigerSlackError
from tiger_slack_tui.cli.checks import Check
from tiger_slack_tui.postgres import introspection as facts
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.introspection import ChunkLocks
from tiger_slack_tui.postgres.pool import Connection, connect, connect_session
from tiger_slack_tui.postgres.pooler import is_same_database

_LOCKS_SHARE = 4
"""Of the lock table, the part that one statement may take: others run at the same time."""
_DIRECT = (
    "Set DATABASE_DIRECT_URL to the address of the server itself, or of a pooler in session mode."
)


async def server_checks(conninfo: str, direct: str | None) -> AsyncIterator[Check]:
    """Whether the server takes writes, keeps what it commits, keeps sessions, and has room for its locks."""
    try:
        async with await connect(conninfo) as connection:
            yield _primary(connection)
            yield await _durability(connection)
            yield _settings(connection)
            yield await _sessions(connection, conninfo, direct)
            locks = await facts.chunk_locks(connection)
            if locks is not None:
                yield locks_check(locks)
    except TigerSlackError as error:
        yield Check("server", "failed", error.args[0], error.hint)
    except psycopg.Error as error:
        yield Check("server", "failed", describe(error))


def _primary(connection: Connection) -> Check:
    if connection.found.is_standby:
        found = f"the server at {connection.server} is a standby: it takes no events"
        fix = "Connect to the primary. With several hosts in DATABASE_URL, the primary is found."
        return Check("writes", "failed", found, fix)
    return Check("writes", "ok", "the server is a primary")


async def _durability(connection: Connection) -> Check:
    unsafe = await facts.unsafe_settings(connection)
    if unsafe:
        found = f"{' and '.join(unsafe)} off: a crash of the server can lose acknowledged events"
        return Check("durability", "warning", found, "Switch it on in the server's configuration.")
    used = connection.found.wanted["synchronous_commit"]
    return Check("durability", "ok", f"synchronous_commit {used}")


def _settings(connection: Connection) -> Check:
    overruled = "; ".join(map(str, connection.found.overruled))
    return Check("settings", "ok", overruled or "nothing that tiger-slack has to overrule")


async def _sessions(connection: Connection, conninfo: str, direct: str | None) -> Check:
    if direct is None:
        if not connection.is_pooled:
            return Check("sessions", "ok", "a direct connection")
        try:
            async with await connect_session(conninfo):
                return Check("sessions", "ok", "a pooler that keeps sessions")
        except DatabaseRefused:
            found = "a pooler gives each transaction another session: jobs and imports do not run"
            return Check("sessions", "failed", found, _DIRECT)
    try:
        async with await connect_session(direct) as session:
            if not await is_same_database(connection, session):
                fix = "Let DATABASE_URL and DATABASE_DIRECT_URL name the same one."
                found = "DATABASE_DIRECT_URL leads to another database"
                return Check("sessions", "failed", found, fix)
    except TigerSlackError as error:
        return Check("sessions", "failed", f"DATABASE_DIRECT_URL: {error.args[0]}", error.hint)
    through = "a pooler, and " if connection.is_pooled else ""
    return Check("sessions", "ok", f"{through}DATABASE_DIRECT_URL for jobs and imports")


def locks_check(locks: ChunkLocks) -> Check:
    """Whether a statement that locks every chunk with its indexes leaves room for others."""
    found = f"{locks.chunks:,} chunks take {locks.needed:,} of {locks.room:,} locks"
    if locks.needed * _LOCKS_SHARE <= locks.room:
        return Check("locks", "ok", found)
    wanted = -(-locks.needed * _LOCKS_SHARE // locks.sessions)
    wanted = 1 << (wanted - 1).bit_length()
    fix = f"Set max_locks_per_transaction = {wanted} in the server's configuration, and restart it."
    return Check("locks", "warning", f"{found}: changes can fail with 53200", fix)
