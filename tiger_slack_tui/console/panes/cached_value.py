"""Keeps a computed value until its inputs change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class CachedValue(Generic[T]):
    """One value, and the inputs it was computed from."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] | None = None
        self._value: T

    def __call__(self, make: Callable[[], T], *of: object) -> T:
        """The value. It is computed again if an input is another object; numbers and texts are compared by value."""
        before = self._of
        if before is None or len(before) != len(of) or not all(map(_is_same, before, of)):
            self._value, self._of = make(), of
        return self._value


def _is_same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, int | float | str) and one == other)
