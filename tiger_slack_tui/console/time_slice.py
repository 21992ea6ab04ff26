"""Splits long work on the event loop into short slices, so that other tasks run in between."""

from __future__ import annotations

import asyncio
from time import perf_counter

SLICE_SECONDS = 0.004
"""Seconds that work may block the event loop."""
_STEPS = 16
"""Calls between two reads of the clock."""


class TimeSlice:
    """A share of the event loop's time. Await `yield_if_due` before each small piece of work."""

    def __init__(self, steps: int = _STEPS) -> None:
        """The clock is read once in `steps` calls."""
        self._steps = steps
        self._left = steps
        self._since = perf_counter()

    async def yield_if_due(self) -> None:
        """Let other tasks run if the slice is used up."""
        self._left -= 1
        if self._left > 0:
            return
        self._left = self._steps
        if perf_counter() - self._since >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = perf_counter()
