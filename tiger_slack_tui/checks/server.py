"""Checks of `tiger-slack doctor` on the PostgreSQL server, its settings, and poolers in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tiger_slack_tui.base.errors import DatabaseRefused, TigerSlackError
from tiger_slack_tui.checks.check import Check, CheckState
from tiger_slack_tui.postgres import introspection as facts
from tiger_slack_tui.postgres.columnstore import ChunkCounts, chunk_counts
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.introspection import ChunkLocks
from tiger_slack_tui.postgres.pool import connect_session, connected
from tiger_slack_tui.postgres.pooler import is_same_database

_LOCKS_PARTS = 4
"""One statement may take a quarter of the lock table: others run at the same time."""
_DIRECT = (
    "Set DATABASE_DIRECT_URL to the address of the server itself, or of a pooler in session mode."
)


async def check_server_settings(conninfo: str, direct: str | None) -> AsyncIterator[Check]:
    """Check that the server takes writes, makes commits durable, gives sessions, and has room for locks."""
    try:
        async with connected(conninfo) as connection:
            yield _primary(connection)
            yield await _durability(connection)
            yield _settings(connection)
            yield await _sessions(connection, conninfo, direct)
            locks = await facts.chunk_locks(connection)
            if locks is not None:
                yield check_locks(locks)
                for counts in await chunk_counts(connection):
                    yield check_columnstore(counts)
    except TigerSlackError as error:
        yield Check.of_error("server", error)


def _primary(connection: Connection) -> Check:
    if connection.session.is_standby:
        found = f"the server at {connection.server} is a standby: it takes no events"
        fix = "Connect to the primary. With several hosts in DATABASE_URL, tiger-slack finds the primary."
        return Check("writes", CheckState.FAILED, found, fix)
    return Check("writes", CheckState.OK, "the server is a primary")


async def _durability(connection: Connection) -> Check:
    unsafe = await facts.unsafe_settings(connection)
    if unsafe:
        found = f"{' and '.join(unsafe)} off: a crash of the server can lose acknowledged events"
        return Check(
            "durability", CheckState.WARNING, found, "Turn it on in the server's configuration."
        )
    used = connection.session.wanted["synchronous_commit"]
    return Check("durability", CheckState.OK, f"synchronous_commit {used}")


def _settings(connection: Connection) -> Check:
    overruled = "; ".join(map(str, connection.session.overruled))
    return Check("settings", CheckState.OK, overruled or "none that tiger-slack overrules")


async def _sessions(connection: Connection, conninfo: str, direct: str | None) -> Check:
    if direct is None:
        if not connection.is_pooled:
            return Check("sessions", CheckState.OK, "connected directly")
        try:
            async with await connect_session(conninfo):
                return Check("sessions", CheckState.OK, "through a pooler that keeps sessions")
        except DatabaseRefused:
            found = "a pooler gives each transaction another session: jobs and imports cannot run"
            return Check("sessions", CheckState.FAILED, found, _DIRECT)
    try:
        async with await connect_session(direct) as session:
            if not await is_same_database(connection, session):
                fix = "Set DATABASE_URL and DATABASE_DIRECT_URL to the same database."
                found = "DATABASE_DIRECT_URL leads to another database"
                return Check("sessions", CheckState.FAILED, found, fix)
    except TigerSlackError as error:
        return Check.of_error("sessions", error)
    through = "through a pooler; " if connection.is_pooled else ""
    return Check("sessions", CheckState.OK, f"{through}jobs and imports use DATABASE_DIRECT_URL")


def check_locks(locks: ChunkLocks) -> Check:
    """Check that a statement which locks every chunk and its indexes leaves room for other statements."""
    found = f"{locks.chunks:,} chunks take {locks.needed:,} of {locks.room:,} locks"
    if locks.needed * _LOCKS_PARTS <= locks.room:
        return Check("locks", CheckState.OK, found)
    setting = -(-locks.needed * _LOCKS_PARTS // locks.sessions)
    setting = 1 << (setting - 1).bit_length()
    fix = f"Set max_locks_per_transaction = {setting} in the server's configuration, and restart the server."
    return Check(
        "locks", CheckState.WARNING, f"{found}: large changes can fail (SQLSTATE 53200)", fix
    )


def check_columnstore(counts: ChunkCounts) -> Check:
    """Check that TimescaleDB's policy converts old chunks to the columnstore."""
    name = f"columnstore of slack.{counts.hypertable}"
    found = f"{counts.converted:,} of {counts.chunks:,} chunks are in it, {counts.waiting:,} wait for it"
    if not counts.has_failed:
        return Check(name, CheckState.OK, found)
    fix = "See why in timescaledb_information.job_errors. The policy tries again by itself."
    return Check(name, CheckState.WARNING, f"{found}; the last run of its policy failed", fix)
