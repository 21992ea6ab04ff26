"""The chart of events a second: columns with a scale at the left and a time axis below."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from textual.content import Content

from tiger_slack_tui.console.formats import count
from tiger_slack_tui.console.model.history_reader import DAY
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.paint import DIM, chart, line

_SHADE = "$primary"
_SCALE = 7
"""Cells of the scale."""
_TICK = 20
"""The least cells between two times of the axis."""
IN_MEMORY = 900
"""The most seconds that are charted from memory."""
_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""The top of the scale is one of these, times a power of ten."""


def chart_lines(model: Model, width: int, height: int) -> list[Content]:
    """The chart in `height` lines, the last of which is the time axis. The newest column is on the right."""
    room = max(width - _SCALE, 1)
    values, seconds = _columns(model, room)
    top = _top_of(max((value or 0.0 for value in values), default=0.0))
    rows = chart([value or 0.0 for value in values], room, max(height - 1, 1), top)
    rows[-1] = _with_unread(rows[-1], values)
    marks = {0: top}
    if len(rows) > 3 and len(rows) % 2 == 0:
        marks[len(rows) // 2] = top / 2
    lines = []
    for number, row in enumerate(rows):
        mark = _mark(marks[number]) if number in marks else ""
        lines.append(line((f"{mark:>{_SCALE - 1}}", DIM), ("│", DIM), (row, _SHADE)))
    if height > 1:
        lines.append(_axis(_end_of(model), seconds, room))
    return lines[:height]


def peak_of_history(model: Model) -> float:
    """The highest rate of the history that is shown."""
    rates = model.history.rates if model.history else ()
    return max((rate for rate in rates if rate is not None), default=0.0)


def _columns(model: Model, room: int) -> tuple[list[float | None], float]:
    """The value of each column, None if it was not read yet, and the seconds of a column."""
    history = model.history
    given: Sequence[float | None] = model.rates.seconds if model.window <= IN_MEMORY else ()
    part = 1
    if history is not None:
        given, part = history.rates, history.part
    parts = max(model.window // part, 1)
    if parts <= room:  # a part has one or several columns
        repeat = room // parts
        return [value for value in given[-room:] for _ in range(repeat)], part / repeat
    # Columns begin at whole steps of the clock, so a column does not change once its time is over.
    step = -(-parts // room)
    given = given[-step * room :]  # as much as there is room for, which can be more than the window
    groups = (given[begin : begin + step] for begin in range(len(given) % step, len(given), step))
    return [_mean(group) for group in groups], part * step


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _with_unread(row: str, values: Sequence[float | None]) -> str:
    """The lowest line of the chart, with a dot in each column that was not read yet."""
    unread = [value is None for value in values[-len(row) :]]
    begin = len(row) - len(unread)
    return row[:begin] + "".join(
        "·" if is_unread else cell for cell, is_unread in zip(row[begin:], unread, strict=True)
    )


def _end_of(model: Model) -> float:
    return model.at if model.history is None else float(model.history.end)


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


def _axis(end: float, seconds: float, room: int) -> Content:
    """The line below the columns, with times. `seconds` is the time of one column."""
    whole = room * seconds
    form = "%m-%d %H:%M" if whole > DAY else "%H:%M" if whole > 900 else "%H:%M:%S"
    ticks = max(room // _TICK, 1)
    shown = "─" * room
    for number in range(ticks):
        at = number * room // ticks
        text = f"{datetime.fromtimestamp(end - (room - at) * seconds, UTC):{form}}"
        shown = f"{shown[:at]}┴ {text} {shown[at + len(text) + 3 :]}"
    end_mark = " now"
    shown = shown[: room - len(end_mark)] + end_mark
    return line((f"{'0':>{_SCALE - 1}}└{shown}", DIM))
