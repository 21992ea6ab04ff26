"""Dialogs: questions, and long texts to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Static

from tiger_slack_tui.base.text import visible
from tiger_slack_tui.console.actions import CONFIRM_KEY
from tiger_slack_tui.console.panes.paint import DIM, KEY, line
from tiger_slack_tui.console.panes.pane import Body, Pane

_UNSCROLLED = 5
"""Details that a small terminal shows without scrolling."""
_Answer = TypeVar("_Answer")


class Dialog(ModalScreen[_Answer]):
    """A screen above the views. It is answered once."""

    LEAST_SIZE: ClassVar[tuple[int, int]] = (60, 15)
    """The least columns and rows in which it can be read and answered."""

    def answer(self, result: _Answer | None = None) -> None:
        """Close the dialog. Does nothing if an earlier key has closed it: more keys can wait in its queue."""
        if self.is_current:
            self.dismiss(result)

    def leave(self) -> None:
        """Close the dialog because the terminal has become too small for it."""
        self.answer()


class Confirm(Dialog[bool]):
    """Asks before something is changed. Only `CONFIRM_KEY` says yes; Enter and Escape change nothing."""

    LEAST_SIZE = (20, 5)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "scroll(1)", "Down"),
        Binding("up", "scroll(-1)", "Up"),
        Binding("pagedown", "scroll(5)", "Page down"),
        Binding("pageup", "scroll(-5)", "Page up"),
    ]

    def __init__(self, question: str, details: Sequence[str], *, verb: str, stay: str) -> None:
        """`verb` and `stay` are what yes and Escape do."""
        super().__init__()
        self._question = question
        self._details = details
        self._verb = verb
        self._stay = stay

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(line((self._question, "bold")), id="question")
            with VerticalScroll(id="details", can_focus=False):
                yield Static(Content("\n").join(line(text) for text in self._details))
            more = "   ↑↓ Scroll" if len(self._details) > _UNSCROLLED else ""
            yes, no = (CONFIRM_KEY, f"bold {KEY}"), ("Esc", f"bold {KEY}")
            yield Static(
                line(yes, f" {self._verb}   ", no, f" {self._stay}", (more, DIM)), id="choice"
            )

    def on_key(self, event: Key) -> None:
        if event.key in ("escape", "enter"):
            event.stop()
            self.answer(False)
        elif event.character == CONFIRM_KEY:
            event.stop()
            self.answer(True)

    def action_scroll(self, rows: int) -> None:
        self.query_one("#details", VerticalScroll).scroll_relative(y=rows, animate=False)


class Document(Dialog[None]):
    """A text of many lines, to read and to copy."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "close", "Back"),
        Binding("down,j", "move(1)", "Down"),
        Binding("up,k", "move(-1)", "Up"),
        Binding("pagedown,space", "page(1)", "Page down"),
        Binding("pageup", "page(-1)", "Page up"),
        Binding("g,home", "move(-1000000)", "First"),
        Binding("G,shift+g,end", "move(1000000)", "Last"),
        Binding("y", "copy", "Copy"),
    ]

    def __init__(self, title: str, lines: Sequence[Content], *, copied: str | None = None) -> None:
        """`copied` is what copying gives, if not the text itself."""
        super().__init__()
        self._title = title
        self._lines = lines
        self._copied = copied

    def compose(self) -> ComposeResult:
        yield Pane[Content](lambda row, width: row.truncate(width), id="document")
        yield Static(
            line(
                (" Esc", KEY),
                " Back  ",
                ("↑↓", KEY),
                " Move  ",
                ("y", KEY),
                " Copy",
            ),
            id="keys",
        )

    def on_mount(self) -> None:
        pane = self.query_one("#document", Pane)
        pane.show(Body(rows=self._lines, title=self._title, note=f"{len(self._lines):,} lines"))
        pane.focus()

    def action_close(self) -> None:
        self.answer()

    def action_move(self, rows: int) -> None:
        self.query_one("#document", Pane).move(rows)

    def action_page(self, pages: int) -> None:
        self.query_one("#document", Pane).page(pages)

    def action_copy(self) -> None:
        text = self._copied or "\n".join(shown.plain.rstrip() for shown in self._lines)
        self.app.copy_to_clipboard(text)
        self.notify(visible(f"Copied {len(text):,} characters"), markup=False, timeout=2)
