"""The database connection: it never waits for a server that is gone, and it works through a pooler."""

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
from tiger_slack_tui.postgres.session_settings import (
    SessionState,
    apply,
    log_overruled,
    prepare_session,
)
from tiger_slack_tui.postgres.silence import BackendCheck, SilenceLimits, watch_silence
from tiger_slack_tui.postgres.timestamps import TimestampLoader

_INTERVAL = 0.1
"""Seconds between two checks of how long the server has been silent."""
_BEGINS = 5
"""Attempts to begin a transaction through a pooler: its session can have a statement_timeout of a millisecond."""
_CANCEL_SECONDS = 1.0
"""How long the server may take to end a cancelled statement."""

_DEFAULTS: dict[str, str | int] = {
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    # The kernel notices a lost peer in about 15 s instead of two hours. A proxy in between acknowledges on its own;
    # `silence` notices a server that is lost behind one.
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def with_defaults(conninfo: str, *, application_name: str | None = None) -> str:
    """`conninfo` with limits for a silent network, unless it has its own, and with our name for pg_stat_activity."""
    given: dict[str, str | int] = {
        name: value for name, value in conninfo_to_dict(conninfo).items() if value is not None
    }
    if application_name is not None:
        given["application_name"] = application_name
    hosts = f"{given.get('host', '')} {given.get('hostaddr', '')}"
    # Of several servers, use the one that takes writes: a connection to a standby would never end by itself.
    defaults = _DEFAULTS | ({"target_session_attrs": "primary"} if "," in hosts else {})
    return make_conninfo("", **(defaults | given))


def _same_server(conninfo: str, connection: AsyncConnection[Any]) -> str:
    """`conninfo` with only the one server that the connection uses."""
    info, address = connection.info, conninfo_to_dict(conninfo).get("hostaddr")
    return make_conninfo(
        conninfo, host=info.host, port=info.port, hostaddr=info.hostaddr if address else None
    )


class Cursor(AsyncCursor[Any]):
    """A cursor. On a pooled connection it runs each statement in a transaction with the program's settings."""

    async def execute(self, *args: Any, **options: Any) -> Self:
        """As AsyncCursor.execute. If the server takes no writes, closes the connection and raises ReadOnlyServer."""
        connection = self._own()
        try:
            if not connection.is_pooled:
                return await super().execute(*args, **options)
            async with connection.with_settings():
                return await super().execute(*args, **options)
        except psycopg.errors.ReadOnlySqlTransaction:
            raise connection.close_read_only() from None

    async def executemany(self, *args: Any, **options: Any) -> None:
        """As AsyncCursor.executemany. If the server takes no writes, does as `execute`."""
        connection = self._own()
        try:
            async with connection.with_settings():
                await super().executemany(*args, **options)
        except psycopg.errors.ReadOnlySqlTransaction:
            raise connection.close_read_only() from None

    def _own(self) -> Connection:
        connection = self.connection
        assert isinstance(connection, Connection)  # noqa: S101 for the types
        return connection


class Connection(AsyncConnection[Any]):
    """Commits each statement by itself, and never waits for a server that has stopped working on it.

    A statement may take as long as the server works on it. If nothing has arrived for `silence_limits.silence`
    seconds, a second connection checks in pg_stat_activity whether the backend is at work. If it is not, the
    connection is closed and the statement raises SilentServer. TCP keepalives are not enough, because a proxy or a
    pooler answers them. A limit for each statement is not possible: no limit suits both a small read and an index.

    `is_pooled` means that a pooler can run each transaction in another session of the server, as pgbouncer does in
    transaction mode. Then no statement is prepared, and each transaction sets the program's settings for itself.
    """

    silence_limits: ClassVar[SilenceLimits] = SilenceLimits()
    is_pooled = False
    session: SessionState
    """The server's session as it was found, and the settings that the program needs."""
    _conninfo = ""
    _backend: int | None = None
    """The server's process that runs the present transaction; None if it is not known."""

    @classmethod
    async def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, statement_seconds: float = 0, **kwargs: Any
    ) -> Self:
        """A connection with the program's settings. `statement_seconds` limits each statement; 0 means no limit.

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

    async def __aexit__(self, *error: Any) -> None:
        """As psycopg's, and release a lost connection at once: psycopg leaves its socket to the garbage collector."""
        try:
            await super().__aexit__(*error)
        finally:
            self._release()

    async def close(self) -> None:
        """As psycopg's, and release a lost connection at once."""
        await super().close()
        self._release()

    def _release(self) -> None:
        if self.broken:
            self.pgconn.finish()

    @property
    def conninfo(self) -> str:
        """The address of its server and database. It contains the password."""
        return self._conninfo

    @property
    def server(self) -> str:
        """Host and port, to show to people."""
        return "?" if self.closed else f"{self.info.host}:{self.info.port}"

    async def wait(
        self, gen: PQGen[RV], interval: float = _INTERVAL, timeout: float | None = None
    ) -> RV:
        """As AsyncConnection.wait, but raises SilentServer. A cancelled statement ends within about a second."""
        limited = self.limited(gen)
        try:
            return await waiting.wait_async(limited, self.pgconn.socket, interval, timeout)
        except (asyncio.CancelledError, KeyboardInterrupt):
            await self._end(limited)
            raise

    def limited(self, gen: PQGen[RV]) -> PQGen[RV]:
        """The generator; it raises SilentServer once the server has stopped working on the statement."""
        return watch_silence(
            gen,
            lambda: BackendCheck(self._conninfo, self._backend),
            self.pgconn.finish,
            self.silence_limits,
        )

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[AsyncTransaction]:
        """As AsyncConnection.transaction. Through a pooler, it begins with the program's settings."""
        begins = self.is_pooled and self.info.transaction_status == TransactionStatus.IDLE
        for tries_left in reversed(range(_BEGINS if begins else 1)):
            try:
                async with AsyncExitStack() as beginning:
                    transaction = await beginning.enter_async_context(
                        super().transaction(savepoint_name, force_rollback)
                    )
                    if begins:
                        self._backend = await apply(self, self.session, is_local=True)
                        beginning.callback(self._forget_backend)
                    stack = beginning.pop_all()
                    break
            except psycopg.errors.FeatureNotSupported:
                # The message is: cannot set read-write mode during recovery
                raise self.close_read_only() from None
            except psycopg.errors.QueryCanceled:
                # The session's own statement_timeout was in force until our settings were set. Nothing was done yet.
                if not tries_left or self.info.transaction_status != TransactionStatus.IDLE:
                    raise
        async with stack:
            yield transaction

    @asynccontextmanager
    async def with_settings(self) -> AsyncIterator[None]:
        """Inside, the program's settings are in force. On a pooled connection this begins a transaction."""
        if self.is_pooled and self.info.transaction_status == TransactionStatus.IDLE:
            async with self.transaction():
                yield
        else:
            yield

    async def claim_session(self) -> None:
        """Use the pooler's session as our own, because the pooler keeps it for us. Raises psycopg.Error."""
        self.is_pooled = False
        self._backend = await apply(self, self.session, is_local=False)

    def close_read_only(self) -> ReadOnlyServer:
        """Close the connection, so that the next one finds the primary. Returns the error to raise."""
        error = ReadOnlyServer(self.server)
        self.pgconn.finish()
        return error

    async def _configure(self, statement_seconds: float) -> None:
        self.adapters.register_loader("timestamptz", TimestampLoader)
        self.session = found = await prepare_session(self, statement_seconds)
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
        """Cancel the statement on the server. If the server does not answer soon, close the connection."""
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
    """Blocks the event loop while it waits for the server, for a program that does one thing at a time.

    Waiting through asyncio costs several times the CPU.
    """

    async def wait(
        self, gen: PQGen[RV], interval: float = _INTERVAL, timeout: float | None = None
    ) -> RV:
        """As Connection.wait, but blocks."""
        return waiting.wait(self.limited(gen), self.pgconn.socket, interval, timeout)
