"""Every character is in its cell, also in a terminal that counts cells otherwise; every layout takes every width."""

from __future__ import annotations

import io
import unicodedata
from itertools import product
from types import SimpleNamespace
from typing import Any

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from textual._compositor import LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from tiger_slack_tui.base.text import cells, fit, graphemes, visible
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.driver.frame import Frame
from tiger_slack_tui.console.panes.chrome import footer_line, tabs_line
from tiger_slack_tui.console.panes.paint import (
    Column,
    Columns,
    bar,
    chart,
    facing,
    folded,
    line,
    pairs,
    worded,
    wrapped,
)
from tiger_slack_tui.console.views.importing.step_line import end_of_path, steps_line

WIDTH = 40
SEQUENCES = {
    "skin-tone": "👍🏽",
    "family": "👩\u200d👩\u200d👧",
    "profession": "👩🏽\u200d💻",
    "flag": "🇩🇪",
    "region": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "rainbow": "🏳\ufe0f\u200d🌈",
    "hangul": "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "accents": "e\u0301o\u0308\u0304",
    "heart": "❤\ufe0f",
    "text-style": "☂\ufe0e",
    "keycap": "1\ufe0f\u20e3",
    "thai": "กำ",
    "devanagari": "क्षि",
    "variant": "葛\U000e0100",
    "wide": "日本",
    "broken": "\u200d\u0301🏽\u1161",
}


class Terminal:
    """pyte takes skin tones and halves of flags for two cells, and drops what follows a joiner."""

    def __init__(self, frame: Frame) -> None:
        self.screen = pyte.Screen(WIDTH, 3)
        self.screen.reset_mode(7, private=True)  # as Textual asks: no line goes on in the next
        self._stream = pyte.Stream(self.screen)
        self._frame = frame
        self._console = Console(file=io.StringIO(), color_system=None)

    def show(self, *texts: str) -> None:
        strips = [[_strip(text)] for text in texts]
        update = LayoutUpdate(strips, Region(0, 0, WIDTH, len(texts)))
        compositor: Any = SimpleNamespace()
        self._frame.update(update, compositor)
        self._stream.feed(self._frame.changes(self._console))
        self._frame.mark_written()

    def expect(self, *texts: str) -> None:
        """Each character that all terminals agree on is in its cell; the others begin in theirs."""
        for y, text in enumerate(texts):
            x = 0
            for piece, width in graphemes(fit(text, WIDTH)):
                shown = self.screen.buffer[y][x].data
                assert shown[:1] in (piece[0], _composed(piece)), (text, x, shown, piece)
                x += width


def _composed(piece: str) -> str:
    return unicodedata.normalize("NFC", piece)[:1]


def _strip(text: str) -> Strip:
    return Strip([Segment(fit(text, WIDTH))], WIDTH)


@pytest.mark.parametrize("name", SEQUENCES)
def test_what_follows_a_composed_character_is_where_it_belongs(name: str) -> None:
    terminal = Terminal(Frame())
    odd = SEQUENCES[name]
    lines = (f"{odd} 123 {odd}{odd} 456", "7 next 8", f"{'x' * (WIDTH - 1)}{odd}")
    terminal.show(*lines)
    terminal.expect(*lines)
    for changed in (
        (f"{odd} 124 {odd}{odd} 457", "7 next 8", "end"),
        (f"99 {odd} 1", f"{odd}", f"{odd}{odd} 2"),
        ("0123456789" * 4, "all", "plain"),
    ):
        terminal.show(*changed)
        terminal.expect(*changed)


_ODD = st.lists(st.sampled_from([*SEQUENCES.values(), "a", "12 ", "  ", "…"]), max_size=12)


@settings(max_examples=60)
@given(_ODD, _ODD, st.integers(0, WIDTH))
def test_any_change_of_a_line_leaves_the_right_digits(
    before: list[str], after: list[str], digits: int
) -> None:
    terminal = Terminal(Frame())
    old, new = "".join(before), "".join(after)
    for text in (f"{old}{1:0{digits}}", f"{new}{2:0{digits}}", f"{new}{3:0{digits}}"):
        terminal.show(text, "below", "last")
        terminal.expect(text, "below", "last")


def test_ascii_terminals_get_as_many_cells() -> None:
    terminal = Terminal(Frame(is_ascii=True))
    for odd in SEQUENCES.values():
        terminal.show(f"{odd}|", "", "")
        assert terminal.screen.display[0].index("|") == cells(visible(odd))
        assert terminal.screen.display[0].isascii()


TEXTS = (
    "",
    "a",
    "日",
    "日本語 and more",
    "e\u0301\u0301",
    "👩\u200d👩\u200d👧 x",
    "\u200d",
    "x" * 300,
    "a\r\nb\x85c\n",
)


@pytest.mark.parametrize(("text", "width"), [*product(TEXTS, (-9, -4, -1, 0, 1, 2, 3, 7, 200))])
def test_every_layout_takes_every_width(text: str, width: int) -> None:
    room = max(width, 0)
    assert all(row.cell_length <= max(width, 1) for row in wrapped(text, width))
    assert len(wrapped(text * 50, width, 7)) <= 7
    assert all(row.cell_length <= max(width, 1) for row in worded(text, width))
    columns = Columns(Column("a", 4), Column("b"), Column("c", 3, right=True, least=5))
    assert columns.row(width, [text, (text, "bold"), text]).cell_length == room
    assert columns.head(width).cell_length == room
    assert facing(line(text), line(text), width).cell_length == room
    assert cells(bar(0.5, width)) == room
    assert all(len(row) == room for row in chart([1, 2, 3], width, 2, 3))
    assert all(row.cell_length <= max(width, 11) for row in pairs(width, (text, text)))
    assert all(row.cell_length <= room for row in folded(line("  " + text), width))
    assert cells(end_of_path(text, width)) <= room
    assert steps_line(1, text, width, {}).cell_length == room
    assert tabs_line("jobs", {"jobs": text}, width, frozen=text).cell_length == room
    footer_line(list(ConsoleApp.ACTIONS.values()), {}, width)


def test_wrapped_text_loses_nothing_and_breaks_where_lines_end() -> None:
    text = "one\r\ntwo\n\nthree\u2028four"
    assert [row.plain for row in wrapped(text, 4)] == ["one", "two", "", "thre", "e", "four"]
    assert [row.plain for row in wrapped("日本", 1)] == ["\ufffd", "\ufffd"]
    assert [row.plain for row in wrapped("日本x", 2)] == ["日", "本", "x"]
