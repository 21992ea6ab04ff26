"""Clocks that are passed to whoever needs the time, so that tests can set it."""

from __future__ import annotations

import time
from typing import Protocol

# On Linux only CLOCK_BOOTTIME counts the time in which the machine sleeps. Other systems have CLOCK_MONOTONIC.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_AGREED_SECONDS = 60.0
"""Two clocks that differ by less agree: a peer sends whole seconds, and they arrive with a delay."""
_FIRST_YEAR, _LAST_YEAR = 1_356_998_400, 7_258_118_400
"""2013 and 2200. A peer's time outside of them is wrong."""


class Clock(Protocol):
    """A wall clock, and a clock for durations. A time of one must not be compared with a time of the other."""

    def wall(self) -> float:
        """Seconds since 1970. Jumps when the clock is set. Use it for display and for Slack's times."""

    def elapsed(self) -> float:
        """Seconds since some moment in the past. Never jumps, and goes on while the machine sleeps.

        Use it for every duration: ages, timeouts, rates.
        """


class SystemClock:
    """The clocks of this machine."""

    def wall(self) -> float:
        return time.time()

    def elapsed(self) -> float:
        return time.clock_gettime(_ELAPSED)


class PeerClock:
    """A wall clock for times that are compared with a peer's. It follows the peer if the two clocks disagree."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._peers: float | None = None
        """The peer's wall time at `Clock.elapsed` 0."""

    def observe(self, seconds: float) -> None:
        """Note that the peer's wall clock now shows `seconds` since 1970. Ignores impossible times."""
        if _FIRST_YEAR <= seconds <= _LAST_YEAR:
            self._peers = seconds - self._clock.elapsed()

    @property
    def skew(self) -> float:
        """Seconds by which this machine's wall clock is ahead of the peer's; 0 if they agree, or nothing is known."""
        if self._peers is None:
            return 0.0
        ahead = self._clock.wall() - (self._peers + self._clock.elapsed())
        return ahead if abs(ahead) > _AGREED_SECONDS else 0.0

    def wall(self) -> float:
        """Seconds since 1970. A step of this machine's wall clock changes it by at most a minute."""
        return self._clock.wall() - self.skew


def wall_time(clock: Clock, elapsed: float) -> float:
    """The wall time, in seconds since 1970, at which `clock.elapsed()` was `elapsed`, by the wall clock of now."""
    return clock.wall() - (clock.elapsed() - elapsed)
