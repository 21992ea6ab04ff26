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
    top = _top_of(max(values, default=0.0))
    rows = chart(values, room, max(height - 1, 1), top)
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


def _columns(model: Model, room: int) -> tuple[list[float], float]:
    """The value of each column, and the seconds of a column."""
    history = model.history
    given: Sequence[float] = model.rates.seconds if model.window <= IN_MEMORY else ()
    part = 1
    if history is not None:
        given, part = [rate or 0.0 for rate in history.rates], history.part
    parts = max(model.window // part, 1)
    if parts <= room:  # a part has one or several columns
        repeat = room // parts
        return [value for value in given[-room:] for _ in range(repeat)], part / repeat
    # Columns begin at whole steps of the clock, so a column does not change once its time is over.
    step = -(-parts // room)
    given = given[-step * room :]  # as much as there is room for, which can be more than the window
    means = [
        sum(some) / len(some)
        for begin in range(len(given) % step, len(given), step)
        if (some := given[begin : begin + step])
    ]
    return means, part * step


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
