"""The base class of all views, with the actions that every pane has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from textual.containers import Container
from textual.reactive import var
from textual.widgets import ContentSwitcher

from tiger_slack_tui.base.text import amount
from tiger_slack_tui.console.actions import action
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.sources import ViewSources
from tiger_slack_tui.console.panes.export import MOST_READ, FileRefused, proposed_path, write_rows
from tiger_slack_tui.console.panes.navigation import (
    move_down,
    move_to_first,
    move_to_last,
    move_up,
    page_down,
    page_up,
)
from tiger_slack_tui.console.panes.pane import Pane

_NOTHING = "There is nothing to copy"


class Switcher(ContentSwitcher):
    """Shows one of its children."""

    BLANK = True


class ViewPart(Container):
    """A part of a view that declares actions of its own."""

    BLANK = True
    TITLE: ClassVar[str]
    """Its title in the help."""


class View(Container):
    """A set of panes, and the actions that each of them has."""

    BLANK = True  # it shows only its children, so it need not be painted line by line
    NAME: ClassVar[str]
    PARTS: ClassVar[tuple[type[ViewPart], ...]] = ()
    """Classes of the view's parts that declare actions, too."""
    zoomed: var[Pane[Any] | None] = var(None)

    def __init__(self, host: Host, sources: ViewSources) -> None:
        super().__init__(id=self.NAME)
        self.host = host
        self.sources = sources

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
        elif (other := next((one for one in self.panes() if one.filter_text), None)) is not None:
            other.filter_rows("")
        else:
            return self.back()
        return True

    @action("pane.next", "tab", "Pane", shown="Tab")
    def act_next(self) -> None:
        """Give the focus to the next pane."""
        self.screen.focus_next(Pane)

    act_down = move_down
    act_up = move_up
    act_first = move_to_first
    act_page_down = page_down
    act_page_up = page_up
    act_last = move_to_last

    @action("pane.filter", "slash", "Filter", shown="/")
    def act_filter(self) -> None:
        """Show only the rows that contain a text."""
        if self.pane:
            self.host.open_filter(self.pane)

    @action("pane.sort", "s", "Sort by column", footer=False)
    def act_sort(self) -> None:
        """Sort by the next column; after the last one, return to the list's own order."""
        if self.pane:
            self.pane.sort_by_next()

    @act_sort.when
    def _can_sort(self) -> bool:
        return self.pane is not None and self.pane.can_sort

    @action("pane.reverse", "S,shift+s", "Reverse order", footer=False)
    def act_reverse(self) -> None:
        """Reverse the order of the sorted rows. This changes only what is shown."""
        if self.pane:
            self.pane.reverse()

    @act_reverse.when
    def _is_sorted(self) -> bool:
        return self.pane is not None and self.pane.is_sorted

    @action("pane.zoom", "z", "Zoom", footer=False)
    def act_zoom(self) -> None:
        """Give the pane the whole view, or end that."""
        if self.pane:
            self.zoom(None if self.zoomed is not None else self.pane)

    @action("pane.copy", "y", "Copy", footer=False)
    def act_copy(self) -> None:
        """Copy the row; in lists of events the event's id, of messages the link."""
        if self.pane:
            self.host.attempt("Copy", self._copy(self.pane))

    @action("pane.copy_all", "Y,shift+y", "Copy the pane", footer=False)
    def act_copy_all(self) -> None:
        """Copy all rows to the terminal's clipboard."""
        if self.pane:
            self.host.attempt("Copy", self._copy_all(self.pane))

    async def _copy(self, pane: Pane[Any]) -> str:
        if not pane.rows:
            return _NOTHING
        text, is_name = await pane.copy_text(), pane.copies_name
        said = self.host.copy(text)
        return f"Copied to the terminal's clipboard: {text}" if is_name else said

    async def _copy_all(self, pane: Pane[Any]) -> str:
        found = await pane.copy_rows(self._say_read)
        if not found.number:
            return _NOTHING
        self.host.copy(found.text)
        rows = _rows_in_words(found.number, found.is_whole, pane.body.left_out)
        return f"Copied {rows} to the terminal's clipboard{'' if found.is_whole else '. e writes more.'}"

    def _say_read(self, number: int) -> None:
        self.host.say(f"Reading … {number:,} rows so far")

    @action("pane.export", "e", "Export the pane", footer=False)
    def act_export(self) -> None:
        """Write all rows of the pane to a file: text, or CSV or JSON by its suffix."""
        if self.pane is not None:
            path = proposed_path(str(self.pane.id), self.sources.settings.home)
            self._choose_file(self.pane, path)

    def _choose_file(self, pane: Pane[Any], path: Path) -> None:
        self.host.choose_file(
            pane, path, lambda path: self.host.attempt("Export", self._export(pane, path))
        )

    async def _export(self, pane: Pane[Any], path: Path) -> str:
        left_out = pane.body.left_out
        try:
            written, found = await write_rows(
                path, pane, lambda: pane.all_rows(MOST_READ, self._say_read)
            )
        except FileRefused:
            if self.pane is pane:  # so that the operator can type another name
                self._choose_file(pane, path)
            raise
        rows = _rows_in_words(len(found.rows), found.is_whole, left_out)
        return f"Wrote {rows} to {written}"


def _rows_in_words(number: int, is_whole: bool, left_out: str) -> str:
    rows = amount(number, "row") if is_whole else f"the first {number:,} rows, not all"
    return f"{rows} ({left_out})" if left_out else rows
