"""Reads how many events happened in hours and days that the counters in memory do not reach."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.console.model.polling import WantedPolling, log_read_error
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.arrivals import count_events

log = logging.getLogger(__name__)

HOUR, DAY = 3600, 86_400
PARTS: Final[Mapping[int, int]] = {
    HOUR: 30,
    6 * HOUR: 180,
    DAY: 600,
    7 * DAY: HOUR,
    30 * DAY: 6 * HOUR,
    90 * DAY: 12 * HOUR,
}
"""By the seconds that a chart shows: the seconds of one part of it."""
_SECONDS = 5.0
"""Between two reads of the newest parts."""
_UNSETTLED = 2
"""The newest parts are read again each time: events come late."""
_QUERY_SECONDS = 0.2
"""A query reads so many parts that it takes about this long."""
_PAUSE = 4.0
"""After a query, the reader pauses for this many times the time that the query took."""


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Events a second in each part of a time, the newest last; None for parts that were not read yet."""

    window: int
    """Seconds of the whole time."""
    part: int
    """Seconds of a part."""
    end: int
    """When the last part ends, in seconds since 1970."""
    rates: tuple[float | None, ...] = ()
    problem: str | None = None

    @property
    def is_whole(self) -> bool:
        return bool(self.rates) and None not in self.rates


@dataclass(slots=True)
class _Counts:
    """The events of each part that was read, by the number of the part since 1970."""

    seconds: int
    parts: int
    counts: dict[int, int] = field(default_factory=dict)

    def rates(self, now: float) -> tuple[float | None, ...]:
        """The rate of each part. Of the newest one, only the time until now counts."""
        newest = int(now) // self.seconds
        found: list[float | None] = []
        for number in range(newest - self.parts + 1, newest + 1):
            n = self.counts.get(number)
            found.append(None if n is None else n / self.seconds)
        if found[-1] is not None:
            found[-1] *= self.seconds / max(now - newest * self.seconds, self.seconds / 10)
        return tuple(found)

    def missing(self, newest: int, most: int) -> tuple[int, int] | None:
        """The newest parts that were not read, at most `most` of them: the first, and the one after the last."""
        oldest = newest - self.parts + 1
        last = next((n for n in range(newest, oldest - 1, -1) if n not in self.counts), None)
        return None if last is None else (max(last - most + 1, oldest), last + 1)


class EventCountsReader:
    """Reads while a view calls `keep_reading`, the newest parts first, in short queries with pauses.

    What was read is kept, so each part of the past is read once.
    """

    def __init__(self, conninfo: str, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._polling = WantedPolling(
            conninfo, self._poll, seconds=_SECONDS, on_error=self._fail, clock=self._clock
        )
        self._window = HOUR
        self._counts: dict[int, _Counts] = {}
        self._parts_at_once = 16
        self._states: dict[int, EventCounts] = {}

    def keep_reading(self, window: int) -> None:
        """Go on reading the last `window` seconds, one of `PARTS`. Called with each sample that shows them."""
        if window != self._window:
            self._polling.read_now()
        self._window = window
        self._polling.renew()

    def state(self, window: int) -> EventCounts | None:
        """What was read of the last `window` seconds; None if nothing."""
        return self._states.get(window)

    async def run(self) -> None:
        """Read until cancelled. After any error, connect again with backoff."""
        await self._polling.run()

    async def _poll(self, connection: Connection) -> None:
        """Read what is missing of the wanted time."""
        window, seconds = self._window, PARTS[self._window]
        counts = self._counts.setdefault(window, _Counts(seconds, window // seconds))
        newest = int(self._clock.wall()) // seconds
        for number in [n for n in counts.counts if not newest - counts.parts < n]:
            del counts.counts[number]
        for number in range(newest - _UNSETTLED + 1, newest + 1):
            counts.counts.pop(number, None)
        while self._polling.is_wanted and self._window == window:
            missing = counts.missing(newest, self._parts_at_once)
            if missing is None:
                return
            took = await self._read(connection, counts, *missing)
            rates = counts.rates(self._clock.wall())
            self._states[window] = EventCounts(window, seconds, (newest + 1) * seconds, rates)
            await asyncio.sleep(took * _PAUSE)

    async def _read(self, connection: Connection, counts: _Counts, first: int, end: int) -> float:
        """Read these parts. Returns the seconds that it took, and sets how many parts are read next."""
        begun = self._clock.elapsed()
        seconds = counts.seconds
        found = await count_events(connection, first * seconds, end * seconds, seconds)
        for number in range(first, end):
            counts.counts[number] = found.get(number, 0)
        took = self._clock.elapsed() - begun
        if took > _QUERY_SECONDS * 2:
            self._parts_at_once = max(self._parts_at_once // 2, 1)
        elif took < _QUERY_SECONDS / 2:
            self._parts_at_once = min(self._parts_at_once * 2, 1024)
        return took

    def _fail(self, error: Exception, pause: float) -> None:
        """Keep what was read. A query that took too long is made shorter."""
        self._parts_at_once = max(self._parts_at_once // 4, 1)
        window = self._window
        known = self._states.get(window) or EventCounts(
            window, PARTS[window], int(self._clock.wall())
        )
        reason = log_read_error(log, "the counts of events", error, known.problem)
        self._states[window] = replace(known, problem=reason)
