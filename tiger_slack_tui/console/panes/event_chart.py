"""The chart of events a second: columns with a scale at the left and a time axis below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from textual.content import Content

from tiger_slack_tui.console.formats import count
from tiger_slack_tui.console.model.event_counts import DAY, PARTS
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.paint import DIM, chart, line

_SHADE = "$primary"
_SCALE = 7
"""Cells of the scale."""
_PRESENT = 30.0
"""Figures of the database are of now if they end at most so many seconds ago: the newest are read every 5 s."""
_TICK = 20
"""The least cells between two times of the axis."""
_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""The top of the scale is one of these, times a power of ten."""


@dataclass(frozen=True, slots=True)
class EventChart:
    """Events a second as columns, the newest last. What is said of the chart comes from its columns.

    Each column belongs to a fixed span of the clock: it moves to the left with time, and does not change once its
    time is over. All columns together are not longer than the chart's range.
    """

    values: Sequence[float | None]
    """The rate of each column; None if it is not known."""
    begin: float
    """When the first column begins, in seconds since 1970."""
    seconds: float
    """The time of a column."""
    until: float | None = None
    """When the figures end, in seconds since 1970; None if that is now."""

    @classmethod
    def of(cls, model: Model, width: int) -> EventChart:
        """The chart of the model's window, for a pane of this width."""
        room = max(width - _SCALE, 1)
        given: Sequence[float | None] = model.rates.seconds
        part, last, end = 1, model.rates.last, model.at
        is_present = not (model.is_observing and model.is_old("observed"))
        if not is_present:
            end = model.database.at or end
        if model.window in PARTS:
            counts, part = model.event_counts, PARTS[model.window]
            given = counts.rates if counts else ()
            last = (counts.end - 1 if counts else int(model.at)) // part
            end = float((last + 1) * part)
            is_present = not (counts and counts.problem) and model.at - end < _PRESENT
        parts = max(model.window // part, 1)
        rates = [*[None] * (parts - len(given)), *given[-parts:]]
        # Column n shows the parts from n * parts // room on, counted from the beginning of the clock.
        newest = -(-(last + 1) * room // parts) - 1
        values = []
        for column in range(newest - room + 1, newest + 1):
            first = column * parts // room
            after = min(max((column + 1) * parts // room, first + 1), last + 1)
            values.append(_mean([rates[number - last - 1] for number in range(first, after)]))
        begin = end - (last + 1 - (newest - room + 1) * parts / room) * part
        return cls(values, begin, part * parts / room, None if is_present else end)

    @property
    def peak(self) -> float:
        """The highest rate that is shown."""
        return max((value or 0.0 for value in self.values), default=0.0)

    @property
    def peak_at(self) -> float:
        """When the column with the highest rate begins, in seconds since 1970."""
        highest = max(range(len(self.values)), key=lambda number: self.values[number] or 0.0)
        return self.begin + highest * self.seconds

    def lines(self, height: int) -> list[Content]:
        """The chart in `height` lines, the last of which is the time axis."""
        values = [value or 0.0 for value in self.values]
        room, top = len(values), _top_of(self.peak)
        rows = chart(values, room, max(height - 1, 1), top)
        rows[-1] = _with_unknown(rows[-1], self.values)
        marks = {0: top}
        if len(rows) > 3 and len(rows) % 2 == 0:
            marks[len(rows) // 2] = top / 2
        lines = []
        for number, row in enumerate(rows):
            mark = _mark(marks[number]) if number in marks else ""
            lines.append(line((f"{mark:>{_SCALE - 1}}", DIM), ("│", DIM), (row, _SHADE)))
        if height > 1:
            lines.append(_axis(self.begin, self.seconds, room, self.until))
        return lines[:height]


def _mean(rates: Sequence[float | None]) -> float | None:
    """The mean of the known ones; None if none is known."""
    known = [rate for rate in rates if rate is not None]
    return sum(known) / len(known) if known else None


def _with_unknown(row: str, values: Sequence[float | None]) -> str:
    """The lowest line of the chart, with a dot in each column whose rate is not known."""
    return "".join("·" if value is None else cell for cell, value in zip(row, values, strict=True))


def _top_of(peak: float) -> float:
    """The least round number that is not below the peak."""
    if peak <= 0:
        return 1.0
    power = 1.0
    while peak > 10 * power:
        power *= 10
    while peak <= power:
        power /= 10
    return next(step * power for step in _STEPS if step * power >= peak * 0.999)


def _mark(value: float) -> str:
    return count(value) if value >= 10 or value == int(value) else f"{value:.2g}"


def _axis(begin: float, seconds: float, room: int, until: float | None) -> Content:
    """The line below the columns, with times. `seconds` is the time of one column.

    It ends with the time `until` which there are figures, or with "now".
    """
    whole = room * seconds
    form = "%m-%d %H:%M" if whole > DAY else "%H:%M" if whole > 900 else "%H:%M:%S"
    ticks = max(room // _TICK, 1)
    shown = "─" * room
    for number in range(ticks):
        at = number * room // ticks
        text = f"{datetime.fromtimestamp(begin + at * seconds, UTC):{form}}"
        shown = f"{shown[:at]}┴ {text} {shown[at + len(text) + 3 :]}"
    end_mark = " now" if until is None else f" {datetime.fromtimestamp(until, UTC):{form}}"
    shown = shown[: room - len(end_mark)] + end_mark
    return line((f"{'0':>{_SCALE - 1}}└{shown}", DIM))
