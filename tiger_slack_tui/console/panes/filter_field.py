"""The field for the text that a pane's rows must contain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.events import Key
from textual.widgets import Input

from tiger_slack_tui.console.panes.pane import Pane


class FilterField(Input):
    """Shown while the operator types. Enter keeps the filter; Escape removes it."""

    def __init__(self, on_pane_hidden: Callable[[], None]) -> None:
        """`on_pane_hidden` is called when the field closes and its pane cannot get the focus back."""
        super().__init__(
            id="filter", compact=True, placeholder="text, or !text for rows without it"
        )
        self._on_pane_hidden = on_pane_hidden
        self._pane: Pane[Any] | None = None

    def open(self, pane: Pane[Any]) -> None:
        """Let the operator type the filter of the pane."""
        self.value = pane.filter_text
        self._pane = pane
        self.display = True
        self.focus()

    def close_if_pane_is_hidden(self) -> None:
        """Remove the filter and close, if the pane is no longer shown: an import that ends changes what is shown."""
        if self.display and self._pane is not None and not self._pane.is_in_sight:
            self._pane.filter_rows("")
            self._close()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display and self._pane is not None:
            self._pane.filter_rows(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close()

    def on_key(self, event: Key) -> None:
        if event.key == "escape" and self._pane is not None:
            event.stop()
            event.prevent_default()
            self._pane.filter_rows("")
            self._close()

    def _close(self) -> None:
        self.display = False
        if self._pane is not None and self._pane.is_in_sight:
            self._pane.focus()
        else:
            self._on_pane_hidden()
