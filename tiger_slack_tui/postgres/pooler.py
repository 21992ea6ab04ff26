"""Finds out whether a pooler keeps a client and a session of the server together.

A pooler is recognised by the process number that it gives its client (see `Connection.is_pooled`). Whether it works
by session, by transaction or by statement it tells nobody but its administrators, so it is tried. Tests do so with
pgbouncer in its three modes, last in first out and round robin. A pooler that keeps a session only once a lock is
taken in it (RDS Proxy calls that pinning) can be refused; DATABASE_DIRECT_URL serves there, too.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from weakref import WeakKeyDictionary

import psycopg

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import PoolerFull, is_pooler_full
from tiger_slack_tui.postgres.locks import holders

_ROUNDS = 3
_BACKEND = "select pg_backend_pid()"


PROBE_SECONDS = 3.0
"""How long a probe waits for the pooler to give a session to another client, and then to us."""
_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
"""Two probes at a time would take each other's sessions. A lock belongs to one event loop."""


async def holds_sessions(connection: Connection, conninfo: str) -> bool:
    """Whether a pooled connection keeps its session of the server from one transaction to the next.

    A pooler that works by transaction gives the session that is used last to whoever asks next, or the one that is
    used longest ago. In the first case, a second client gets our session while we are connected; in the second,
    we get another one. Either is proof; several rounds make up for other clients in between.

    Where the pooler has no session for another client within a few seconds, but our own answers, the session is
    kept for us: else the other client would have got it. The answer is not remembered, because the mode of a pooler
    can be changed while it runs. Probes of a process wait for each other. Raises psycopg.Error, also where the pooler
    has no session for us either, and DatabaseUnavailable.
    """
    async with (
        _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()),
        AsyncExitStack() as stack,
    ):
        ours = await _backend(connection)
        for _ in range(_ROUNDS):
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    other = await stack.enter_async_context(await Connection.connect(conninfo))
                    # The transaction stays open, so that the next round meets another session.
                    await stack.enter_async_context(other.transaction())
                    theirs = await _backend(other)
            except TimeoutError:
                return await _backend_soon(connection) == ours
            except psycopg.errors.ProtocolViolation as error:
                if not is_pooler_full(error):
                    raise
                return await _backend_soon(connection) == ours
            if theirs == ours or await _backend_soon(connection) != ours:
                return False
    return True


async def _backend_soon(connection: Connection) -> int:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await _backend(connection)
    except TimeoutError:
        raise PoolerFull from None


async def is_same_database(one: Connection, other: Connection) -> bool:
    """Whether both lead to the same database of the same server: one sees the other's lock. Raises psycopg.Error."""
    key = secrets.randbits(31)
    async with other.transaction():
        await other.execute("select pg_advisory_xact_lock(%s::int8)", (key,))
        return key in await holders(one, [key])


async def _backend(connection: Connection) -> int:
    row = await (await connection.execute(_BACKEND)).fetchone()
    assert row is not None  # noqa: S101 for the types
    return int(row[0])
