"""The signals that ask for a stop, and the one deadline that all parts of a stop share."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

SHUTDOWN_SECONDS = 4.5
"""How long a stop may take, from the signal. Operators are promised the end of the process within 5 s, and the
interpreter needs the rest. Docker kills a process after 10 s, Kubernetes after 30 s."""


def stop_on_signals(stop: Callable[[signal.Signals], None]) -> None:
    """Call `stop` at the first SIGTERM or SIGINT. A second signal ends the process at once, without any clean-up.

    For the running event loop. The exit code is then 128 plus the signal's number, as a shell reports it.
    """
    loop = asyncio.get_running_loop()
    is_stopping = False

    def handle(number: signal.Signals) -> None:
        nonlocal is_stopping
        if is_stopping:
            os._exit(128 + number)
        is_stopping = True
        stop(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, handle, number)


class Shutdown:
    """Made once for a run, and passed to each part that has to end. For one event loop.

    A part that waits for a server or a disk waits for at most `left` seconds. So a slow part leaves less time to the
    parts after it, but never makes the stop longer.
    """

    def __init__(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        self._seconds = seconds
        self._requested = asyncio.Event()
        self._end: float | None = None

    def request(self) -> None:
        """Ask for the stop. The time runs from the first call."""
        if self._end is None:
            self._end = time.monotonic() + self._seconds
        self._requested.set()

    async def wait(self) -> None:
        """Wait for the request."""
        await self._requested.wait()

    def left(self, *, reserve: float = 0) -> float:
        """Seconds until the deadline, less `reserve` for the parts that come later. Never negative.

        Before the request: all of the time.
        """
        left = self._seconds if self._end is None else self._end - time.monotonic()
        return max(left - reserve, 0)
