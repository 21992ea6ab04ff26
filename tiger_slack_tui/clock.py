"""Time, as a dependency: what the wall clock says, and how long something takes."""

from __future__ import annotations

import time
from typing import Protocol

# Linux counts the time that the machine sleeps in CLOCK_BOOTTIME only; elsewhere CLOCK_MONOTONIC has to do.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


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


def wall_time(clock: Clock, elapsed: float) -> float:
    """When it was, by today's wall clock, that `clock.elapsed()` gave this number. In seconds since 1970."""
    return clock.wall() - (clock.elapsed() - elapsed)
