"""A few connections that only read, for a server of many questions. Each statement has 5 s."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager

import psycopg
from psycopg.pq import TransactionStatus

from tiger_slack_tui.base.errors import DatabaseUnavailable, TigerSlackError
from tiger_slack_tui.postgres.connection import Connection, with_defaults
from tiger_slack_tui.postgres.failures import translate_errors
from tiger_slack_tui.postgres.pool import connect

STATEMENT_SECONDS = 5.0
CONNECTIONS = 4
_WAIT_SECONDS = 30.0
"""How long a call waits for a connection that others use."""


class QuestionTooSlow(TigerSlackError):
    """A statement reached its limit of 5 s."""


class ReadOnlyDatabase:
    """Transactions that only read. Nothing is opened before the first one: a server starts without a database.

    `address` gives the conninfo for as long as its block runs; for an embedded server it starts the server.
    """

    def __init__(self, address: Callable[[], AbstractContextManager[str]], name: str) -> None:
        self._address = address
        self._name = name
        self._conninfo: str | None = None
        self._starting = asyncio.Lock()
        self._stack = ExitStack()
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(CONNECTIONS)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction that only reads, over a connection of its own.

        Raises QuestionTooSlow, DatabaseUnavailable (also after 30 s without a free connection), DatabaseRefused,
        MigrationError and EmbeddedPostgresError.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_WAIT_SECONDS):
                    await self._free.acquire()
            except TimeoutError:
                raise DatabaseUnavailable(
                    "All connections of the server are in use.", hint="Ask again later."
                ) from None
            stack.callback(self._free.release)
            connection = await self._connection()
            stack.callback(self._give_back, connection)
            with translate_errors(connection.conninfo):
                try:
                    async with connection.transaction():
                        yield connection
                except psycopg.errors.QueryCanceled:
                    raise QuestionTooSlow(
                        f"The database did not answer within {STATEMENT_SECONDS:.0f} s.",
                        hint="Ask for less: a shorter period, one channel, or rarer words.",
                    ) from None

    def close(self) -> None:
        """Close the idle connections, and stop an embedded server that was started. Blocks until it has stopped."""
        while self._idle:
            self._idle.pop().pgconn.finish()
        self._stack.close()

    async def _connection(self) -> Connection:
        """An idle connection that still works, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.execute("select")
            except psycopg.Error:  # the server was restarted, or is away
                connection.pgconn.finish()
                continue
            except BaseException:
                connection.pgconn.finish()
                raise
            return connection
        connection = await connect(await self._full_conninfo(), statement_seconds=STATEMENT_SECONDS)
        try:
            # The transactions, and for what runs outside of one the session: a pooler's session is not ours.
            await connection.set_read_only(True)
            if not connection.is_pooled:
                with translate_errors(connection.conninfo):
                    await connection.execute("set default_transaction_read_only = on")
        except BaseException:
            connection.pgconn.finish()
            raise
        return connection

    def _give_back(self, connection: Connection) -> None:
        if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
            connection.pgconn.finish()
        else:
            self._idle.append(connection)

    async def _full_conninfo(self) -> str:
        async with self._starting:
            if self._conninfo is None:
                given = await asyncio.to_thread(self._stack.enter_context, self._address())
                self._conninfo = with_defaults(given, application_name=self._name)
        return self._conninfo
