"""Reads the database again and again over one connection, and connects again after any error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.console.model.read_errors import (
    describe_error,
    raise_if_cancelled,
    unexpected,
)
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.pool import connect

_STATEMENT_SECONDS = 5
"""The server ends a statement after this time."""
_WANTED_SECONDS = 3.0
"""How long a view wants what it has asked for. It asks with each sample."""
_MOST_SECONDS = 10.0
"""The longest pause before the next connection."""


class WakeUp:
    """Lets a loop wait for some seconds, or until it is woken."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """End the present wait; if there is none, the next one."""
        self._event.set()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until `set` is called, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()


class WantedPolling:
    """Calls `read` while a view wants what it reads: for some seconds after each call of `renew`."""

    def __init__(
        self,
        conninfo: str,
        read: Callable[[Connection], Awaitable[None]],
        *,
        seconds: float,
        on_error: Callable[[Exception, float], None],
        clock: Clock,
    ) -> None:
        """`seconds` are between two reads. `on_error` is called as by `poll`."""
        self._conninfo = conninfo
        self._read = read
        self._seconds = seconds
        self._on_error = on_error
        self._clock = clock
        self._wake_up = WakeUp()
        self._renewed = float("-inf")

    @property
    def is_wanted(self) -> bool:
        return self.age < _WANTED_SECONDS

    @property
    def age(self) -> float:
        """Seconds since `renew`."""
        return self._clock.elapsed() - self._renewed

    def renew(self) -> None:
        """Want it for some more seconds. Reads at once if it was not wanted."""
        if not self.is_wanted:
            self._wake_up.set()
        self._renewed = self._clock.elapsed()

    def read_now(self) -> None:
        """Read at once, if it is wanted."""
        self._wake_up.set()

    async def run(self) -> None:
        """Read until cancelled. After any error, connect again with backoff."""
        while True:
            await self._wake_up.wait()
            await poll(
                self._conninfo,
                self._read,
                seconds=self._seconds,
                first_pause=self._seconds,
                wake_up=self._wake_up,
                on_error=self._on_error,
                is_wanted=lambda: self.is_wanted,
            )


async def poll(
    conninfo: str,
    read: Callable[[Connection], Awaitable[None]],
    *,
    seconds: float,
    first_pause: float,
    wake_up: WakeUp,
    on_error: Callable[[Exception, float], None],
    is_wanted: Callable[[], bool] = lambda: True,
) -> None:
    """Call `read`, then wait `seconds` or for `wake_up`, while `is_wanted`.

    `on_error` gets each error with the seconds until the next connection. This pause begins with at most
    `first_pause` and doubles with each error in a row.
    """
    failures = 0
    while is_wanted():
        try:
            connection = await connect(conninfo, statement_seconds=_STATEMENT_SECONDS)
            try:
                while is_wanted():
                    await read(connection)
                    failures = 0
                    await wake_up.wait(seconds)
            finally:
                await connection.close()
        except Exception as error:
            raise_if_cancelled()
            failures += 1
            pause = backoff(failures, first=first_pause, most=_MOST_SECONDS)
            on_error(error, pause)
            await wake_up.wait(pause)


def log_read_error(log: logging.Logger, what: str, error: Exception, before: str | None) -> str:
    """Log that `what` cannot be read, unless for the reason `before`. Returns the reason."""
    reason = describe_error(error)
    if reason != before:
        log.warning("the console cannot read %s: %s", what, reason, exc_info=unexpected(error))
    return reason
