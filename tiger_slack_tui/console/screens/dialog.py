"""Questions and long texts, above the views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tiger_slack_tui.console.paint import DIM, KEY, line
from tiger_slack_tui.console.pane import Body, Pane
from tiger_slack_tui.text import visible


class Confirm(ModalScreen[bool]):
    """Asks before something is changed. Only its own key says yes: Enter and Escape leave everything as it is."""

    def __init__(
        self,
        question: str,
        details: Sequence[str],
        *,
        key: str,
        verb: str,
        typed: str | None = None,
    ) -> None:
        """With `typed`, that has to be typed first: for what cannot be undone."""
        super().__init__()
        self._question = question
        self._details = details
        self._key = key
        self._verb = verb
        self._typed = typed

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(line((self._question, "bold")), id="question")
            yield Static(Content("\n").join(line(text) for text in self._details), id="details")
            if self._typed is not None:
                yield Static(line(f"Type {self._typed} to confirm:"))
                yield Input(id="typed", compact=True)
            yield Static(
                line(
                    (self._key, f"bold {KEY}"),
                    f" {self._verb}   ",
                    ("Esc", f"bold {KEY}"),
                    " Leave it",
                ),
                id="choice",
            )

    def on_key(self, event: Key) -> None:
        event.stop()
        if event.key in ("escape", "enter"):
            self.dismiss(False)
        elif self._typed is None and event.character == self._key:
            self.dismiss(True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() == self._typed)


class Document(ModalScreen[None]):
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
        """`copied` is what copying gives, where that is not the text shown."""
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
        self.dismiss()

    def action_move(self, rows: int) -> None:
        self.query_one("#document", Pane).move(rows)

    def action_page(self, pages: int) -> None:
        self.query_one("#document", Pane).page(pages)

    def action_copy(self) -> None:
        text = self._copied or "\n".join(shown.plain.rstrip() for shown in self._lines)
        self.app.copy_to_clipboard(text)
        self.notify(visible(f"Copied {len(text):,} characters"), markup=False, timeout=2)


def note(text: str) -> Content:
    """A line that explains."""
    return line((text, DIM))
