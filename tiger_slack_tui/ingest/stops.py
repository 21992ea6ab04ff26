"""Times in which nothing was taken. Each of them can be a gap in the history."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from tiger_slack_tui.base.backoff import LogThrottle
from tiger_slack_tui.base.clock import Clock

log = logging.getLogger(__name__)

_MOST = 500
"""Stops that are kept until they are stored. More are merged: a gap that is too long costs a backfill some calls."""


@dataclass(frozen=True, slots=True, eq=False)
class Stop:
    """A time in which nothing was taken, as `Clock.elapsed`: the wall clock may be set meanwhile."""

    began: float
    ended: float


class Stops:
    """Notes when nothing is taken: the queue is full and does not move, or neither database nor spool take events."""

    def __init__(self, clock: Clock, *, least: float) -> None:
        """A stop of less than `least` seconds loses nothing, and does not count."""
        self._clock = clock
        self._least = least
        self._full_since: float | None = None
        self._refused_since: float | None = None
        self._over: list[Stop] = []
        self._merge_log = LogThrottle(clock)

    @property
    def is_refused(self) -> bool:
        """Whether neither database nor spool take events."""
        return self._refused_since is not None

    @property
    def since(self) -> float | None:
        """Since when nothing is taken, as `Clock.elapsed`; None while events are taken."""
        if self._refused_since is not None:
            return self._refused_since
        is_long = self._full_since is not None and self._lasts(self._full_since)
        return self._full_since if is_long else None

    def queue_is_full(self) -> None:
        """An event finds no room."""
        if self._full_since is None:
            self._full_since = self._clock.elapsed()

    def queue_moves(self) -> None:
        """Events leave the queue, so there is room, whether or not anybody still waits for it."""
        self._end(self._full_since)
        self._full_since = None

    def refused(self) -> None:
        """Neither database nor spool take events."""
        if self._refused_since is None:
            self._refused_since = self._clock.elapsed()

    def accepted(self) -> None:
        """One of them takes events."""
        self._end(self._refused_since)
        self._refused_since = None

    def over(self) -> list[Stop]:
        """The stops that have ended and are not forgotten, the oldest first."""
        return list(self._over)

    def forget(self, stops: Iterable[Stop]) -> None:
        """Forget stops that are stored."""
        for stop in stops:
            with contextlib.suppress(
                ValueError
            ):  # it was merged meanwhile, so it is stored once more
                self._over.remove(stop)

    def _end(self, since: float | None) -> None:
        if since is not None and self._lasts(since):
            self._over.append(Stop(since, self._clock.elapsed()))
            if len(self._over) > _MOST:
                self._merge()

    def _merge(self) -> None:
        """Make one stop of the two neighbours with the shortest time between them."""
        over = self._over
        at = min(range(len(over) - 1), key=lambda n: over[n + 1].began - over[n].ended)
        first, second = over[at : at + 2]
        over[at : at + 2] = [Stop(min(first.began, second.began), max(first.ended, second.ended))]
        if self._merge_log.allows():
            log.warning("more than %d stops wait for the database: the nearest are merged", _MOST)

    def _lasts(self, since: float) -> bool:
        return self._clock.elapsed() - since > self._least
