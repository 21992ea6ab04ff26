"""Periods that wait for the database: when this instance was connected to Slack, and when it took no events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tiger_slack_tui.base.backoff import LogThrottle
from tiger_slack_tui.base.clock import Clock

log = logging.getLogger(__name__)

MOST_PERIODS = 500
"""Most periods of one kind that wait. The database can be away for months, so their number must be bounded."""


@dataclass(slots=True, eq=False)
class ConnectedPeriod:
    """A time in which this instance was connected, as `Clock.elapsed`. Connections without a break are one period."""

    number: int
    """Identifies the period among those of this process."""
    began: float
    heard: float
    """When Slack last sent something. While the instance itself does not read: now."""
    is_over: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class StalledPeriod:
    """A time in which no event was taken, as `Clock.elapsed`. Each can be a gap in the history."""

    began: float
    ended: float


P = TypeVar("P", ConnectedPeriod, StalledPeriod)


class PendingPeriods(ABC, Generic[P]):
    """Periods that are not stored yet, the oldest first. At most `MOST_PERIODS`."""

    def __init__(self, clock: Clock) -> None:
        self._periods: list[P] = []
        self._clock = clock
        self._limit_log = LogThrottle(clock)

    def __len__(self) -> int:
        return len(self._periods)

    @property
    def newest(self) -> P | None:
        return self._periods[-1] if self._periods else None

    def all(self) -> list[P]:
        """A copy of the list."""
        return list(self._periods)

    def forget(self, stored: Iterable[P]) -> None:
        """Remove periods that are stored. Periods that were dropped or merged meanwhile are skipped."""
        for period in stored:
            with contextlib.suppress(ValueError):
                self._periods.remove(period)

    def _add(self, period: P) -> None:
        if len(self._periods) >= MOST_PERIODS:
            text = self._make_room(self._periods)
            if self._limit_log.allows():
                log.warning("more than %d periods wait for the database: %s", MOST_PERIODS, text)
        self._periods.append(period)

    @abstractmethod
    def _make_room(self, periods: list[P]) -> str:
        """Remove one period, so that no gap is hidden. Returns what was done, for the log."""


class ConnectedPeriods(PendingPeriods[ConnectedPeriod]):
    """The connected periods. Only the newest can still last."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._numbered = 0
        self.changed = asyncio.Event()
        """Set when a period begins or ends."""

    @property
    def current(self) -> ConnectedPeriod | None:
        """The period that still lasts; None while not connected."""
        newest = self.newest
        return None if newest is None or newest.is_over else newest

    def begin(self) -> None:
        """Begin a period now. Does nothing while one lasts."""
        if self.current is None:
            now = self._clock.elapsed()
            self._numbered += 1
            self._add(ConnectedPeriod(self._numbered, now, now))
            self.changed.set()

    def end(self, heard: float) -> None:
        """End the current period; Slack last sent something at `heard`. Does nothing if none lasts."""
        if (current := self.current) is not None:
            current.heard, current.is_over = max(current.heard, heard), True
            self.changed.set()

    def _make_room(self, periods: list[ConnectedPeriod]) -> str:
        """Drop the shortest: at worst, two neighbouring gaps become one that is longer by that period."""
        shortest = min(periods, key=lambda period: period.heard - period.began)
        periods.remove(shortest)
        seconds = shortest.heard - shortest.began
        return f"the shortest connected period, of {seconds:.0f} s, counts as a gap"


class StalledPeriods(PendingPeriods[StalledPeriod]):
    """The stalled periods that have ended."""

    def add(self, began: float, ended: float) -> None:
        """Add a period, newer than the others."""
        self._add(StalledPeriod(began, ended))

    def _make_room(self, periods: list[StalledPeriod]) -> str:
        """Merge the two with the shortest time between them: a gap that is too long costs a backfill some calls."""
        at = min(range(len(periods) - 1), key=lambda n: periods[n + 1].began - periods[n].ended)
        first, second = periods[at : at + 2]
        began, ended = min(first.began, second.began), max(first.ended, second.ended)
        periods[at : at + 2] = [StalledPeriod(began, ended)]
        return "the two stalled periods nearest to each other are merged"
