"""A table as plain text for copies and exports, without the blanks that fill its columns."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from tiger_slack_tui.console.time_slice import TimeSlice

T = TypeVar("T")

_GAP = 2
"""Blanks that stay between two columns of the table."""
_CHARACTER = re.compile("[^ ]")
_BLANK = re.compile("^0+|0{3,}")


class _UsedPlaces:
    """Where at least one line has something else than a blank."""

    def __init__(self) -> None:
        self._used = 0
        """A bit for each place in a line; the lowest bit is the first place."""
        self._removed: list[tuple[int, int]] | None = None

    def add(self, line: str) -> None:
        """Count the line. It takes some microseconds."""
        marks = _CHARACTER.sub("1", line.rstrip(" ")).replace(" ", "0")
        self._used |= int(marks[::-1] or "0", 2)
        self._removed = None

    def shrink(self, line: str) -> str:
        """The line without what is blank in all counted lines, apart from two blanks between columns."""
        if self._removed is None:
            blank = _BLANK.finditer(f"{self._used:b}"[::-1])
            self._removed = [(run.start() + _GAP * (run.start() > 0), run.end()) for run in blank]
        parts, begin = [], 0
        for first, end in self._removed:
            parts.append(line[begin:first])
            begin = end
        return "".join([*parts, line[begin:]]).rstrip(" ")


async def table_lines(
    titles: str, rows: Sequence[T], paint: Callable[[T], str]
) -> AsyncIterator[str]:
    """The titles of the columns, and a line for each row. Other tasks run in between.

    Each row is painted twice, because there can be too many lines to keep.
    """
    time_slice, used = TimeSlice(1), _UsedPlaces()
    used.add(titles)
    for row in rows:
        await time_slice.yield_if_due()
        used.add(paint(row))
    yield used.shrink(titles)
    for row in rows:
        await time_slice.yield_if_due()
        yield used.shrink(paint(row))


def table_line(text: str) -> str:
    """One line of a table."""
    used = _UsedPlaces()
    used.add(text)
    return used.shrink(text)
