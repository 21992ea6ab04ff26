"""The steps of the wizard, and the line that shows them."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from tiger_slack_tui.base.text import cells, visible
from tiger_slack_tui.console.panes.chrome import PHASES
from tiger_slack_tui.console.panes.paint import (
    DIM,
    KEY,
    StyledText,
    facing,
    line,
)
from tiger_slack_tui.imports.state import ImportState, Phase

STEPS = ("Source", "Check", "Options", "Run", "Result")
SOURCE, CHECK, OPTIONS, RUN, RESULT = range(5)


def steps_line(current: int, path: str, width: int, ends: Mapping[int, Phase]) -> Content:
    """The current step, and the archive's path. `ends` holds the phases of earlier steps that are not done."""
    parts: list[StyledText] = [" "]
    for number, name in enumerate(STEPS):
        if number == current:
            parts.append((f"{number + 1} {name}", f"bold {KEY}"))
        else:
            symbol, style = PHASES[ends.get(number, Phase.DONE)]
            is_past = number < current
            parts.append((f"{number + 1} {name}", "" if is_past else DIM))
            parts += [(f" {symbol}", style if number in ends else "")] if is_past else []
        parts += [(" ▸ ", DIM)] if number < RESULT else []
    left = line(*parts)
    room = width - left.cell_length - 3
    return facing(left, line((end_of_path(path, room), DIM), " "), width)


def end_of_path(path: str, room: int) -> str:
    """The path in at most `room` cells. A longer path loses its beginning."""
    shown = visible(path)
    if cells(shown) <= room:
        return shown
    while shown and cells(shown) > room - 1:
        shown = shown[1:]
    return f"…{shown}" if room > 12 else ""


def phase_part(state: ImportState) -> StyledText:
    """The phase with its symbol."""
    symbol, style = PHASES[state.phase]
    return (f"{symbol} {state.phase.value}", style)
