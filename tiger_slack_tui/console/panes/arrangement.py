"""Filters and sorts the rows of a pane: many rows in slices, so that they do not block the event loop."""

from __future__ import annotations

import heapq
import logging
import time
from array import array
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tiger_slack_tui.console.panes.row_filter import RowFilter
from tiger_slack_tui.console.panes.row_subset import row_subset
from tiger_slack_tui.console.time_slice import TimeSlice

log = logging.getLogger(__name__)

T = TypeVar("T")

_AT_ONCE = 300
"""The most rows that are sorted at once, without slices."""
_AGAIN_SECONDS = 3.0
"""More rows are sorted again after this time: their values may have changed."""


@dataclass(frozen=True)  # with slots, Python 3.11 cannot make a Field[…]
class Field(Generic[T]):
    """A value of a row, by which rows can be sorted, and which exports contain."""

    name: str
    of: Callable[[T], object]
    is_sortable: bool = True
    """An id is only exported: rows are sorted by the name."""


class Arrangement(Generic[T]):
    """What a person chose: the text that rows must contain, and the field that they are sorted by."""

    def __init__(
        self,
        text: Callable[[T], str],
        fields: Sequence[Field[T]],
        run: Callable[[Coroutine[Any, Any, None], str], object],
        cancel: Callable[[str], object],
        on_arranged: Callable[[], None],
    ) -> None:
        """`text` gives the text of a row that is searched. `run` awaits work in the background, under a name.

        `on_arranged` is called when such work has ended: `arrange` then returns its result.
        """
        self.filter_text = ""
        self.is_reversed = False
        self._fields = [field for field in fields if field.is_sortable]
        self._sorted_by: int | None = None
        self._row_filter = RowFilter(text)
        self._run, self._cancel, self._on_arranged = run, cancel, on_arranged
        self._is_filtering = self._is_sorting = False
        self._sorted: Sequence[T] = ()
        self._sorted_of: Sequence[T] = ()
        """The rows, in their own order, that `_sorted` was made of."""
        self._sorted_number = 0
        self._order: tuple[int | None, bool] = (None, False)
        """The order of `_sorted`."""
        self._sorted_at = 0.0

    @property
    def can_sort(self) -> bool:
        return bool(self._fields)

    @property
    def sorted_by(self) -> str:
        """The name of the field that the rows are sorted by, and the direction; "" for their own order."""
        if self._sorted_by is None:
            return ""
        return f"by {self._fields[self._sorted_by].name} {'↑' if self.is_reversed else '↓'}"

    @property
    def is_filtering(self) -> bool:
        """Whether a filter is still searching."""
        return self._is_filtering

    def sort_by_next(self) -> None:
        """Sort by the next field; after the last one, in the rows' own order."""
        last = len(self._fields) - 1
        now = self._sorted_by
        self._sorted_by = 0 if now is None else None if now == last else now + 1
        self.is_reversed = False

    def filter(self, text: str) -> None:
        """From now on, keep only the rows with this text."""
        self.filter_text = text
        if self._is_filtering:
            self._cancel("filter")
            self._is_filtering = False

    def arrange(self, rows: Sequence[T]) -> Sequence[T]:
        """The rows that pass the filter, in order; while there is work in the background, those found so far."""
        found = self._filtered(rows)
        if self._sorted_by is None:
            return found
        try:
            return self._in_order(found)
        except Exception as error:
            log.error("rows cannot be sorted", exc_info=error)
            self._sorted_by = None
            return found

    def arrange_now(self, rows: Sequence[T]) -> Sequence[T]:
        """The rows that pass the filter, in order. Takes time in proportion to the rows. Any thread can call it."""
        if self.filter_text.removeprefix("!"):
            rows = [row for row in rows if self._row_filter.matches(row, self.filter_text)]
        return rows if self._sorted_by is None else self._sorted_now(rows)

    def _sorted_now(self, rows: Sequence[T]) -> Sequence[T]:
        is_descending = self._is_descending(rows)
        return sorted(rows, key=self._key(is_descending), reverse=is_descending)

    def _filtered(self, rows: Sequence[T]) -> Sequence[T]:
        wanted = self.filter_text
        if not wanted.removeprefix("!"):
            return rows
        try:
            is_more = not self._is_filtering and self._row_filter.wants_more(rows, wanted)
        except Exception as error:
            self._drop_filter(error)
            return rows
        if is_more:
            self._is_filtering = True
            self._run(self._filter_slowly(rows, wanted), "filter")
        return self._row_filter.found

    async def _filter_slowly(self, rows: Sequence[T], wanted: str) -> None:
        try:
            await self._row_filter.filter(rows, wanted)
        except Exception as error:
            self._drop_filter(error)
        self._is_filtering = False
        self._on_arranged()

    def _drop_filter(self, error: Exception) -> None:
        log.error("rows cannot be filtered", exc_info=error)
        self.filter_text = ""

    def _in_order(self, rows: Sequence[T]) -> Sequence[T]:
        if len(rows) <= _AT_ONCE:
            return self._sorted_now(rows)
        order = (self._sorted_by, self.is_reversed)
        is_done = self._sorted_of is rows and self._sorted_number == len(rows)
        is_old = time.monotonic() - self._sorted_at > _AGAIN_SECONDS
        if not self._is_sorting and (not is_done or order != self._order or is_old):
            self._is_sorting = True
            self._run(self._sort_slowly(rows, order), "sort")
        return self._sorted if order == self._order else rows

    async def _sort_slowly(self, rows: Sequence[T], order: tuple[int | None, bool]) -> None:
        try:
            await self._sort_in_parts(rows, order)
        except Exception as error:
            log.error("rows cannot be sorted", exc_info=error)
            self._sorted_by = None
        finally:
            self._is_sorting = False
        self._on_arranged()

    async def _sort_in_parts(self, rows: Sequence[T], order: tuple[int | None, bool]) -> None:
        """Sort a few rows at a time, then merge the parts."""
        time_slice, number = TimeSlice(1), len(rows)
        is_descending = self._is_descending(rows)
        key = self._key(is_descending)
        parts = []
        for begin in range(0, number, _AT_ONCE):
            await time_slice.yield_if_due()
            end = min(begin + _AT_ONCE, number)
            keyed = [(key(row), at) for at, row in enumerate(rows[begin:end], begin)]
            parts.append(sorted(keyed, key=_first, reverse=is_descending))
        numbers = array("L")
        for _, at in heapq.merge(*parts, key=_first, reverse=is_descending):
            await time_slice.yield_if_due()
            numbers.append(at)
        self._sorted, self._sorted_of, self._sorted_number = row_subset(rows, numbers), rows, number
        self._order, self._sorted_at = order, time.monotonic()

    def _is_descending(self, rows: Sequence[T]) -> bool:
        """Numbers and times begin with the greatest, texts with the first of the alphabet."""
        of = self._fields[self._sorted_by or 0].of
        sample = next((value for row in rows[:50] if (value := of(row)) is not None), None)
        return isinstance(sample, str) == self.is_reversed

    def _key(self, is_descending: bool) -> Callable[[T], tuple[bool, Any]]:
        """The sort key of a row. Rows without a value come last."""
        of = self._fields[self._sorted_by or 0].of

        def key(row: T) -> tuple[bool, Any]:
            value = of(row)
            if value is None:
                return (not is_descending, "")
            return (is_descending, value.lower() if isinstance(value, str) else value)

        return key


def _first(keyed: tuple[Any, object]) -> Any:
    return keyed[0]
