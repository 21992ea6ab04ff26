"""The pool of connections."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

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
    """`conninfo` with the name that shows in pg_stat_activity and limits on a silent network; its own values win."""
    given: dict[str, str | int] = {
        name: value for name, value in conninfo_to_dict(conninfo).items() if value is not None
    }
    return make_conninfo("", **(_DEFAULTS | {"application_name": application_name} | given))


def make_pool(
    conninfo: str, *, minimum: int, maximum: int
) -> AsyncConnectionPool[AsyncConnection[Any]]:
    """A closed pool; open it inside the event loop. Its connections commit each statement by itself.

    The effects of events rely on each statement seeing what was committed before it, so a server or role
    whose default isolation is stricter is overruled.
    """
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
    await connection.execute(
        "select set_config('default_transaction_isolation', 'read committed', false)"
        ", set_config('client_min_messages', 'warning', false)"
        ", set_config('timezone', 'UTC', false)"
    )
