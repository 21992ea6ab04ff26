"""The part of the app that replaces Textual's own methods: how keys come, frames are written, and a crash ends."""

from __future__ import annotations

import logging
from typing import Any

from textual import events
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.screen import Screen

from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.console.driver.frame import Frame
from tiger_slack_tui.console.driver.key_order import KeyHandled, KeyOrder, Typed
from tiger_slack_tui.console.driver.style_sheet import CachingStylesheet
from tiger_slack_tui.console.driver.terminal import NonBlockingDriver

log = logging.getLogger(__name__)


class NonBlockingApp(App[None]):
    """An app that never waits for its terminal: it leaves frames out while the terminal is behind.

    `crash` says where an error ended the screen; it is None otherwise.
    """

    def __init__(self, *, is_ascii: bool) -> None:
        """With `is_ascii`, nothing but ASCII is written to the terminal."""
        super().__init__(driver_class=NonBlockingDriver)
        self.stylesheet = CachingStylesheet(variables=self.get_css_variables())
        self.crash: str | None = None
        self._frame = Frame(is_ascii=is_ascii)
        self._key_order = KeyOrder(self, super().on_event)

    async def on_event(self, event: events.Event) -> None:
        """Handle an event; a key or a pasted text after all that came before it."""
        if isinstance(event, Typed) and not event.is_forwarded:
            await self._key_order.take(event)
        else:
            await super().on_event(event)

    def on_key_handled(self, message: KeyHandled) -> None:
        """A key has reached everything that it concerns."""
        self._key_order.handled(message)

    def terminal_lost(self) -> None:
        """Called when the terminal is gone."""
        self.exit()

    def redraw(self) -> None:
        """Write the whole screen with the next frame."""
        self._frame.forget()

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        """Write what changed on the screen. If the terminal is behind, the next frame does."""
        driver = self._driver
        if not isinstance(driver, NonBlockingDriver):
            super()._display(screen, renderable)
            return
        if not isinstance(renderable, CompositorUpdate) or not self._running or self._closed:
            return
        self._frame.update(renderable, self.screen._compositor)
        if self._batch_count:
            return
        changes = self._frame.changes(self.console)
        if not changes:
            return
        cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
        begin, end = ("\x1b[?2026h", "\x1b[?2026l") if self._sync_available else ("", "")
        if driver.offer(f"{begin}{changes}\x1b[{cursor.y + 1};{cursor.x + 1}H{end}"):
            self._frame.mark_written()

    def _handle_exception(self, error: Exception) -> None:
        # Textual would print a traceback with the local variables, which can hold tokens and what people wrote.
        self.crash = where(error)
        log.error("the console crashed", exc_info=error)
        if self.is_headless:  # a test wants to see it
            super()._handle_exception(error)
            return
        self._return_code = 1
        self._close_messages_no_wait()
