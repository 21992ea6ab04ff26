"""Halves a batch that is refused, until its parts are accepted or the refused items are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class BatchParts(Generic[T]):
    """The parts of a batch that are still to be written, in order. At first the only part is the whole batch.

    Write `next`. Then call `finish` if it was accepted, and `halve` if it was refused. Halving finds one bad item
    among 500 in 18 writes. Good halves are written whole.
    """

    def __init__(self, items: Sequence[T]) -> None:
        self._parts = [items] if items else []

    @property
    def next(self) -> Sequence[T] | None:
        """The part to write next, which has at least one item; None when all parts are finished."""
        return self._parts[-1] if self._parts else None

    def finish(self) -> None:
        """Remove the next part: it was accepted, or its only item is refused for good."""
        self._parts.pop()

    def halve(self) -> None:
        """Replace the next part by its halves. It must have more than one item."""
        part = self._parts.pop()
        middle = len(part) // 2
        self._parts += [part[middle:], part[:middle]]
