"""Time, as a dependency: what the wall clock says, and how long something takes."""

from __future__ import annotations

import time
from typing import Protocol

# Linux counts the time that the machine sleeps in CLOCK_BOOTTIME only; elsewhere CLOCK_MONOTONIC has to do.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


_AGREED_SECONDS = 60.0
"""Clocks that are so near agree: a peer's time comes in whole seconds, some time after it was written."""
_FIRST_YEAR, _LAST_YEAR = 1_356_998_400, 7_258_118_400
"""2013 and 2200: what is outside is no peer's time."""


class Clock(Protocol):
    """Two clocks. Compare times of one only with times of the same."""

    def wall(self) -> float:
        """Seconds since 1970. Jumps when somebody sets the clock: use it for display and for Slack's times."""

    def elapsed(self) -> float:
        """Seconds since some moment in the past. Never goes back, never jumps, counts a sleeping machine's time.

        Use it for every duration: ages, timeouts, rates.
        """


class SystemClock:
    """The clocks of this machine."""

    def wall(self) -> float:
        return time.time()

    def elapsed(self) -> float:
        return time.clock_gettime(_ELAPSED)


class PeerClock:
    """The wall clock for times that are compared with a peer's: this machine's, or the peer's where they disagree."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._peers: float | None = None
        """What the peer's wall clock showed at 0 of `Clock.elapsed`."""

    def observe(self, seconds: float) -> None:
        """The peer's wall clock shows so many seconds since 1970 now. Impossible times are ignored."""
        if _FIRST_YEAR <= seconds <= _LAST_YEAR:
            self._peers = seconds - self._clock.elapsed()

    @property
    def skew(self) -> float:
        """Seconds that this machine's wall clock is ahead of the peer's; 0 where they agree, or nothing is known."""
        if self._peers is None:
            return 0.0
        ahead = self._clock.wall() - (self._peers + self._clock.elapsed())
        return ahead if abs(ahead) > _AGREED_SECONDS else 0.0

    def wall(self) -> float:
        """Seconds since 1970. A step of this machine's wall clock moves it by no more than a minute."""
        return self._clock.wall() - self.skew


def wall_time(clock: Clock, elapsed: float) -> float:
    """When it was, by today's wall clock, that `clock.elapsed()` gave this number. In seconds since 1970."""
    return clock.wall() - (clock.elapsed() - elapsed)
