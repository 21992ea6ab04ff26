"""Makes lines for the panes. Text from outside goes through `fit` or `cut`, so that no column moves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content

from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.base.text import fit, lines, visible

GOOD, NOTE, BAD = "$text-success", "$text-warning", "$text-error"
DIM, KEY = "$dimmed", "$text-accent"

StyledText = str | tuple[str, str]
"""A piece of a line, or a piece with its style. It is never parsed as markup."""

OUTCOMES: Mapping[str, str] = {
    Outcome.STORED: GOOD,
    Outcome.AUDIT: DIM,
    Outcome.UNROUTED: NOTE,
    Outcome.DISCARDED: KEY,
    Outcome.FAILED: BAD,
}
"""The style of each outcome of an event."""
MARKS = {"ok": ("●", GOOD), "note": ("▲", NOTE), "bad": ("✗", BAD), "off": ("○", DIM)}
"""Symbol and style of a state. A word follows the symbol: no state is shown only by colour."""
_BLOCKS = " ▁▂▃▄▅▆▇█"
_GAP = 2
_HANGING = 2
"""Cells by which the later lines of a folded line are indented."""
_MOST_OF_VALUE = 40
"""The most lines of one value."""
_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""Where str.splitlines breaks a text."""


def line(*parts: StyledText) -> Content:
    """The parts as one line, with control characters made visible."""
    return Content.assemble(
        *(visible(part) if isinstance(part, str) else (visible(part[0]), part[1]) for part in parts)
    )


def as_is(shown: Content, width: int) -> Content:
    """Paint a row that is already a line."""
    return shown.truncate(width)


def mark(state: str, text: str = "") -> tuple[str, str]:
    """The symbol of a state of `MARKS` and a text, in the same colour."""
    symbol, style = MARKS[state]
    return (f"{symbol} {text}" if text else symbol, style)


def facing(left: Content, right: Content, width: int, fill: str = " ", style: str = "") -> Content:
    """One line with a text at each end. If there is no room for both, the right one is left out."""
    width = max(width, 0)
    room = width - left.cell_length - right.cell_length
    if room < 1:
        return left.truncate(width, ellipsis=True, pad=True)
    return left + Content.assemble((fill * room, style)) + right


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. One without a width takes the rest of the line."""

    title: str
    width: int = 0
    right: bool = False
    least: int = 0
    """In a table narrower than this, the column is left out."""


class Columns:
    """The columns of a table."""

    def __init__(self, *columns: Column) -> None:
        self._columns = columns

    def head(self, width: int) -> Content:
        """The line with the titles."""
        return self.row(width, [(column.title, DIM) for column in self._columns])

    def room(self, width: int) -> int:
        """The cells of the column without a width, in a table of this width."""
        shown = [column for column in self._columns if width >= column.least]
        fixed = sum(column.width for column in shown) + _GAP * (len(shown) - 1)
        return max(width - fixed, 0)

    def row(self, width: int, given: Sequence[StyledText]) -> Content:
        """A row as a line of exactly `width` cells."""
        shown = [
            (column, part)
            for column, part in zip(self._columns, given, strict=True)
            if width >= column.least
        ]
        room = self.room(width)
        parts: list[StyledText] = []
        for column, part in shown:
            text, style = (part, "") if isinstance(part, str) else part
            parts.append((fit(text, column.width or room, right=column.right), style))
            parts.append(" " * _GAP)
        return Content.assemble(*parts[:-1]).truncate(max(width, 0), pad=True)


def pairs(width: int, *given: tuple[str, StyledText], name: int = 10) -> list[Content]:
    """The names, each with its value. A long value goes on below itself, in at most `_MOST_OF_VALUE` lines."""
    shown = []
    for title, part in given:
        text, style = (part, "") if isinstance(part, str) else part
        for row in lines(text, width - name, _MOST_OF_VALUE, at_words=True):
            shown.append(Content.assemble((fit(title, name), DIM), (row, style)))
            title = ""
    return shown


def folded(shown: Content, width: int) -> list[Content]:
    """The line in lines of at most `width` cells, broken between words. The later ones are indented a little more."""
    if shown.cell_length <= width:
        return [shown]
    text = shown.plain
    indent = min(len(text) - len(text.lstrip(" ")), max(width // 2, 0))
    rows = shown[indent:].wrap(max(width - indent - _HANGING, 1))
    return [
        (Content(" " * (indent + _HANGING * (number > 0))) + row.rstrip()).truncate(max(width, 0))
        for number, row in enumerate(rows)
    ]


def wrapped(text: str, width: int, most: int = 200, *, at_words: bool = False) -> list[Content]:
    """The text in at most `most` lines of at most `width` cells (at least 1). Its own line breaks are kept.

    With `at_words`, lines end after words.

    Takes time in proportion to the lines that it returns, whatever the length of the text.
    """
    shown: list[Content] = []
    for paragraph in _paragraphs(text):
        shown += map(Content, lines(paragraph, width, most - len(shown), at_words=at_words))
        if len(shown) >= most:
            break
    return shown


def _paragraphs(text: str) -> Iterator[str]:
    begin = 0
    for end in _BREAK.finditer(text):
        yield text[begin : end.start()]
        begin = end.end()
    if begin < len(text):
        yield text[begin:]


def worded(text: str, width: int) -> list[Content]:
    """The text in lines of at most `width` cells (at least 1), broken between words."""
    one_line = " ".join(text.split())
    return [Content(row) for row in lines(one_line, width, len(one_line), at_words=True)]


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, filled to the share."""
    width = max(width, 0)
    filled = round(max(0.0, min(share, 1.0)) * width)
    return "█" * filled + "░" * (width - filled)


def chart(values: Sequence[float], width: int, height: int, top: float) -> list[str]:
    """A chart as lines: one column for each value, the newest on the right. The value `top` fills the height."""
    shown = list(values[-width:]) if width > 0 else []
    eighths = [max(round(value / top * height * 8), 1 if value > 0 else 0) for value in shown]
    return [
        "".join(_BLOCKS[max(0, min(8, level - row * 8))] for level in eighths).rjust(width)
        for row in reversed(range(height))
    ]
