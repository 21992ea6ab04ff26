"""Connections: single ones and the pool."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
from psycopg import capabilities, generators, waiting
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGcancelConn
from psycopg_pool import AsyncConnectionPool

from tiger_slack_tui.base.errors import DatabaseRefused, OtherDatabase
from tiger_slack_tui.postgres.connection import BlockingConnection, Connection, with_defaults
from tiger_slack_tui.postgres.failures import connect_failure, explained
from tiger_slack_tui.postgres.pooler import holds_sessions, is_same_database

__all__ = [
    "BlockingConnection",
    "Connection",
    "Pool",
    "break_off",
    "connect",
    "connect_session",
    "end_within",
    "make_pool",
    "require_same_database",
    "with_defaults",
]

_CANCEL_SECONDS = 5.0
"""How long a thread waits until the server has taken a request to cancel."""

Pool = AsyncConnectionPool[Connection]


async def connect(
    conninfo: str, kind: type[Connection] = Connection, *, statement_seconds: float = 0
) -> Connection:
    """A connection that commits each statement by itself. `statement_seconds` bounds each statement; 0 does not.

    Raises DatabaseUnavailable, DatabaseRefused.
    """
    try:
        return await kind.connect(conninfo, statement_seconds=statement_seconds)
    except psycopg.Error as error:
        raise connect_failure(error) from None


async def connect_session(conninfo: str, kind: type[Connection] = Connection) -> Connection:
    """As `connect`, for advisory locks and temporary tables: they need one session from beginning to end.

    Raises DatabaseRefused, too, where a pooler gives each transaction to another session.
    """
    connection = await connect(conninfo, kind)
    try:
        with explained():
            if not connection.is_pooled:
                return connection
            if await holds_sessions(connection, conninfo):
                await connection.take_session()
                return connection
        raise DatabaseRefused(
            f"The pooler at {connection.server} gives each transaction another session. Jobs and imports need one"
            " session for their locks.",
            hint="Set DATABASE_DIRECT_URL to the address of the server itself, or of a pooler in session mode.",
        )
    except BaseException:
        connection.pgconn.finish()
        raise


async def require_same_database(conninfo: str, direct: str) -> None:
    """Refuse a DATABASE_DIRECT_URL that leads to another database: jobs would work there, and imports go there.

    Raises OtherDatabase; DatabaseUnavailable and DatabaseRefused where one of the two cannot be asked.
    """
    async with await connect(conninfo) as one, await connect(direct) as other:
        with explained():
            is_same = await is_same_database(one, other)
    if not is_same:
        raise OtherDatabase(
            "DATABASE_DIRECT_URL leads to another database than DATABASE_URL.",
            hint="Let both name the same database of the same server.",
        )


def break_off(connection: Connection | psycopg.Connection[Any]) -> None:
    """Cut the connection: whoever waits for its server gets an error at once.

    A thread then asks the server to end the statement, because a backend that waits for a lock or a synchronous
    standby does not see that its client is gone. The cut comes first: a commit whose wait for a standby is cancelled
    reports success.
    """
    cancel = _cancellation(connection)
    with contextlib.suppress(OSError, psycopg.Error):
        with socket.socket(fileno=os.dup(connection.fileno())) as peer:
            peer.shutdown(socket.SHUT_RDWR)
    if cancel is not None:
        threading.Thread(target=cancel, name="cancel", daemon=True).start()


def _cancellation(
    connection: Connection | psycopg.Connection[Any],
) -> Callable[[], None] | None:
    """A function that ends the statement at the server, also when the connection is gone; None without a statement.

    It blocks until the server has answered, at most `_CANCEL_SECONDS`.
    """
    if connection.pgconn.transaction_status != TransactionStatus.ACTIVE:
        return None
    try:
        if not capabilities.has_cancel_safe():
            request = connection.pgconn.get_cancel().cancel
        else:
            request = partial(_send_cancel, connection.pgconn.cancel_conn())
    except psycopg.Error:
        return None

    def cancel() -> None:
        with contextlib.suppress(psycopg.Error):  # a server that is gone has nothing to end
            request()

    return cancel


def _send_cancel(request: PGcancelConn) -> None:
    """Send the request without libpq's blocking call: psycopg's C module holds the GIL during that.

    A server that is silent would stop all threads of the process for as long as connect_timeout.
    """
    request.start()
    waiting.wait_conn(generators.cancel(request), interval=0.1, timeout=_CANCEL_SECONDS)


async def end_within(seconds: float, work: asyncio.Future[Any], connection: Connection) -> None:
    """Wait until work on the connection has ended; after so many seconds, cut the connection.

    The work's error counts as retrieved: a caller that is cancelled never asks for it.
    """
    done, _ = await asyncio.wait({work}, timeout=seconds)
    if not done:
        break_off(connection)
        await asyncio.wait({work})
    if not work.cancelled():
        work.exception()


def make_pool(conninfo: str, *, minimum: int, maximum: int) -> Pool:
    """A closed pool; open it inside the event loop. Its connections commit each statement by itself."""
    return AsyncConnectionPool(
        conninfo,
        min_size=minimum,
        max_size=maximum,
        open=False,
        connection_class=Connection,
        # After this the pool gives a connection up until somebody asks for one; its own pauses double
        # without a limit, and would outlast a short outage.
        reconnect_timeout=5,
        name="tiger-slack",
    )
