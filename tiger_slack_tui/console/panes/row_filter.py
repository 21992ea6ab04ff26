"""Filters rows by a text in short slices, so that many rows do not block the event loop."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from tiger_slack_tui.console.panes.row_subset import row_subset
from tiger_slack_tui.console.time_slice import TimeSlice

T = TypeVar("T")

_AT_ONCE = 60
"""The most rows that are filtered at once, without slices."""


class RowFilter(Generic[T]):
    """Filters rows. `found` has those that matched so far."""

    def __init__(self, text: Callable[[T], str]) -> None:
        """`text` gives the text of a row that is searched."""
        self.found: Sequence[T] = ()
        self._numbers = array("L")
        """The places of `found` in the rows."""
        self._text = text
        self._wanted = ""
        self._rows: Sequence[T] = ()
        self._seen = 0

    def wants_more(self, rows: Sequence[T], wanted: str) -> bool:
        """Whether `filter` has to be awaited. A few rows are filtered here, at once."""
        if wanted != self._wanted:
            self.found = ()
        if wanted == self._wanted and rows is self._rows and self._seen == len(rows):
            return False
        if len(rows) > _AT_ONCE:
            return True
        self._numbers = array("L", (n for n, row in enumerate(rows) if self.matches(row, wanted)))
        self.found = row_subset(rows, self._numbers)
        self._rows, self._wanted, self._seen = rows, wanted, len(rows)
        return False

    async def filter(self, rows: Sequence[T], wanted: str) -> None:
        """Filter the rows. If rows were only appended since the last time, only those are searched."""
        is_longer = wanted == self._wanted and rows is self._rows and self._seen <= len(rows)
        begin = self._seen if is_longer else 0
        end = len(rows)
        numbers = self._numbers[:] if is_longer else array("L")
        if wanted != self._wanted:
            self._wanted, self._rows, self._seen = wanted, (), 0
        time_slice = TimeSlice()
        for index in range(begin, end):
            await time_slice.yield_if_due()
            if self.matches(rows[index], wanted):
                numbers.append(index)
        self.found, self._numbers = row_subset(rows, numbers), numbers
        self._rows, self._wanted, self._seen = rows, wanted, end

    def matches(self, row: T, wanted: str) -> bool:
        """Whether the row has the text; with a leading ! whether it has not."""
        text = wanted.removeprefix("!").lower()
        return (text in self._text(row).lower()) != wanted.startswith("!")
