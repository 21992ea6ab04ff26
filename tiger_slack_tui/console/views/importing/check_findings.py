"""What a check found: errors, warnings and bad records, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from textual.content import Content

from tiger_slack_tui.base.text import amount, cut, lines
from tiger_slack_tui.console.panes.paint import (
    BAD,
    NOTE,
    Column,
    Columns,
    line,
)
from tiger_slack_tui.imports.archive.members import ArchiveRefused, Export
from tiger_slack_tui.imports.state import ImportState
from tiger_slack_tui.store.import_account import ImportProblem

PROBLEMS = Columns(
    Column("", 1), Column("file"), Column("record", 7, right=True), Column("why", 30)
)
_SYMBOL = 2
"""Cells before a line of an error."""
_MOST_OF_ERROR = 10
"""The most lines of an error, and of each line of its hint."""
_MOST_PROBLEMS = 2000
"""The most problems that the check lists."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A line of the error that ended a check or an import: what happened, or what to do (`is_hint`)."""

    text: str
    is_hint: bool
    is_first: bool
    """Whether the error begins with this line."""


@dataclass(frozen=True, slots=True)
class WarningLine:
    """A line of a warning. The warning begins with it if it `is_first`."""

    text: str
    is_first: bool


CheckFinding = Failure | WarningLine | ImportProblem
"""Something in the archive that the operator should know before the import."""


def is_refused(state: ImportState) -> bool:
    """Whether the archive was refused. Choosing one of several exports may help."""
    return isinstance(state.error, ArchiveRefused)


def exports_of(state: ImportState | None) -> tuple[Export, ...]:
    """The exports among which the operator must choose; none unless the archive was refused for them."""
    error = None if state is None else state.error
    return error.exports if isinstance(error, ArchiveRefused) else ()


def failure_lines(state: ImportState, width: int) -> list[Failure]:
    """The error that ended the check or the import, in lines of `width` cells with their symbols."""
    if state.error is None:
        return []
    room = max(width - _SYMBOL, 1)
    shown = lines(str(state.error.args[0]), room, _MOST_OF_ERROR, at_words=True)
    hint = (state.error.hint or "").splitlines()
    return [
        *(Failure(row, is_hint=False, is_first=number == 0) for number, row in enumerate(shown)),
        *(
            Failure(row, is_hint=True, is_first=False)
            for text in hint
            for row in lines(text, room, _MOST_OF_ERROR, at_words=True)
        ),
    ]


def findings(state: ImportState, width: int) -> list[CheckFinding]:
    """What the operator should know before the import, errors first; at most `_MOST_PROBLEMS` problems."""
    room = max(width - _SYMBOL, 1)
    warnings = [
        WarningLine(row, is_first=number == 0)
        for note in state.notes
        if note.is_warning
        for number, row in enumerate(lines(note.text, room, _MOST_OF_ERROR, at_words=True))
    ]
    return [*failure_lines(state, width), *islice(state.problems, _MOST_PROBLEMS), *warnings]


def findings_left_out(state: ImportState) -> str:
    """Which problems `findings` leaves out, as a phrase; "" if none."""
    shown = min(len(state.problems), _MOST_PROBLEMS)
    problems = state.ledger.problems
    return f"{shown:,} of {problems:,} problems" if shown < problems else ""


def findings_note(state: ImportState) -> str:
    """The numbers of errors and warnings, and whether the check failed."""
    warnings = sum(note.is_warning for note in state.notes)
    counts = f"{amount(state.ledger.problems, 'error')} · {amount(warnings, 'warning')}"
    if state.error is None:
        return counts
    return f"the archive is refused · {counts}" if is_refused(state) else f"failed · {counts}"


def search_text(row: CheckFinding) -> str:
    """The text that a filter searches."""
    return f"{row.path} {row.reason}" if isinstance(row, ImportProblem) else row.text


def paint_check_finding(row: CheckFinding, width: int) -> Content:
    """A line for a finding."""
    if isinstance(row, ImportProblem):
        return paint_problem(row, width)
    if isinstance(row, Failure):
        symbol = "✗ " if row.is_first else " " * _SYMBOL
        shown = symbol + cut(row.text, width - _SYMBOL)
        return line((shown, "" if row.is_hint else BAD)).truncate(width)
    symbol = "▲ " if row.is_first else " " * _SYMBOL
    return line((symbol, NOTE), cut(row.text, width - _SYMBOL)).truncate(width)


def paint_problem(row: ImportProblem, width: int) -> Content:
    """A line for a bad record or file."""
    where = f"{row.position:,}" if row.position is not None else "all"
    return PROBLEMS.row(width, [("✗", BAD), row.path, where, (row.reason, BAD)])
