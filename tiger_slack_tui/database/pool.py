"""Connections: single ones and the pool."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Any

import psycopg
from psycopg import AsyncConnection, waiting
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from tiger_slack_tui.database.failures import connect_failure
from tiger_slack_tui.database.timestamps import TimestampLoader

_DEFAULTS: dict[str, str | int] = {
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    # A peer that vanished without a word is noticed in about 15 s, not in the kernel's two hours.
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def with_defaults(conninfo: str, *, application_name: str) -> str:
    """`conninfo` with limits on a silent network, where it sets none, and our name for pg_stat_activity and locks."""
    given: dict[str, str | int] = {
        name: value for name, value in conninfo_to_dict(conninfo).items() if value is not None
    }
    return make_conninfo("", **(_DEFAULTS | given | {"application_name": application_name}))


class BlockingConnection(AsyncConnection[Any]):
    """For a program that does one thing at a time: its event loop stands still while it waits for the server.

    Waiting by the ways of the event loop takes several times the processor time.
    """

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """As AsyncConnection's, but blocks."""
        return waiting.wait(gen, self.pgconn.socket, interval, timeout)


async def connect(
    conninfo: str, kind: type[AsyncConnection[Any]] = AsyncConnection
) -> AsyncConnection[Any]:
    """A connection that commits each statement by itself. Raises DatabaseUnavailable, DatabaseRefused."""
    try:
        connection = await kind.connect(conninfo, autocommit=True)
        await _configure(connection)
    except psycopg.Error as error:
        raise connect_failure(error) from None
    return connection


def break_off(connection: AsyncConnection[Any]) -> None:
    """Cut the connection: whoever waits for its server gets an error at once.

    For a server that neither answers nor closes: a cancelled query would go on waiting for it.
    """
    with contextlib.suppress(OSError, psycopg.Error):
        with socket.socket(fileno=os.dup(connection.fileno())) as peer:
            peer.shutdown(socket.SHUT_RDWR)


async def end_within(
    seconds: float, work: asyncio.Future[Any], connection: AsyncConnection[Any]
) -> None:
    """Wait until work on the connection has ended, in any way; after so many seconds, cut the connection."""
    done, _ = await asyncio.wait({work}, timeout=seconds)
    if not done:
        break_off(connection)
        await asyncio.wait({work})


def make_pool(
    conninfo: str, *, minimum: int, maximum: int
) -> AsyncConnectionPool[AsyncConnection[Any]]:
    """A closed pool; open it inside the event loop. Its connections commit each statement by itself."""
    return AsyncConnectionPool(
        conninfo,
        min_size=minimum,
        max_size=maximum,
        open=False,
        kwargs={"autocommit": True},
        configure=_configure,
        # After this the pool gives a connection up until somebody asks for one; its own pauses double
        # without a limit, and would outlast a short outage.
        reconnect_timeout=5,
        name="tiger-slack",
    )


async def _configure(connection: AsyncConnection[Any]) -> None:
    """Overrule what the server, the database or the role sets for people.

    Each statement sees what was committed before it, as the effects of events rely on; dates are as psycopg reads
    them; no limit breaks the same batch, migration or job off again and again: all that we wait for is bounded here.
    """
    connection.adapters.register_loader("timestamptz", TimestampLoader)
    await connection.execute(
        "select set_config('default_transaction_isolation', 'read committed', false)"
        ", set_config('client_min_messages', 'warning', false)"
        ", set_config('timezone', 'UTC', false)"
        ", set_config('datestyle', 'ISO', false)"
        ", set_config('intervalstyle', 'postgres', false)"
        ", set_config('statement_timeout', '0', false)"
        ", set_config('lock_timeout', '0', false)"
        ", set_config('idle_session_timeout', '0', false)"
    )
