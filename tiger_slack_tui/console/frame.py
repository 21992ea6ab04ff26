"""What the terminal shows, and the least that has to be written to show something else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from rich.cells import get_character_cell_size
from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from textual._compositor import ChopsUpdate, Compositor, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from tiger_slack_tui.console.paint import ASCII

# C0, DEL, C1; what turns the direction or is invisible; halves of surrogate pairs.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_BRIDGE = 6
"""Cells that did not change, but are written because moving over them takes as many bytes."""


class Frame:
    """The lines that the screen has, and those that the terminal took last.

    Textual repaints whole lines of a widget; over a slow line most of that is what is there already.
    """

    def __init__(self, *, is_ascii: bool = False) -> None:
        """With `is_ascii`, nothing else is written."""
        self._is_ascii = is_ascii
        self._wanted: list[Strip] = []
        self._shown: list[Strip] = []

    def forget(self) -> None:
        """Take nothing of the terminal for known."""
        self._shown = []

    def update(self, update: CompositorUpdate, compositor: Compositor) -> None:
        """Take in what Textual has painted."""
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
        """What brings the terminal up to date; "" where it is. It moves the cursor."""
        is_known = len(self._shown) == len(self._wanted)
        parts = []
        for y, strip in enumerate(self._wanted):
            if not is_known:
                spans: Iterable[tuple[int, int]] = [(0, strip.cell_length)]
            elif strip is self._shown[y]:
                continue
            else:
                spans = _differences(self._shown[y], strip)
            for begin, end in spans:
                parts.append(Control.move_to(begin, y).segment.text)
                parts.append(strip.crop(begin, end).render(console))
        return "".join(parts)

    def took(self) -> None:
        """The terminal shows what the screen has now."""
        self._shown = list(self._wanted)

    def _merged(self, line: Strip, chops: Mapping[int, Strip | None]) -> Strip:
        for x, part in chops.items():
            if part is not None:
                new = plain(part, is_ascii=self._is_ascii)
                line = Strip.join([line.crop(0, x), new, line.crop(x + new.cell_length)])
        return line


def plain(strip: Strip, *, is_ascii: bool) -> Strip:
    """The line without anything that a terminal could take for a command; the last guard behind all widgets.

    With `is_ascii`, our symbols become ASCII, and all else a question mark for each cell.
    """
    if is_ascii:
        return _mapped(strip, lambda text: "".join(map(_ascii, text)))
    if any(_CONTROL.search(segment.text) for segment in strip):
        return _mapped(strip, lambda text: _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))
    return strip


def _mapped(strip: Strip, change: Callable[[str], str]) -> Strip:
    segments = [Segment(change(text), style) for text, style, _ in strip]
    return Strip(segments).adjust_cell_length(strip.cell_length)


def _ascii(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    return ASCII.get(ord(character), "?" * get_character_cell_size(character))


def _differences(old: Strip, new: Strip) -> Iterator[tuple[int, int]]:
    """From which cell up to which the lines differ."""
    if list(old) == list(new):
        return
    before, after = _cells(old), _cells(new)
    if len(before) != len(after):
        yield 0, len(after)
        return
    begin, end = -1, -_BRIDGE
    for x, (was, now) in enumerate(zip(before, after, strict=True)):
        if was == now:
            continue
        if begin >= 0 and x - end > _BRIDGE:
            yield _whole(after, begin, end)
            begin = x
        begin, end = (x if begin < 0 else begin), x + 1
    if begin >= 0:
        yield _whole(after, begin, end)


def _whole(cells: list[tuple[str, object]], begin: int, end: int) -> tuple[int, int]:
    """The span without a half of a wide character, whose second cell is empty."""
    return (
        begin - (cells[begin][0] == ""),
        end + (end < len(cells) and cells[end][0] == ""),
    )


def _cells(strip: Strip) -> list[tuple[str, object]]:
    cells: list[tuple[str, object]] = []
    for text, style, _ in strip:
        if text.isascii():
            cells += [(character, style) for character in text]
            continue
        for character in text:
            cells.append((character, style))
            if get_character_cell_size(character) == 2:
                cells.append(("", style))
    return cells
