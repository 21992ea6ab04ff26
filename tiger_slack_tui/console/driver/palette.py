"""Textual's command palette with a repair, and a last line of its own."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.command import CommandList, CommandPalette
from textual.widget import Widget


class Palette(CommandPalette):
    """The command palette. Textual's fails when a key moves the cursor before its list has a size."""

    def __init__(self, last_line: Widget, *, id: str) -> None:  # noqa: A002 as Textual names it
        """`last_line` covers the keys of the view, which are letters of the search now."""
        super().__init__(id=id)
        self._last_line = last_line

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield self._last_line

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region.height:
            super()._action_command_list(action)
