"""The fields below a pane: the text that its rows must contain, and the file that it is written to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textual.widgets import Input

from tiger_slack_tui.console.actions import ACCEPT, LEAVE, implements
from tiger_slack_tui.console.panes.action_field import ActionField
from tiger_slack_tui.console.panes.pane import Pane


class PaneField(ActionField):
    """Shown while the operator types something for a pane."""

    def __init__(
        self,
        keys: Mapping[str, str],
        on_pane_hidden: Callable[[], None],
        *,
        id: str,  # noqa: A002 as Textual names it
        placeholder: str = "",
    ) -> None:
        """`on_pane_hidden` is called when the field closes and its pane cannot get the focus back."""
        super().__init__(keys, id=id, placeholder=placeholder)
        self._on_pane_hidden = on_pane_hidden
        self._pane: Pane[Any] | None = None

    def close_if_pane_is_hidden(self) -> None:
        """Drop the text and close, if the pane is no longer shown: an import that ends changes what is shown."""
        if self.display and self._pane is not None and not self._pane.is_in_sight:
            self.drop(self._pane)
            self._close()

    def accept(self, pane: Pane[Any], text: str) -> None:
        """Do what the text is for."""

    def drop(self, pane: Pane[Any]) -> None:
        """Undo what was done while the operator typed."""

    @implements(ACCEPT)
    def act_accept(self) -> None:
        """Accept the text, and return to the pane."""
        self._close()
        if self._pane is not None:
            self.accept(self._pane, self.value)

    @implements(LEAVE)
    def act_leave(self) -> None:
        """Return to the pane. A filter is removed."""
        if self._pane is not None:
            self.drop(self._pane)
            self._close()

    def _open(self, pane: Pane[Any], text: str) -> None:
        self._pane = pane
        self.value = text
        self.cursor_position = len(text)  # which also ends a selection
        self.display = True
        self.focus()

    def _close(self) -> None:
        self.display = False
        if self._pane is not None and self._pane.is_in_sight and self._pane.can_focus:
            self._pane.focus()
        else:
            self._on_pane_hidden()


class FilterField(PaneField):
    """The text that a pane's rows must contain. It applies while it is typed. Escape removes it."""

    def __init__(self, keys: Mapping[str, str], on_pane_hidden: Callable[[], None]) -> None:
        super().__init__(
            keys, on_pane_hidden, id="filter", placeholder="text, or !text for rows without it"
        )

    def open(self, pane: Pane[Any]) -> None:
        """Let the operator type the filter of the pane."""
        self._open(pane, pane.filter_text)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display and self._pane is not None:
            self._pane.filter_rows(event.value)

    def accept(self, pane: Pane[Any], text: str) -> None:
        pane.filter_rows(text)  # the message about the last key may come after Enter

    def drop(self, pane: Pane[Any]) -> None:
        pane.filter_rows("")


class ExportField(PaneField):
    """The file that a pane is written to. The first key replaces the proposal; an arrow keeps it."""

    hint = "The file ends in .txt, .csv or .json."

    def __init__(self, keys: Mapping[str, str], on_pane_hidden: Callable[[], None]) -> None:
        super().__init__(keys, on_pane_hidden, id="export")
        self._on_chosen: Callable[[Path], None] = lambda _: None

    def open(self, pane: Pane[Any], proposed: Path, on_chosen: Callable[[Path], None]) -> None:
        """Let the operator type the path. `on_chosen` gets it."""
        self._on_chosen = on_chosen
        self._open(pane, str(proposed))
        self.select_all()

    def accept(self, pane: Pane[Any], text: str) -> None:
        if text.strip():
            self._on_chosen(Path(text.strip()))
