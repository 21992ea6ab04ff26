"""Finds the rows that hold a text, in slices: any number of rows holds nobody up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from tiger_slack_tui.console.time_slice import TimeSlice

T = TypeVar("T")

_AT_ONCE = 60
"""Rows that are looked at without a pause."""


class RowFilter(Generic[T]):
    """`found` has the rows that hold the text, as far as they were looked at."""

    def __init__(self, text: Callable[[T], str]) -> None:
        """`text` is what is looked at of a row."""
        self.found: Sequence[T] = ()
        self._text = text
        self._wanted = ""
        self._rows: Sequence[T] = ()
        self._seen = 0

    def wants_more(self, rows: Sequence[T], wanted: str) -> bool:
        """Whether there is more to look at than can be done at once; that much is done here."""
        if wanted != self._wanted:
            self.found = ()
        if wanted == self._wanted and rows is self._rows and self._seen == len(rows):
            return False
        if len(rows) > _AT_ONCE:
            return True
        self.found = [row for row in rows if self._holds(row, wanted)]
        self._rows, self._wanted, self._seen = rows, wanted, len(rows)
        return False

    async def look(self, rows: Sequence[T], wanted: str) -> None:
        """Look at the rows. Rows that were added to those of the last time are all that is looked at."""
        is_longer = wanted == self._wanted and rows is self._rows and self._seen <= len(rows)
        begin = self._seen if is_longer else 0
        end = len(rows)
        found = list(self.found) if is_longer else []
        if wanted != self._wanted:
            self._wanted, self._rows, self._seen = wanted, (), 0
        time_slice = TimeSlice()
        for index in range(begin, end):
            await time_slice.yield_if_due()
            if self._holds(row := rows[index], wanted):
                found.append(row)
        self.found, self._rows, self._wanted, self._seen = found, rows, wanted, end

    def _holds(self, row: T, wanted: str) -> bool:
        text = wanted.removeprefix("!").lower()
        return (text in self._text(row).lower()) != wanted.startswith("!")
