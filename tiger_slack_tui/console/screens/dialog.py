"""Dialogs: questions, and long texts to read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key, Resize
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.console.actions import (
    CONFIRM_KEY,
    HELP,
    Action,
    action,
    actions_in,
    bindings,
    declared,
    implements,
    perform,
    pressed,
)
from tiger_slack_tui.console.panes.background import run_latest
from tiger_slack_tui.console.panes.chrome import footer_line
from tiger_slack_tui.console.panes.keys_line import KeysLine
from tiger_slack_tui.console.panes.navigation import (
    move_down,
    move_to_first,
    move_to_last,
    move_up,
    page_down,
    page_up,
)
from tiger_slack_tui.console.panes.paint import DIM, KEY, StyledText, as_is, folded, line, worded
from tiger_slack_tui.console.panes.pane import Body, Pane

log = logging.getLogger(__name__)

_UNSCROLLED = 5
"""Lines of details that a small terminal shows without scrolling."""
_DETAILS_WIDTH = 68
"""Cells of a line of details, in a terminal of 80 columns or more."""
_Answer = TypeVar("_Answer")
MakeLines = Callable[[int], Iterable[Content]]
"""Makes the lines of a text for a terminal of this width. A thread calls it, because a text can be long."""


class Dialog(ModalScreen[_Answer]):
    """A screen above the views. It is answered once."""

    class HelpAsked(Message):
        """The operator wants to know the keys of the dialog."""

        def __init__(self, dialog: Dialog[Any]) -> None:
            super().__init__()
            self.dialog = dialog

    LEAST_SIZE: ClassVar[tuple[int, int]] = (60, 15)
    """The least columns and rows in which it can be read and answered."""

    async def action_perform(self, action_id: str) -> None:
        """Do the action of a key."""
        await perform([self], action_id)

    def answer(self, result: _Answer | None = None) -> None:
        """Close the dialog. Does nothing if an earlier key has closed it: more keys can wait in its queue."""
        if self.is_current:
            self.dismiss(result)

    def leave(self) -> None:
        """Close the dialog because the terminal has become too small for it."""
        self.answer()

    @implements(HELP)
    def act_help(self) -> None:
        """Explain what is shown, and list its keys."""
        self.post_message(self.HelpAsked(self))

    @act_help.when
    def _can_ask_help(self) -> bool:
        return not isinstance(self.focused, Input)  # there its key is part of the text

    BINDINGS: ClassVar[list[BindingType]] = [*bindings([HELP])]


YES: Final = Action("question.yes", CONFIRM_KEY, "Yes", help="Do what was asked.", is_fixed=True)
NO: Final = Action(
    "question.no", "escape", "Cancel", "Esc", "Change nothing, and go back.", is_fixed=True
)
MARKED: Final = Action(
    "question.marked", "enter", "Marked answer", "Enter", "Give the marked answer.", is_fixed=True
)


class Confirm(Dialog[bool]):
    """Asks before something is changed. Enter gives the marked answer, which is "no" at first."""

    LEAST_SIZE = (20, 5)

    def __init__(
        self,
        question: str,
        details: Sequence[str],
        *,
        verb: str,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        """`verb` is what yes does. `keys` are the operator's, by the id of the action."""
        super().__init__()
        self._keys = keys or {}
        self._question = question
        self._details = details
        self._verb = verb
        self._is_yes = False
        """Whether Enter says yes."""

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(line((self._question, "bold")), id="question")
            with VerticalScroll(id="details", can_focus=False):
                yield Static(Content("\n").join(line(text) for text in self._details))
            yield Static(self._choice(), id="choice")
        yield KeysLine(id="keys")  # it covers the keys of the view, which do nothing now

    def on_resize(self, event: Resize) -> None:
        actions = [one.action for one in declared(type(self)).values()]
        named = [replace(one, title=self._verb) if one == YES else one for one in actions]
        self.query_one(KeysLine).show_keys(footer_line(named, self._keys, event.size.width))

    def _choice(self) -> Content:
        """The two answers. The pointer and the colours show which one Enter gives."""
        parts: list[StyledText] = []
        for is_yes, key, name in ((False, NO.key, NO.title), (True, YES.key, self._verb)):
            is_here = is_yes == self._is_yes
            style = "bold reverse" if is_here else ""
            parts += [("▸" if is_here else " ", KEY), (f" {name} ({key}) ", style), " "]
        rows = sum(len(worded(text, _DETAILS_WIDTH)) for text in self._details)
        more = "  ↑↓ scroll" if rows > _UNSCROLLED else ""
        return line(*parts, (more, DIM))

    async def on_key(self, event: Key) -> None:
        # Not bindings: those apply to the screen that is shown when a key's turn comes. Two quick keys answer once.
        fixed = (action for action in self.ACTIONS if action.is_fixed)
        if (action_id := pressed(fixed, event.key, {})) is not None:
            event.stop()
            await perform([self], action_id)

    @implements(MARKED)
    def act_marked(self) -> None:
        self.answer(self._is_yes)

    @implements(YES)
    def act_yes(self) -> None:
        self.answer(True)

    @implements(NO)
    def act_no(self) -> None:
        self.answer(False)

    @action("question.other", "tab,shift+tab,left,right", "Other answer", shown="Tab")
    def act_other(self) -> None:
        """Move between the two answers. Enter gives the marked one."""
        self._is_yes = not self._is_yes
        self.query_one("#choice", Static).update(self._choice())

    @action("question.down", "down", "Scroll down", shown="↓", footer=False)
    def act_down(self) -> None:
        """Scroll the details down."""
        self._scroll(1)

    @action("question.up", "up", "Scroll up", shown="↑", footer=False)
    def act_up(self) -> None:
        """Scroll the details up."""
        self._scroll(-1)

    @action("question.page_down", "pagedown", "Page down", shown="PgDn", footer=False)
    def act_page_down(self) -> None:
        """Scroll the details down by a page."""
        self._scroll(5)

    @action("question.page_up", "pageup", "Page up", shown="PgUp", footer=False)
    def act_page_up(self) -> None:
        """Scroll the details up by a page."""
        self._scroll(-5)

    def _scroll(self, rows: int) -> None:
        self.query_one("#details", VerticalScroll).scroll_relative(y=rows, animate=False)

    ACTIONS: ClassVar[tuple[Action, ...]] = tuple(actions_in(vars()))
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(a for a in ACTIONS if not a.is_fixed)]


class ConfirmQuit(Confirm):
    """The question before the program ends. The key that asks it says yes, too."""

    def __init__(
        self,
        question: str,
        details: Sequence[str],
        *,
        verb: str,
        quit_keys: Sequence[str],
        keys: Mapping[str, str] | None = None,
    ) -> None:
        """`quit_keys` are those that ask the question."""
        super().__init__(question, details, verb=verb, keys=keys)
        self._quit_keys = quit_keys

    async def on_key(self, event: Key) -> None:
        if event.key in self._quit_keys:
            event.stop()
            self.act_yes()
        else:
            await super().on_key(event)


class Document(Dialog[None]):
    """A text of many lines, to read and to copy."""

    class Copied(Message):
        """The text is to be put into the clipboard."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(
        self,
        title: str,
        make_lines: MakeLines,
        *,
        copied: str | None = None,
        keys: Mapping[str, str] | None = None,
        is_help: bool = False,
    ) -> None:
        """`copied` is the text to copy instead of the lines. `keys` are the operator's, by the id of the action.

        A text that `is_help` is closed by the key that asks for help.
        """
        super().__init__()
        self._title = title
        self._make_lines = make_lines
        self._rows: Sequence[Content] = ()
        self._copied = copied
        self._keys = keys or {}
        self._is_help = is_help

    def compose(self) -> ComposeResult:
        yield Pane[Content](as_is, id="document")
        yield KeysLine(id="keys")

    def on_mount(self) -> None:
        self.pane.show(Body(title=self._title))
        self.pane.focus()

    def on_resize(self, event: Resize) -> None:
        width = event.size.width
        actions = [one.action for one in declared(type(self)).values()]
        self.query_one(KeysLine).show_keys(footer_line(actions, self._keys, width))
        run_latest(self, "lines", partial(self._show_lines, width))

    async def _show_lines(self, width: int) -> None:
        """Show the lines; those that are too long are folded."""

        def make() -> list[Content]:
            return [row for shown in self._make_lines(width) for row in folded(shown, width)]

        try:
            rows = await asyncio.to_thread(make)
        except Exception as error:  # the rest of the console goes on
            log.error("a text could not be made", exc_info=error)
            rows = [Content(f"This text could not be made: {where(error)}.")]
        self._rows = rows
        self.pane.show(Body(rows=rows, title=self._title, note=amount(len(rows), "line")))

    @property
    def pane(self) -> Pane[Any]:
        return self.query_one("#document", Pane)

    @action("text.back", "escape,q,enter", "Back", shown="Esc")
    def act_back(self) -> None:
        """Close the text."""
        self.answer()

    @implements(HELP)
    def act_help(self) -> None:
        """Explain the keys of a text. In a help, close it."""
        if self._is_help:
            self.answer()
        else:
            self.post_message(self.HelpAsked(self))

    act_down = move_down.under("text.down", help="Scroll down.", footer=True)
    act_up = move_up.under("text.up", help="Scroll up.", footer=True)
    act_page_down = page_down.under("text.page_down", keys="pagedown,space")
    act_page_up = page_up.under("text.page_up")
    act_first = move_to_first.under("text.first", help="Go to the first line.")
    act_last = move_to_last.under("text.last", help="Go to the last line.")

    @action("text.copy", "y", "Copy")
    def act_copy(self) -> None:
        """Copy the text to the terminal's clipboard."""
        text = self._copied or "\n".join(row.plain.rstrip() for row in self._rows)
        self.post_message(self.Copied(text))

    ACTIONS: ClassVar[tuple[Action, ...]] = tuple(
        one for one in actions_in(vars()) if one.id != HELP.id
    )
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(ACTIONS)]
