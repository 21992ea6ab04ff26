"""The session that holds an import's lock while its workers write."""

from __future__ import annotations

import asyncio
import logging

import psycopg

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.pool import connect_session
from tiger_slack_tui.store import imports as checkpoint

log = logging.getLogger(__name__)

_TRIES = 10
_TRY_SECONDS = 0.5
"""The server may need a moment to notice that the lost session is gone; until then that one holds the lock."""


class ControlSession:
    """Holds the lock of an import, and is replaced by another session where it is lost.

    The session is idle for as long as the workers read, which can be hours: a proxy may close it, a server may fail
    over. The import is not lost with it, because the workers have sessions of their own.
    """

    def __init__(self, conninfo: str, connection: Connection, begun: checkpoint.Begun) -> None:
        """`connection` holds the lock of the import already."""
        self._conninfo = conninfo
        self._connection = connection
        self._begun = begun
        self._import = begun.id
        self._checking = asyncio.Lock()

    async def connection(self) -> Connection:
        """The session, after it has answered; a new one that has taken the lock again where it is lost.

        Raises psycopg.Error, DatabaseUnavailable, DatabaseRefused; ImportRunning where another session has the lock.
        """
        async with self._checking:
            try:
                await self._connection.execute("select 1")
            except psycopg.Error as error:
                log.warning("the session of import %d was lost: %s", self._import, describe(error))
                self._connection.pgconn.finish()
                self._connection = await self._replacement()
            return self._connection

    async def keep(self, seconds: float) -> None:
        """Check the session every so many seconds until cancelled. A failure is logged, and tried again.

        No other process can go on with the import meanwhile: it would wait for the workers, which have a lock, too.
        """
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.connection()
            except psycopg.Error as error:
                log.warning("the lock of import %d is lost: %s", self._import, describe(error))
            except TigerSlackError as error:
                log.warning("the lock of import %d is lost: %s", self._import, error.args[0])

    async def close(self) -> None:
        """End the session, and release the lock with it."""
        await self._connection.close()

    async def _replacement(self) -> Connection:
        connection = await connect_session(self._conninfo)
        try:
            for _ in range(_TRIES):
                if await checkpoint.hold_again(connection, self._begun):
                    log.info("import %d has its lock again", self._import)
                    return connection
                await asyncio.sleep(_TRY_SECONDS)
            raise checkpoint.ImportRunning(
                "Another process has taken the lock of this import while its connection was lost.",
                hint="What was committed is kept. Start it again when the other one has ended.",
            )
        except BaseException:
            connection.pgconn.finish()
            raise
