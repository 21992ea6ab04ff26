"""Measures how fast an import or a backfill works, without the time for which it was paused."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy

_WINDOW = 60.0
"""Window of the rate, in seconds."""
_LEAST_SAMPLES = 4
"""Samples that are kept although they are older: a backfill at Slack's slowest pace has one in a minute."""
_SAMPLE = 1.0
"""Least time between two samples, in seconds."""
LEAST_SECONDS = 0.5
"""Seconds of work before a rate is shown."""


class WorkRate:
    """Samples of the progress in the last minute of work."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` counts seconds."""
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None
        self._paused_since: float | None = None
        self._paused_seconds = 0.0
        self._samples: deque[tuple[float, int, int]] = deque()
        """(seconds of work, records, bytes), about one for each second of work."""

    @property
    def is_due(self) -> bool:
        """Whether it is time for another sample."""
        return not self._samples or self.seconds - self._samples[-1][0] >= _SAMPLE

    @property
    def seconds(self) -> float:
        """Seconds of work until now, or until the end."""
        now = self._clock() if self._ended is None else self._ended
        if self._paused_since is not None:
            now = self._paused_since
        return now - self._began - self._paused_seconds

    @property
    def has_ended(self) -> bool:
        return self._ended is not None

    def pause(self) -> None:
        """Stop the time of work."""
        if self._paused_since is None:
            self._paused_since = self._clock()

    def resume(self) -> None:
        """Continue the time of work."""
        if self._paused_since is not None:
            self._paused_seconds += self._clock() - self._paused_since
            self._paused_since = None

    def end(self) -> None:
        """Stop the time of work for good."""
        self._ended = self._clock()

    def add(self, records: int, size: int) -> None:
        """Add a sample: the records and bytes that are read until now."""
        now = self.seconds
        self._samples.append((now, records, size))
        while len(self._samples) > _LEAST_SAMPLES and now - self._samples[0][0] > _WINDOW:
            self._samples.popleft()

    def recent(self, records: int, size: int) -> tuple[float, int, int]:
        """The seconds, records and bytes of the last minute of work, if `records` and `size` are read until now.

        Of a longer time, if there was hardly any progress in that minute.
        """
        if not self._samples:
            return 0.0, 0, 0
        began, records_then, size_then = self._samples[0]
        return self.seconds - began, records - records_then, size - size_then

    def frozen(self, now: float) -> WorkRate:
        """A copy that no later call changes, and whose clock stands still at `now`."""
        copied = copy(self)
        copied._clock = lambda: now
        copied._samples = self._samples.copy()
        return copied
