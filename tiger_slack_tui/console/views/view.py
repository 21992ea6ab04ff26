"""The base class of all views, with the actions that every pane has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.containers import Container
from textual.reactive import var
from textual.widgets import ContentSwitcher

from tiger_slack_tui.console.actions import action
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.export import write_export
from tiger_slack_tui.console.panes.pane import FAR, Pane

_COPIED = 5000
"""The most rows that are copied: terminals limit the size of their clipboard."""


class Switcher(ContentSwitcher):
    """Shows one of its children."""

    BLANK = True


class View(Container):
    """A set of panes, and the actions that each of them has."""

    BLANK = True  # it shows only its children, so it need not be painted line by line
    NAME: ClassVar[str]
    PARTS: ClassVar[tuple[type, ...]] = ()
    """Classes of the view's parts that declare actions, too."""
    zoomed: var[Pane[Any] | None] = var(None)

    def __init__(self, host: Host, backend: Backend) -> None:
        super().__init__(id=self.NAME)
        self.host = host
        self.backend = backend

    def show(self, model: Model) -> None:
        """Fill the panes."""
        raise NotImplementedError

    def badge(self, model: Model) -> str:
        """The text behind the view's name in its tab."""
        return ""

    def action_owners(self) -> Iterator[Any]:
        """The objects that do the view's actions: first the part that is shown, then the view itself."""
        yield self

    def back(self) -> bool:
        """Go one step back inside the view. Returns False if there is none."""
        return False

    @property
    def pane(self) -> Pane[Any] | None:
        """The pane that has the focus."""
        focused = self.app.focused
        return focused if isinstance(focused, Pane) and self in focused.ancestors else None

    def panes(self) -> Iterator[Pane[Any]]:
        """The panes that can have the focus, in order."""
        return (pane for pane in self.query(Pane) if pane.display and pane.can_focus)

    def focus_first(self) -> None:
        """Give the focus to the first pane, unless one of the panes has it."""
        if self.pane is None:
            for pane in self.panes():
                pane.focus()
                return

    def zoom(self, pane: Pane[Any] | None) -> None:
        """Give a pane the whole view; None shows all panes again."""
        self.set_class(pane is not None, "-zoomed")
        for other in self.query(Pane):
            other.set_class(other is pane, "-zoom")
        self.zoomed = pane

    def step_back(self) -> bool:
        """Leave a filter, a zoom or a step. Returns False if there was none."""
        if self.pane and self.pane.filter_text:
            self.pane.filter_rows("")
        elif self.zoomed is not None:
            self.zoom(None)
        else:
            return self.back()
        return True

    @action("pane.next", "tab", "Pane", shown="Tab")
    def act_next(self) -> None:
        """Give the focus to the next pane."""
        self.screen.focus_next(Pane)

    @action("pane.down", "down,j", "Down", shown="↓ j", footer=False)
    def act_down(self) -> None:
        """Move the cursor down, or scroll."""
        self._move(1)

    @action("pane.up", "up,k", "Up", shown="↑ k", footer=False)
    def act_up(self) -> None:
        """Move the cursor up, or scroll."""
        self._move(-1)

    @action("pane.first", "g,home", "First", footer=False)
    def act_first(self) -> None:
        """Go to the first row."""
        self._move(-FAR)

    def _move(self, rows: int) -> None:
        if self.pane:
            self.pane.move(rows)

    @action("pane.page_down", "pagedown", "Page down", shown="PgDn", footer=False)
    def act_page_down(self) -> None:
        """Go down by a page."""
        if self.pane:
            self.pane.page(1)

    @action("pane.page_up", "pageup", "Page up", shown="PgUp", footer=False)
    def act_page_up(self) -> None:
        """Go up by a page."""
        if self.pane:
            self.pane.page(-1)

    @action("pane.last", "G,shift+g,end", "Last, and follow", footer=False)
    def act_last(self) -> None:
        """Go to the newest row, and follow new ones."""
        if self.pane:
            self.pane.follow()

    @action("pane.filter", "slash", "Filter", shown="/")
    def act_filter(self) -> None:
        """Show only the rows that contain a text."""
        if self.pane:
            self.host.open_filter(self.pane)

    @action("pane.zoom", "z", "Zoom", footer=False)
    def act_zoom(self) -> None:
        """Give the pane the whole view, or give the others their room back."""
        if self.pane:
            self.zoom(None if self.zoomed is not None else self.pane)

    @action("pane.copy", "y", "Copy", footer=False)
    def act_copy(self) -> None:
        """Copy the selected row to the terminal's clipboard."""
        if self.pane:
            self.host.attempt("Copy", self._copy(self.pane))

    @action("pane.copy_all", "Y,shift+y", "Copy the whole pane", footer=False)
    def act_copy_all(self) -> None:
        """Copy the pane to the terminal's clipboard."""
        if self.pane:
            self.host.attempt("Copy", self._copy_all(self.pane))

    async def _copy(self, pane: Pane[Any]) -> str:
        return self.host.copy(await pane.copy_text())

    async def _copy_all(self, pane: Pane[Any]) -> str:
        rows = pane.num_rows
        said = self.host.copy("\n".join([text async for text in pane.export(_COPIED)]))
        left = rows - _COPIED
        return (
            f"{said}: the first {_COPIED:,} of {rows:,} rows. e writes all." if left > 0 else said
        )

    @action("pane.export", "e", "Export the pane to a file", footer=False)
    def act_export(self) -> None:
        """Write the pane's rows to a file in the home directory."""
        if self.pane is None:
            return
        self.host.attempt("Export", self._export(self.pane))

    async def _export(self, pane: Pane[Any]) -> str:
        place = self.backend.settings.home / "exports"
        return f"Written to {await write_export(place, str(pane.id), pane.export())}"
