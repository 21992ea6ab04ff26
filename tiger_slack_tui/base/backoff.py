"""Pauses between retries, and a selection of the failures to log. Both work for outages of any length."""

from __future__ import annotations

import random

from tiger_slack_tui.base.clock import Clock

_MOST_DOUBLINGS = 60
"""More than any limit needs, and far from the largest float."""


def backoff(failures: int, *, first: float, most: float) -> float:
    """Seconds to wait before the next retry, after `failures` failures in a row (any number).

    The limit doubles with each failure, from `first` up to `most` seconds. The result is random between half of the
    limit and the limit, so that several instances do not retry at the same moment.
    """
    doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
    bound = min(first * 2.0**doublings, most)
    return random.uniform(bound / 2, bound)  # noqa: S311 it spreads retries and protects nothing


class LogThrottle:
    """Selects which failures of a series are logged: the first, then one after 1 min, 2 min, 4 min, … up to 1 h.

    An outage of a month takes about 750 lines.
    """

    def __init__(self, clock: Clock, *, first: float = 60, most: float = 3600) -> None:
        self._clock = clock
        self._first = first
        self._most = most
        self._pause = first
        self._due: float | None = None

    def allows(self) -> bool:
        """Whether to log now. If True, the pause before the next line grows."""
        now = self._clock.elapsed()
        if self._due is not None and now < self._due:
            return False
        self._due = now + self._pause
        self._pause = min(self._pause * 2, self._most)
        return True

    def reset(self) -> None:
        """End the series: the next failure is logged."""
        self._due, self._pause = None, self._first
