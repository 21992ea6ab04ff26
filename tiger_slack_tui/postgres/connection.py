"""A connection that never waits for a server that is gone, and keeps the program's promises behind a pooler, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar, Self

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncTransaction, IsolationLevel, waiting
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from tiger_slack_tui.postgres.failures import ReadOnlyServer, StatementPooler
from tiger_slack_tui.postgres.session_settings import Found, apply, log_overruled, prepare_session
from tiger_slack_tui.postgres.silence import Patience, Question, watched
from tiger_slack_tui.postgres.timestamps import TimestampLoader

_INTERVAL = 0.1
"""Seconds between two looks at how long the server has been silent."""
_BEGINS = 5
"""Attempts to begin a transaction through a pooler, whose session can have a statement_timeout of a millisecond."""
_CANCEL_SECONDS = 1.0
"""How long a cancelled statement may take to end."""

_DEFAULTS: dict[str, str | int] = {
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    # The kernel notices a lost peer in about 15 s instead of two hours. A proxy in between acknowledges all the
    # same; there `silence` finds it out.
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def with_defaults(conninfo: str, *, application_name: str | None = None) -> str:
    """`conninfo` with limits on a silent network, where it sets none, and our name for pg_stat_activity and locks."""
    given: dict[str, str | int] = {
        name: value for name, value in conninfo_to_dict(conninfo).items() if value is not None
    }
    if application_name is not None:
        given["application_name"] = application_name
    hosts = f"{given.get('host', '')} {given.get('hostaddr', '')}"
    # Of several servers, the one that takes writes: a connection to a standby would never be given up.
    defaults = _DEFAULTS | ({"target_session_attrs": "primary"} if "," in hosts else {})
    return make_conninfo("", **(defaults | given))


def _same_server(conninfo: str, connection: AsyncConnection[Any]) -> str:
    """`conninfo` with nothing but the server that the connection has, of those that it may name."""
    info, address = connection.info, conninfo_to_dict(conninfo).get("hostaddr")
    return make_conninfo(
        conninfo, host=info.host, port=info.port, hostaddr=info.hostaddr if address else None
    )


class Cursor(AsyncCursor[Any]):
    """Runs a statement of a pooled connection inside a transaction with the program's settings."""

    async def execute(self, *args: Any, **options: Any) -> Self:
        """As AsyncCursor's. On a server that takes no writes, raises ReadOnlyServer and closes the connection."""
        connection = self._own()
        try:
            if not connection.is_pooled:
                return await super().execute(*args, **options)
            async with connection.settled():
                return await super().execute(*args, **options)
        except psycopg.errors.ReadOnlySqlTransaction:
            raise connection.close_read_only() from None

    async def executemany(self, *args: Any, **options: Any) -> None:
        """As AsyncCursor's, and `execute`."""
        connection = self._own()
        try:
            async with connection.settled():
                await super().executemany(*args, **options)
        except psycopg.errors.ReadOnlySqlTransaction:
            raise connection.close_read_only() from None

    def _own(self) -> Connection:
        connection = self.connection
        assert isinstance(connection, Connection)  # noqa: S101 for the types
        return connection


class Connection(AsyncConnection[Any]):
    """Commits each statement by itself, and never waits for a server that does not work for it.

    A statement may take as long as the server works on it. When nothing has arrived for `patience.silence` seconds,
    a second connection looks in pg_stat_activity whether the backend is at work. If it is not, the connection is
    closed and the statement raises SilentServer. TCP keepalives alone would not do: a proxy or pooler
    acknowledges them. A limit on the whole statement would not do either: no limit fits both a read and an index.

    `is_pooled` says that a pooler may give each transaction to another session of the server, as pgbouncer does in
    its transaction mode. Then no statement is prepared, and each transaction begins with the program's settings,
    for itself alone.
    """

    patience: ClassVar[Patience] = Patience()
    is_pooled = False
    found: Found
    """The session as it was."""
    _conninfo = ""
    _backend: int | None = None
    """The server's process for the transaction at hand; None where it is not known."""

    @classmethod
    async def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, statement_seconds: float = 0, **kwargs: Any
    ) -> Self:
        """A connection with the program's settings. `statement_seconds` bounds each statement; 0 does not.

        Raises psycopg.Error.
        """
        full = with_defaults(make_conninfo(conninfo, **kwargs))
        self = await super().connect(full, autocommit=True, cursor_factory=Cursor)
        self._conninfo = _same_server(full, self)
        self._backend = self.info.backend_pid
        try:
            await self._configure(statement_seconds)
        except BaseException:
            self.pgconn.finish()
            raise
        return self

    @property
    def server(self) -> str:
        """Host and port, for people."""
        return "?" if self.closed else f"{self.info.host}:{self.info.port}"

    async def wait(
        self, gen: PQGen[RV], interval: float = _INTERVAL, timeout: float | None = None
    ) -> RV:
        """As AsyncConnection's, within the limits of this class. A cancelled statement ends within about a second."""
        limited = self.limited(gen)
        try:
            return await waiting.wait_async(limited, self.pgconn.socket, interval, timeout)
        except (asyncio.CancelledError, KeyboardInterrupt):
            await self._end(limited)
            raise

    def limited(self, gen: PQGen[RV]) -> PQGen[RV]:
        """The generator, which ends with an error once the server no longer works for it."""
        return watched(
            gen,
            lambda: Question(self._conninfo, self._backend),
            self.pgconn.finish,
            self.patience,
        )

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[AsyncTransaction]:
        """As AsyncConnection's. Through a pooler it begins with the program's settings."""
        begins = self.is_pooled and self.info.transaction_status == TransactionStatus.IDLE
        for tries_left in reversed(range(_BEGINS if begins else 1)):
            try:
                async with AsyncExitStack() as beginning:
                    transaction = await beginning.enter_async_context(
                        super().transaction(savepoint_name, force_rollback)
                    )
                    if begins:
                        self._backend = await apply(self, self.found, is_local=True)
                        beginning.callback(self._forget_backend)
                    stack = beginning.pop_all()
                    break
            except psycopg.errors.FeatureNotSupported:
                # "cannot set read-write mode during recovery"
                raise self.close_read_only() from None
            except psycopg.errors.QueryCanceled:
                # Until the settings hold, a statement_timeout of the session's does. Nothing was done yet.
                if not tries_left or self.info.transaction_status != TransactionStatus.IDLE:
                    raise
        async with stack:
            yield transaction

    @asynccontextmanager
    async def settled(self) -> AsyncIterator[None]:
        """The program's settings hold inside: by a transaction, where the session's cannot be relied upon."""
        if self.is_pooled and self.info.transaction_status == TransactionStatus.IDLE:
            async with self.transaction():
                yield
        else:
            yield

    async def take_session(self) -> None:
        """Treat the session as ours: the pooler was found to keep it for us. Raises psycopg.Error."""
        self.is_pooled = False
        self._backend = await apply(self, self.found, is_local=False)

    def close_read_only(self) -> ReadOnlyServer:
        """Close the connection, so that the next one can find the primary. Returns the error to raise."""
        error = ReadOnlyServer(self.server)
        self.pgconn.finish()
        return error

    async def _configure(self, statement_seconds: float) -> None:
        self.adapters.register_loader("timestamptz", TimestampLoader)
        self.found = found = await prepare_session(self, statement_seconds)
        log_overruled(found)
        if not found.is_pooled:
            return
        self.is_pooled = True
        self._backend = None
        self.prepare_threshold = None
        await self.set_isolation_level(IsolationLevel.READ_COMMITTED)
        await self.set_deferrable(False)
        if not found.is_standby:
            await self.set_read_only(False)
        try:
            async with self.transaction():
                pass
        except psycopg.errors.ProtocolViolation:
            raise StatementPooler from None

    async def _end(self, gen: PQGen[Any]) -> None:
        """Cancel the statement at the server. A server that does not answer soon loses the connection."""
        if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
            return
        try:
            await self.cancel_safe(timeout=_CANCEL_SECONDS)
            await waiting.wait_async(gen, self.pgconn.socket, _INTERVAL, _CANCEL_SECONDS)
        except psycopg.errors.QueryCanceled:
            pass
        except psycopg.Error:
            self.pgconn.finish()
        except BaseException:
            self.pgconn.finish()
            raise

    def _forget_backend(self) -> None:
        self._backend = None


class BlockingConnection(Connection):
    """For a program that does one thing at a time: its event loop stands still while it waits for the server.

    Waiting through the event loop takes several times the processor time.
    """

    async def wait(
        self, gen: PQGen[RV], interval: float = _INTERVAL, timeout: float | None = None
    ) -> RV:
        """As Connection's, but blocks."""
        return waiting.wait(self.limited(gen), self.pgconn.socket, interval, timeout)
