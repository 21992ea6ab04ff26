"""Opens and aborts connections, and makes the pool."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg import capabilities, generators, waiting
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGcancelConn
from psycopg_pool import AsyncConnectionPool

from tiger_slack_tui.base.errors import DatabaseRefused, OtherDatabase
from tiger_slack_tui.postgres.connect_failures import connect_failure
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import translate_errors
from tiger_slack_tui.postgres.pooler import holds_sessions, is_same_database

Pool = AsyncConnectionPool[Connection]

_CANCEL_SECONDS = 5.0
"""How long a thread waits until the server has accepted a request to cancel."""


async def connect(
    conninfo: str, kind: type[Connection] = Connection, *, statement_seconds: float = 0
) -> Connection:
    """A connection that commits each statement by itself. `statement_seconds` limits each statement; 0 means none.

    Raises DatabaseUnavailable, DatabaseRefused.
    """
    try:
        return await kind.connect(conninfo, statement_seconds=statement_seconds)
    except psycopg.Error as error:
        raise connect_failure(error, conninfo) from None


@asynccontextmanager
async def connected(conninfo: str, *, statement_seconds: float = 0) -> AsyncIterator[Connection]:
    """A connection for one question or change. `statement_seconds` limits each statement; 0 means none.

    Raises DatabaseUnavailable, DatabaseRefused, and MigrationError if tables are missing.
    """
    async with await connect(conninfo, statement_seconds=statement_seconds) as connection:
        with translate_errors(conninfo):
            yield connection


async def connect_session(conninfo: str, kind: type[Connection] = Connection) -> Connection:
    """As `connect`, for advisory locks and temporary tables, which need one session for all transactions.

    Also raises DatabaseRefused if a pooler runs each transaction in another session.
    """
    connection = await connect(conninfo, kind)
    try:
        with translate_errors(conninfo):
            if not connection.is_pooled:
                return connection
            if await holds_sessions(connection, conninfo):
                await connection.claim_session()
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
    """Check that DATABASE_DIRECT_URL leads to the same database: jobs and imports use it.

    Raises OtherDatabase if it does not; DatabaseUnavailable and DatabaseRefused if one cannot be reached.
    """
    async with await connect(conninfo) as one, await connect(direct) as other:
        with translate_errors(direct):
            is_same = await is_same_database(one, other)
    if not is_same:
        raise OtherDatabase(
            "DATABASE_DIRECT_URL leads to another database than DATABASE_URL.",
            hint="Let both name the same database of the same server.",
        )


def abort_connection(connection: Connection | psycopg.Connection[Any]) -> None:
    """Cut the connection. Whoever waits for its server gets an error at once.

    A thread then asks the server to cancel the statement, because a backend that waits for a lock or a synchronous
    standby does not notice that its client is gone. The connection is cut before that: a commit whose wait for a
    standby is cancelled would report success.
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
    """A function that cancels the connection's statement on the server, also once the connection is cut.

    None if no statement runs. The function blocks until the server has answered, at most `_CANCEL_SECONDS`.
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
        with contextlib.suppress(psycopg.Error):  # a server that is gone runs no statement
            request()

    return cancel


def _send_cancel(request: PGcancelConn) -> None:
    """Send the request without libpq's blocking call: psycopg's C module holds the GIL during that.

    A server that is silent would stop all threads of the process for as long as connect_timeout.
    """
    request.start()
    waiting.wait_conn(generators.cancel(request), interval=0.1, timeout=_CANCEL_SECONDS)


async def end_within(seconds: float, work: asyncio.Future[Any], connection: Connection) -> None:
    """Wait until the work on the connection has ended. After `seconds`, abort the connection.

    Marks the work's error as retrieved, because a caller that is cancelled never retrieves it.
    """
    done, _ = await asyncio.wait({work}, timeout=seconds)
    if not done:
        abort_connection(connection)
        await asyncio.wait({work})
    if not work.cancelled():
        work.exception()


def make_pool(conninfo: str, *, minimum: int, maximum: int) -> Pool:
    """A pool that is not open yet; open it in the event loop. Its connections commit each statement by itself."""
    return AsyncConnectionPool(
        conninfo,
        min_size=minimum,
        max_size=maximum,
        open=False,
        connection_class=Connection,
        # The pool's pauses between attempts double without a limit, and would outlast a short outage. After this
        # many seconds it stops trying until a connection is needed.
        reconnect_timeout=5,
        name="tiger-slack",
    )
