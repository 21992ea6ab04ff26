"""A clock that a test sets and moves."""

from __future__ import annotations


class ManualClock:
    """Both clocks stand still until `advance`; `step` sets the wall clock alone, as NTP or a person does."""

    def __init__(self, wall: float = 1_800_000_000, elapsed: float = 1_000) -> None:
        self._wall = wall
        self._elapsed = elapsed

    def wall(self) -> float:
        return self._wall

    def elapsed(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self._wall += seconds
        self._elapsed += seconds

    def step(self, seconds: float) -> None:
        """The wall clock is set forward, or back."""
        self._wall += seconds
