"""Runs a command's queries against the database."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.postgres.connection import Connection, with_defaults
from tiger_slack_tui.postgres.database import database
from tiger_slack_tui.postgres.failures import DriverError
from tiger_slack_tui.postgres.pool import abort_connection, connected

T = TypeVar("T")
Query = Callable[[Connection], Awaitable[T]]


@contextmanager
def query_runner(settings: Settings, name: str) -> Iterator[Callable[[Query[Any]], Any]]:
    """A function that runs a query over a connection of its own, and returns its result.

    `name` is the command's name; pg_stat_activity shows it. Raises NoData. The function raises DatabaseUnavailable,
    DatabaseRefused and MigrationError, KeyboardInterrupt at SIGINT, and what the query raises.
    """
    with database(settings) as conninfo:
        named = with_defaults(conninfo, application_name=f"{settings.service_name} {name}")
        yield lambda query: asyncio.run(_run(named, query))


def run_query(settings: Settings, name: str, query: Query[T]) -> T:
    """The result of one query; see `query_runner`."""
    with query_runner(settings, name) as run:
        result: T = run(query)
        return result


async def last(results: AsyncIterator[T], default: T) -> T:
    """The last of the results; `default` if there is none."""
    result = default
    async for newer in results:
        result = newer
    return result


async def _run(conninfo: str, query: Query[T]) -> T:
    async with connected(conninfo) as connection:
        return await _interruptible(connection, query)


async def _interruptible(connection: Connection, query: Query[T]) -> T:
    running = asyncio.ensure_future(query(connection))
    is_interrupted = False

    def interrupt() -> None:
        nonlocal is_interrupted
        is_interrupted = True
        running.cancel()
        abort_connection(connection)  # else psycopg waits for the query that it has cancelled

    # psycopg warns that it could not cancel the query. The operator has just ended it on purpose.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
    try:
        return await running
    except (asyncio.CancelledError, DriverError):
        if is_interrupted:
            raise KeyboardInterrupt from None
        raise
