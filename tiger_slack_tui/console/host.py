"""What the views and screens need of the app that shows them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from textual.content import Content
from textual.screen import Screen

from tiger_slack_tui.audit.reference import MessageReference
from tiger_slack_tui.console.actions import Action
from tiger_slack_tui.console.operator import Operator
from tiger_slack_tui.console.panes.pane import Pane

T = TypeVar("T")


@runtime_checkable
class Host(Protocol):
    """The app, as its views see it. None of its methods blocks."""

    operator: Operator
    """What the person can change."""
    keys_shown: Mapping[str, str]
    """The keys that the operator chose, by the id of their action."""

    @property
    def view_name(self) -> str:
        """The name of the view that is shown."""

    @property
    def focused_pane(self) -> Pane[Any] | None:
        """The pane of the shown view that has the focus."""

    def offered(self) -> list[Action]:
        """The actions that can be done in the shown view."""

    def offered_elsewhere(self) -> list[Action]:
        """The actions of the other views."""

    async def go_to(self, name: str) -> None:
        """Show another view."""

    async def show_message(self, message: MessageReference) -> None:
        """Show what was said around a message, in the view Messages."""

    async def show_events(self, text: str) -> None:
        """Show the events that pass these filters, in the view Events."""

    def say(self, text: str, *, severity: str = "information") -> None:
        """Show the text for a few seconds. `severity` is information, warning or error."""

    def copy(self, text: str) -> str:
        """Put the text into the terminal's clipboard. Returns what to tell the operator."""

    def attempt(
        self, what: str, work: Awaitable[str | None], *, then: Callable[[], None] | None = None
    ) -> None:
        """Await the work in the background, and say its result or its error. `then` is called after either."""

    def ask(
        self,
        question: str,
        details: Iterable[str],
        *,
        verb: str,
        then: Callable[[], None],
    ) -> None:
        """Ask the operator, and call `then` if the answer is yes. `verb` is what yes does."""

    def confirm_and_run(
        self,
        question: str,
        details: Iterable[str],
        *,
        verb: str,
        what: str,
        work: Callable[[], Awaitable[str | None]],
        then: Callable[[], None] | None = None,
    ) -> None:
        """Ask the operator. If the answer is yes, await `work` in the background as `attempt` does."""

    def open_screen(self, screen: Screen[T], on_left: Callable[[T | None], None]) -> None:
        """Show a screen above the views. `on_left` gets its result when it is left."""

    def read(
        self,
        title: str,
        make_lines: Callable[[int], Iterable[Content]],
        *,
        copied: str | None = None,
    ) -> None:
        """Show a long text until the operator leaves it. `copied` is the text to copy instead of the lines.

        A thread calls `make_lines` with the width of the terminal, whenever that changes.
        """

    def choose_file(
        self, pane: Pane[Any], proposed: Path, on_chosen: Callable[[Path], None]
    ) -> None:
        """Let the operator type the path of the file for a pane."""

    def open_filter(self, pane: Pane[Any]) -> None:
        """Let the operator type the text that the pane's rows must contain."""

    def thaw(self) -> None:
        """Leave the frozen display: show the present again, at once."""
