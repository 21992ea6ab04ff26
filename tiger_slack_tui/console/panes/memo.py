"""Keeps what takes time to make, until what it is made of is another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Memo(Generic[T]):
    """One value, and what it was made of."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] | None = None
        self._value: T

    def __call__(self, make: Callable[[], T], *of: object) -> T:
        """The value; made anew where one of `of` is another object, or of numbers and texts another value."""
        before = self._of
        if before is None or len(before) != len(of) or not all(map(_is_same, before, of)):
            self._value, self._of = make(), of
        return self._value


def _is_same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, int | float | str) and one == other)
