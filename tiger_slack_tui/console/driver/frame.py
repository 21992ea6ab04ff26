"""Computes the least output that brings the terminal from what it shows to what it should show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby, starmap
from operator import itemgetter

from rich.cells import get_character_cell_size, set_cell_size
from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from tiger_slack_tui.base.text import graphemes, is_plain, is_simple, visible

Cells = list[tuple[str, Style | None]]

_BRIDGE = 6
"""The most unchanged cells that are written again: moving the cursor over them takes as many bytes."""
_ASCII = {
    ord(ours): theirs
    for ours, theirs in (
        *zip("●▲✗○▶✓▸─│…·↑↓→█░", "*!xo>+>-|~.^v>#.", strict=True),
        *zip("▁▂▃▄▅▆▇", ".,-=+*%", strict=True),
        *zip("┌┐└┘\N{REPLACEMENT CHARACTER}", "++++?", strict=True),
    )
}
"""What a terminal without Unicode shows in place of our own symbols."""


class Frame:
    """The lines that the screen should show, and those that the terminal was given last.

    Textual repaints whole lines of a widget, although most of their cells are unchanged. Over a slow connection
    that costs time.
    """

    def __init__(self, *, is_ascii: bool = False) -> None:
        """With `is_ascii`, nothing but ASCII is written."""
        self._is_ascii = is_ascii
        self._wanted: list[Strip] = []
        self._shown: list[Strip] = []

    def forget(self) -> None:
        """Assume nothing about what the terminal shows."""
        self._shown = []

    def update(self, update: CompositorUpdate, compositor: Compositor) -> None:
        """Take over what Textual has painted."""
        match update:
            case LayoutUpdate(strips=lines):
                self._wanted = [plain(Strip.join(line), is_ascii=self._is_ascii) for line in lines]
            case ChopsUpdate() if len(self._wanted) == len(update.chops):
                for y in {y for y, _, _ in update.spans}:
                    self._wanted[y] = self._merged(self._wanted[y], update.chops[y])
            case _:
                strips = compositor.render_strips()
                self._wanted = [plain(strip, is_ascii=self._is_ascii) for strip in strips]

    def changes(self, console: Console) -> str:
        """The output that brings the terminal up to date; "" if it is. It moves the cursor."""
        is_known = len(self._shown) == len(self._wanted)
        parts = []
        for y, strip in enumerate(self._wanted):
            if is_known and (strip is self._shown[y] or list(strip) == list(self._shown[y])):
                continue
            cells = _cells(strip)
            spans = _differences(_cells(self._shown[y]), cells) if is_known else [(0, len(cells))]
            for begin, end in spans:
                parts.append(_drawn(cells, begin, end, y, console))
        return "".join(parts)

    def mark_written(self) -> None:
        """Remember that the terminal was given all of `changes`."""
        self._shown = list(self._wanted)

    def _merged(self, line: Strip, chops: Mapping[int, Strip | None]) -> Strip:
        for x, part in chops.items():
            if part is not None:
                new = plain(part, is_ascii=self._is_ascii)
                line = Strip.join([line.crop(0, x), new, line.crop(x + new.cell_length)])
        return line


def plain(strip: Strip, *, is_ascii: bool) -> Strip:
    """The line without control characters. This is the last guard, behind the widgets.

    With `is_ascii`, our symbols become ASCII, and any other character a question mark for each cell. No cell moves.
    """
    if is_ascii:
        return _mapped(strip, lambda text: "".join(starmap(_ascii, graphemes(visible(text)))))
    if all(is_plain(text) or visible(text) == text for text, _, _ in strip):
        return strip
    return _mapped(strip, visible)


def _mapped(strip: Strip, change: Callable[[str], str]) -> Strip:
    return Strip(
        Segment(
            set_cell_size(change(_without_torn(segment.text)), segment.cell_length), segment.style
        )
        for segment in strip
    )


def _without_torn(text: str) -> str:
    """The text without leading combining characters, whose base Rich has cut off."""
    while text >= "\u0300" and get_character_cell_size(text[0]) == 0:
        text = text[2:] if text[0] == "\N{ZERO WIDTH JOINER}" else text[1:]
    return text


def _ascii(piece: str, width: int) -> str:
    if piece.isascii():
        return piece
    return _ASCII.get(ord(piece), "?" * width) if len(piece) == 1 else "?" * width


def _differences(before: Cells, after: Cells) -> Iterable[tuple[int, int]]:
    """The spans of cells where the lines differ."""
    if before == after:
        return
    if len(before) != len(after):
        yield 0, len(after)
        return
    begin, end = -1, -_BRIDGE
    for x, (was, now) in enumerate(zip(before, after, strict=True)):
        if was == now:
            continue
        if begin >= 0 and x - end > _BRIDGE:
            span = _whole(after, begin, end)
            yield span
            if span[1] == len(after):
                return
            begin = x
        begin, end = (x if begin < 0 else begin), x + 1
    if begin >= 0:
        yield _whole(after, begin, end)


def _whole(cells: Cells, begin: int, end: int) -> tuple[int, int]:
    """The span, widened so that it cuts no wide character in half.

    Terminals do not agree on the width of composed characters. A span with one of them goes on to the end of the
    line, because the terminal may have drawn over what follows.
    """
    begin -= cells[begin][0] == ""
    if any(text and not is_simple(text) for text, _ in cells[begin:end]):
        return begin, len(cells)
    return begin, end + (end < len(cells) and cells[end][0] == "")


def _drawn(cells: Cells, begin: int, end: int, y: int, console: Console) -> str:
    """The output that draws a span of the line.

    The cells of a composed character are first emptied, and the cursor is moved behind it: terminals do not agree on
    its width.
    """
    parts = [_move(begin, y)]
    x = begin
    for style, group in groupby(cells[begin:end], key=itemgetter(1)):
        text = ""
        for piece, _ in group:
            if not piece or is_simple(piece):
                text += piece
                x += 1
                continue
            width = 2 if cells[x + 1 : x + 2] == [("", style)] else 1
            parts += [_styled(f"{text}{' ' * width}", style, console), _move(x, y)]
            parts += [_styled(piece, style, console), _move(x + width, y)]
            text = ""
            x += 1
        parts.append(_styled(text, style, console))
    return "".join(parts)


def _styled(text: str, style: Style | None, console: Console) -> str:
    return Strip([Segment(text, style)]).render(console) if text else ""


def _move(x: int, y: int) -> str:
    return Control.move_to(x, y).segment.text


def _cells(strip: Strip) -> Cells:
    """The content of each cell. The second cell of a wide character has ""."""
    cells: Cells = []
    for text, style, _ in strip:
        if text.isascii():
            cells += [(character, style) for character in text]
            continue
        for piece, width in graphemes(text):
            cells.append((piece, style))
            cells += [("", style)] * (width - 1)
    return cells
