"""Long work on the event loop, in slices: whoever else has something to do comes in between."""

from __future__ import annotations

import asyncio
from time import perf_counter

SLICE_SECONDS = 0.004
"""How long work goes on before others have their turn."""
_STEPS = 16
"""Steps between two looks at the time."""


class TimeSlice:
    """Await `step` for each small piece of work."""

    def __init__(self, steps: int = _STEPS) -> None:
        """`steps` is how many pieces may be done between two looks at the time."""
        self._steps = steps
        self._left = steps
        self._since = perf_counter()

    async def yield_if_due(self) -> None:
        """Let others have their turn, if it is time."""
        self._left -= 1
        if self._left > 0:
            return
        self._left = self._steps
        if perf_counter() - self._since >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = perf_counter()
