"""Finds out whether a pooler keeps one session of the server for a client.

A pooler is recognised by the process number that it gives its client (see `Connection.is_pooled`). It does not
report its mode (session, transaction or statement) to clients, so the program finds it out by trying. The tests use
pgbouncer in its three modes, last in first out and round robin. A pooler that keeps a session only after a lock is
taken in it (RDS Proxy calls that pinning) can be refused by mistake; then DATABASE_DIRECT_URL helps.
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
from tiger_slack_tui.postgres.queries import fetch_value

_ROUNDS = 3
_BACKEND = "select pg_backend_pid()"


PROBE_SECONDS = 3.0
"""How long a probe waits for a session for another client, and then for our own."""
_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
"""Two probes at the same time would take each other's sessions. Each event loop needs its own lock."""


async def holds_sessions(connection: Connection, conninfo: str) -> bool:
    """Whether a pooled connection keeps its session of the server from one transaction to the next.

    A pooler in transaction mode gives the next transaction either the session that was used last, or the one that
    was unused for longest. In the first case, a second client gets our session while we are connected; in the second
    case, we get another one. Each proves the mode. Several rounds compensate for other clients in between.

    If the pooler has no session for a second client within a few seconds, but ours answers, then our session is kept
    for us: otherwise the second client would have got it. The result is not stored, because a pooler's mode can
    change while it runs. Probes of a process wait for each other. Raises psycopg.Error, also if the pooler has no
    session for us either, and DatabaseUnavailable.
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
                    # The transaction stays open, so that the next round gets another session.
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
    """Whether both use the same database of the same server: then one sees the other's lock. Raises psycopg.Error."""
    key = secrets.randbits(31)
    async with other.transaction():
        await other.execute("select pg_advisory_xact_lock(%s::int8)", (key,))
        return key in await holders(one, [key])


async def _backend(connection: Connection) -> int:
    return int(await fetch_value(connection, _BACKEND))
