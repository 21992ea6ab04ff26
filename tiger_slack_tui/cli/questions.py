"""What the commands that ask the database share: a connection, errors in words, times and names for people."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click
import humanize
import orjson
import psycopg

from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import cut
from tiger_slack_tui.launch import database
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import explained
from tiger_slack_tui.postgres.pool import break_off, connect, with_defaults

T = TypeVar("T")
Ask = Callable[[Callable[[Connection], Awaitable[T]]], T]


@contextmanager
def asking(settings: Settings, name: str) -> Iterator[Ask[Any]]:
    """A function that runs questions, each over a connection of its own; `name` is shown in pg_stat_activity.

    It raises DatabaseUnavailable, DatabaseRefused, MigrationError, and what the question raises.
    """
    with database(settings) as conninfo:
        named = with_defaults(conninfo, application_name=f"{settings.service_name} {name}")
        yield lambda work: asyncio.run(_ask(named, work))


def ask(settings: Settings, name: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    """The answer to one question; see `asking`."""
    with asking(settings, name) as run:
        answer: T = run(work)
        return answer


async def _ask(conninfo: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    async with _connected(conninfo) as connection:
        answering = asyncio.ensure_future(work(connection))
        is_interrupted = False

        def interrupt() -> None:
            nonlocal is_interrupted
            is_interrupted = True
            answering.cancel()
            break_off(connection)  # else the driver would wait for what it has cancelled

        # psycopg warns of the query that it cannot cancel any more: for the person it is just the end.
        logging.getLogger("psycopg").setLevel(logging.ERROR)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
        try:
            return await answering
        except (asyncio.CancelledError, psycopg.Error):
            if is_interrupted:
                raise KeyboardInterrupt from None
            raise


@asynccontextmanager
async def _connected(conninfo: str) -> AsyncIterator[Connection]:
    async with await connect(conninfo) as connection:
        with explained():
            yield connection


async def last(growing: AsyncIterator[T], first: T) -> T:
    """The last of the answers; `first` where there is none."""
    answer = first
    async for newer in growing:
        answer = newer
    return answer


def echo_json(value: Any) -> None:
    """The value, which may hold dataclasses, as one line of JSON."""
    click.echo(orjson.dumps(value, default=str))


def shown_time(time: datetime | None) -> str:
    """To the second, in UTC, as the database's connections tell it."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if time else "-"


def shown_duration(duration: timedelta) -> str:
    """In words, with milliseconds below a second."""
    return humanize.precisedelta(duration, minimum_unit="milliseconds", format="%.0f")


def shown_channel(channel_id: str | None, name: str | None, most: int = 21) -> str:
    """#name, or the id where no name is known."""
    return cut(f"#{name}" if name and name != channel_id else channel_id or "-", most)


def shown_user(user_id: str | None, name: str | None, most: int = 21) -> str:
    """@name, or the id where no name is known."""
    return cut(f"@{name}" if name and name != user_id else user_id or "-", most)
