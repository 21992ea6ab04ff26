"""The last line of a screen: the keys, or for some seconds a message, which can take several lines."""

from __future__ import annotations

from collections.abc import Sequence

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

    def say(self, lines: Sequence[Content], seconds: float) -> None:
        """Show these lines for some seconds. They replace earlier ones, and take their room from the views."""
        if self._timer is not None:
            self._timer.stop()
        self._message = Content("\n").join(lines)
        self.styles.height = len(lines)
        self._timer = self.set_timer(seconds, self._end_message)
        self._show()

    def _end_message(self) -> None:
        self._message = None
        self.styles.height = 1
        self._show()

    def _show(self) -> None:
        shown = self._keys if self._message is None else self._message
        if self.content != shown:
            self.update(shown, layout=False)
