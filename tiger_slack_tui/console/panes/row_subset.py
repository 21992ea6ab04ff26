"""Some rows of a sequence, in an order of their own."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TypeVar, overload

T = TypeVar("T")


def row_subset(rows: Sequence[T], numbers: array[int]) -> Sequence[T]:
    """The rows at these places. Of a sequence that makes its rows at each access, only the places are kept.

    100,000 rows that are kept take the garbage collector 100 ms, in which the event loop stands still.
    """
    if isinstance(rows, list | tuple):
        return [rows[number] for number in numbers]
    return RowSubset(rows, numbers)


class RowSubset(Sequence[T]):
    """The rows at some places of a sequence that only grows."""

    def __init__(self, rows: Sequence[T], numbers: array[int]) -> None:
        self._rows = rows
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> RowSubset[T]: ...
    def __getitem__(self, index: int | slice) -> T | RowSubset[T]:
        if isinstance(index, slice):
            return RowSubset(self._rows, self._numbers[index])
        return self._rows[self._numbers[index]]
