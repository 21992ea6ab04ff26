"""The actions that move in a pane. The views, long texts and the screen of the rules have them as theirs."""

from __future__ import annotations

from typing import Any, Protocol

from tiger_slack_tui.console.actions import action
from tiger_slack_tui.console.panes.pane import FAR, Pane


class HasPane(Protocol):
    """A view or a screen."""

    @property
    def pane(self) -> Pane[Any] | None:
        """The pane that moves; None if none has the focus."""


@action("pane.down", "down,j", "Down", shown="↓ j", footer=False)
def move_down(owner: HasPane) -> None:
    """Move the cursor down, or scroll."""
    if owner.pane:
        owner.pane.move(1)


@action("pane.up", "up,k", "Up", shown="↑ k", footer=False)
def move_up(owner: HasPane) -> None:
    """Move the cursor up, or scroll."""
    if owner.pane:
        owner.pane.move(-1)


@action("pane.first", "g,home", "First", footer=False)
def move_to_first(owner: HasPane) -> None:
    """Go to the first row. A list with its newest row there follows it again."""
    if owner.pane:
        owner.pane.move(-FAR)


@action("pane.page_down", "pagedown", "Page down", shown="PgDn", footer=False)
def page_down(owner: HasPane) -> None:
    """Go down by a page."""
    if owner.pane:
        owner.pane.page(1)


@action("pane.page_up", "pageup", "Page up", shown="PgUp", footer=False)
def page_up(owner: HasPane) -> None:
    """Go up by a page."""
    if owner.pane:
        owner.pane.page(-1)


@action("pane.last", "G,shift+g,end", "Last", footer=False)
def move_to_last(owner: HasPane) -> None:
    """Go to the last row. A list with its newest row there follows it again."""
    if owner.pane:
        owner.pane.to_end()
