"""The last line of a screen: the keys, or for some seconds a message."""

from __future__ import annotations

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static


class KeysLine(Static):
    """Shows keys. A message takes their place for some seconds, so that it never covers data."""

    def __init__(self, keys: Content | None = None, *, id: str) -> None:  # noqa: A002 as Textual names it
        super().__init__(id=id)
        self._keys = keys or Content("")
        self._message: Content | None = None
        self._timer: Timer | None = None

    def on_mount(self) -> None:
        self._show()

    def show_keys(self, keys: Content) -> None:
        """Show these keys, as soon as there is no message."""
        self._keys = keys
        self._show()

    def say(self, message: Content, seconds: float) -> None:
        """Show one line of text for some seconds. It replaces an earlier one."""
        if self._timer is not None:
            self._timer.stop()
        self._message = message
        self._timer = self.set_timer(seconds, self._end_message)
        self._show()

    def _end_message(self) -> None:
        self._message = None
        self._show()

    def _show(self) -> None:
        shown = self._keys if self._message is None else self._message
        if self.content != shown:
            self.update(shown, layout=False)
