"""Lines of text for the panes. What others wrote goes through `fit` or `cut`, so that no line shifts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.content import Content

from tiger_slack_tui.base.text import cells, cut, fit, lines, visible

GOOD, NOTE, BAD = "$text-success", "$text-warning", "$text-error"
DIM, KEY, STRONG = "$text-muted", "$text-accent", "bold"

Part = str | tuple[str, str]
"""A piece of a line, or one with its style. Never parsed as markup."""

OUTCOMES = {"stored": GOOD, "audit": DIM, "unrouted": NOTE, "discarded": KEY, "failed": BAD}
"""How the outcomes of events look, everywhere."""
MARKS = {"ok": ("●", GOOD), "note": ("▲", NOTE), "bad": ("✗", BAD), "off": ("○", DIM)}
"""State is a symbol, a word and a colour; the word stands behind."""
_BLOCKS = " ▁▂▃▄▅▆▇█"
_GAP = 2
_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""Where str.splitlines breaks."""


def line(*parts: Part) -> Content:
    """The parts as one line, made visible."""
    return Content.assemble(
        *(visible(part) if isinstance(part, str) else (visible(part[0]), part[1]) for part in parts)
    )


def mark(state: str, text: str = "") -> tuple[str, str]:
    """The symbol of a state of `MARKS`, and what follows it in the same colour."""
    symbol, style = MARKS[state]
    return (f"{symbol} {text}" if text else symbol, style)


def facing(left: Content, right: Content, width: int, fill: str = " ", style: str = "") -> Content:
    """One line with a text at each end; the right one goes first where there is no room for both."""
    width = max(width, 0)
    room = width - left.cell_length - right.cell_length
    if room < 1:
        return left.truncate(width, ellipsis=True, pad=True)
    return left + Content.assemble((fill * room, style)) + right


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. One without a width takes what the others leave."""

    title: str
    width: int = 0
    right: bool = False
    least: int = 0
    """Width of the whole table below which the column is left out."""


class Columns:
    """Lays cells out under titles."""

    def __init__(self, *columns: Column) -> None:
        self._columns = columns

    def head(self, width: int) -> Content:
        """The titles."""
        return self.row(width, [(column.title, DIM) for column in self._columns])

    def row(self, width: int, given: Sequence[Part]) -> Content:
        """A line of exactly `width` cells."""
        shown = [
            (column, part)
            for column, part in zip(self._columns, given, strict=True)
            if width >= column.least
        ]
        fixed = sum(column.width for column, _ in shown) + _GAP * (len(shown) - 1)
        parts: list[Part] = []
        for column, part in shown:
            text, style = (part, "") if isinstance(part, str) else part
            parts.append(
                (fit(text, column.width or max(width - fixed, 0), right=column.right), style)
            )
            parts.append(" " * _GAP)
        return Content.assemble(*parts[:-1]).truncate(max(width, 0), pad=True)


def pairs(width: int, *given: tuple[str, Part], name: int = 10) -> list[Content]:
    """One line for each name and what it stands for."""
    lines = []
    for title, part in given:
        text, style = (part, "") if isinstance(part, str) else part
        lines.append(
            Content.assemble((fit(title, name), DIM), (cut(text, max(width - name, 1)), style))
        )
    return lines


def wrapped(text: str, width: int, most: int = 200) -> list[Content]:
    """The text in lines of at most `width` cells (at least 1); its own line breaks break it, too.

    At most so many lines. Takes time in proportion to the lines that it gives.
    """
    shown: list[Content] = []
    for paragraph in _paragraphs(text):
        shown += map(Content, lines(paragraph, width, most - len(shown)))
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
    width = max(width, 1)
    rows = [""]
    for word in visible(" ".join(text.split())).split(" "):
        longer = f"{rows[-1]} {word}" if rows[-1] else word
        if cells(longer) <= width:
            rows[-1] = longer
        else:
            rows += lines(word, width, len(word))
    return [Content(row) for row in rows if row]


def bar(share: float, width: int) -> str:
    """A bar of so many cells, filled to that share."""
    width = max(width, 0)
    filled = round(max(0.0, min(share, 1.0)) * width)
    return "█" * filled + "░" * (width - filled)


def chart(values: Sequence[float], width: int, height: int) -> list[str]:
    """Columns of blocks, newest on the right; the highest value fills the height."""
    shown = list(values[-width:]) if width > 0 else []
    top = max([*shown, 1e-9])
    eighths = [max(round(value / top * height * 8), 1 if value > 0 else 0) for value in shown]
    return [
        "".join(_BLOCKS[max(0, min(8, level - row * 8))] for level in eighths).rjust(width)
        for row in reversed(range(height))
    ]
