"""The session that holds an import's lock while its workers write."""

from __future__ import annotations

import asyncio
import logging

import psycopg

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.introspection import ping
from tiger_slack_tui.postgres.pool import connect_session
from tiger_slack_tui.store.imports import ImportRun, ImportRunning, retake_lock

log = logging.getLogger(__name__)

_TRIES = 10
_TRY_SECONDS = 0.5
"""The server may take a moment to notice that the lost session is gone. Until then it holds the lock."""


class LockSession:
    """Holds the lock of an import. A lost session is replaced by a new one.

    The session is idle for as long as the workers read, which can be hours: a proxy may close it, or the server may
    fail over. The import continues, because the workers have their own sessions.
    """

    def __init__(self, conninfo: str, connection: Connection, run: ImportRun) -> None:
        """`connection` already holds the lock."""
        self._conninfo = conninfo
        self._connection = connection
        self._run = run
        self._checking = asyncio.Lock()

    async def connection(self) -> Connection:
        """The session, after it has answered a query. If it was lost: a new one, which has taken the lock again.

        Raises psycopg.Error, DatabaseUnavailable, DatabaseRefused; ImportRunning if another session has the lock.
        """
        async with self._checking:
            try:
                await ping(self._connection)
            except psycopg.Error as error:
                log.warning("the session of import %d was lost: %s", self._run.id, describe(error))
                self._connection.pgconn.finish()
                self._connection = await self._replacement()
            return self._connection

    async def keep(self, seconds: float) -> None:
        """Check the session every `seconds`, until cancelled. A failure is logged, and retried.

        No other process can continue the import meanwhile: it would wait for the locks of the workers.
        """
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.connection()
            except psycopg.Error as error:
                log.warning("the lock of import %d is lost: %s", self._run.id, describe(error))
            except TigerSlackError as error:
                log.warning("the lock of import %d is lost: %s", self._run.id, error.args[0])

    async def close(self) -> None:
        """Close the session, which releases the lock."""
        await self._connection.close()

    async def _replacement(self) -> Connection:
        connection = await connect_session(self._conninfo)
        try:
            for _ in range(_TRIES):
                if await retake_lock(connection, self._run):
                    log.info("import %d has taken its lock again", self._run.id)
                    return connection
                await asyncio.sleep(_TRY_SECONDS)
            raise ImportRunning(
                "Another process has taken the lock of this import while its connection was lost.",
                hint="What is committed is kept. Start the import again when the other one has ended.",
            )
        except BaseException:
            connection.pgconn.finish()
            raise
