"""Detects when no event is taken: the queue is full and does not move, or database and spool both refuse events."""

from __future__ import annotations

from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.base.periods import StalledPeriods


class StallDetector:
    """Call the `on_…` methods when the queue or a batch changes. Times are `Clock.elapsed`."""

    def __init__(self, clock: Clock, *, least: float) -> None:
        """A stall of at most `least` seconds loses nothing and does not count."""
        self._clock = clock
        self._least = least
        self._full_since: float | None = None
        self._refused_since: float | None = None
        self.periods = StalledPeriods(clock)
        """The stalls that have ended."""

    @property
    def is_refused(self) -> bool:
        """Whether database and spool both refuse events."""
        return self._refused_since is not None

    def since(self, oldest: float | None) -> float | None:
        """Since when no event is taken; None while events are taken.

        `oldest` is the receipt of the oldest event that is not durable, if there is one. No event is taken in three
        cases: the queue is full and does not move, database and spool both refuse events, or an event has waited for
        more than `least` seconds to become durable.
        """
        waits = [self._full_since, oldest] if self._refused_since is None else [oldest]
        found = [since for since in waits if since is not None and self._is_long(since)]
        if self._refused_since is not None:
            found.append(self._refused_since)
        return min(found, default=None)

    def on_queue_full(self) -> None:
        """Call this when an event finds no room in the queue."""
        if self._full_since is None:
            self._full_since = self._clock.elapsed()

    def on_queue_moved(self) -> None:
        """Call this when a batch left the queue. There is room then, whether or not an event still waits for it."""
        self._end(self._full_since)
        self._full_since = None

    def on_refused(self) -> None:
        """Call this when database and spool both refused a batch."""
        if self._refused_since is None:
            self._refused_since = self._clock.elapsed()

    def on_accepted(self) -> None:
        """Call this when the database or the spool took a batch."""
        self._end(self._refused_since)
        self._refused_since = None

    def _end(self, since: float | None) -> None:
        if since is not None and self._is_long(since):
            self.periods.add(since, self._clock.elapsed())

    def _is_long(self, since: float) -> bool:
        return self._clock.elapsed() - since > self._least
