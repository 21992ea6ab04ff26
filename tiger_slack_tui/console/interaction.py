"""The part of the app that speaks with the operator: messages, questions, texts, and work in the background."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from textual.content import Content
from textual.screen import Screen

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.console.driver.app import NonBlockingApp
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.model.read_errors import describe_error, unexpected
from tiger_slack_tui.console.panes.keys_line import KeysLine
from tiger_slack_tui.console.panes.paint import BAD, NOTE, folded, line
from tiger_slack_tui.console.screens.dialog import Confirm, Document, MakeLines

log = logging.getLogger(__name__)

T = TypeVar("T")

_SAID_SECONDS = 6.0
"""How long a message is shown."""
_MOST_LINES = 4
"""The most lines of a message."""
_SEVERITIES = {"information": ("·", "bold"), "warning": ("▲", NOTE), "error": ("✗", BAD)}


class InteractiveApp(NonBlockingApp):
    """An app that says and asks something."""

    backend: Backend
    keys_shown: Mapping[str, str]

    def copy(self, text: str) -> str:
        """Put the text into the terminal's clipboard. Returns what to tell the operator."""
        self.copy_to_clipboard(text)
        return f"Copied {amount(len(text), 'character')} to the terminal's clipboard"

    def say(self, text: str, *, severity: str = "information") -> None:
        """Show the text in the last line, or lines, for some seconds. A newer text replaces it."""
        symbol, style = _SEVERITIES[severity]
        lines = folded(line((f" {symbol} {' '.join(text.split())}", style)), self.size.width)
        if len(lines) > _MOST_LINES:
            lines = [*lines[: _MOST_LINES - 1], Content("…").stylize(style)]
        for screen in reversed(self.screen_stack):
            for keys_line in screen.query(KeysLine):
                keys_line.say(lines, _SAID_SECONDS)
                return

    def attempt(
        self, what: str, work: Awaitable[str | None], *, then: Callable[[], None] | None = None
    ) -> None:
        """Await the work in the background, then say its result or its error."""

        async def run() -> None:
            try:
                said = await work
            except TigerSlackError as error:
                self.say(f"{what}: {error}", severity="error")
            except Exception as error:  # an action that fails must not end the console
                log.error("%s failed", what, exc_info=unexpected(error))
                why = describe_error(error) if unexpected(error) is None else where(error)
                self.say(f"{what} failed: {why}", severity="error")
            else:
                if said:
                    self.say(said)
            if then:
                then()
            self.backend.monitor.refresh_now()

        self.run_worker(run(), exit_on_error=False)

    def ask(
        self,
        question: str,
        details: Iterable[str],
        *,
        verb: str,
        then: Callable[[], None],
    ) -> None:
        """Ask, and call `then` if the answer is yes. `verb` is what yes does."""
        self.push_question(Confirm(question, list(details), verb=verb, keys=self.keys_shown), then)

    def push_question(self, dialog: Confirm, then: Callable[[], None]) -> None:
        """Show the question, and call `then` if the answer is yes."""

        def answered(yes: bool | None) -> None:
            if yes:
                then()

        self.push_screen(dialog, answered)

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
        """Ask. If the answer is yes, await `work` in the background, then say its result or its error."""
        self.ask(question, details, verb=verb, then=lambda: self.attempt(what, work(), then=then))

    def open_screen(self, screen: Screen[T], on_left: Callable[[T | None], None]) -> None:
        """Show a screen above the views."""
        self.push_screen(screen, on_left)

    def read(
        self,
        title: str,
        make_lines: MakeLines,
        *,
        copied: str | None = None,
        is_help: bool = False,
    ) -> None:
        """Show a long text."""
        keys = self.keys_shown
        self.push_screen(Document(title, make_lines, copied=copied, keys=keys, is_help=is_help))

    def on_document_copied(self, event: Document.Copied) -> None:
        self.say(self.copy(event.text))
