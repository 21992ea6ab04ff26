"""Appends to the spool without waiting forever for a disk that hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.base.errors import SpoolError
from tiger_slack_tui.ingest.spool.spool import Spool


class Appender:
    """Makes one append at a time, for one caller. `problem` says if the current one hangs."""

    def __init__(self, spool: Spool, clock: Clock, *, seconds: float) -> None:
        """`seconds` is how long `append` waits for the disk."""
        self._spool = spool
        self._clock = clock
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None
        self._records: Sequence[bytes] = ()
        self._since = 0.0
        self._hangs = False

    @property
    def problem(self) -> str | None:
        """A sentence that the disk hangs, and for how long; None if it does not."""
        if not self._hangs or self._task is None or self._task.done():
            return None
        seconds = self._clock.elapsed() - self._since
        return f"The disk of the spool has not answered for {seconds:.0f} s."

    async def append(self, records: Sequence[bytes], *, oldest: float) -> str | None:
        """Append as `Spool.append`. Returns None when the records are durable, or else the reason why they are not.

        An append that hangs goes on, because its thread cannot be stopped. Call this again with the same list to wait
        for it again. No other append begins before it ends.
        """
        while True:
            if self._task is None:
                self._task = asyncio.create_task(self._spool.append(records, oldest=oldest))
                self._records, self._since = records, self._clock.elapsed()
            done, _ = await asyncio.wait({self._task}, timeout=self._seconds)
            self._hangs = not done
            if not done:
                return self.problem
            task, self._task = self._task, None
            problem = _problem(task)
            if self._records is records:
                return problem


def _problem(task: asyncio.Task[None]) -> str | None:
    """Why the append failed; None if it did not. Raises an error that is not a SpoolError."""
    try:
        task.result()
    except SpoolError as error:
        return str(error)
    return None
