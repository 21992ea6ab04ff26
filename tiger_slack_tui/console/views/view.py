"""What every view is: panes, how they are filled, and what can be done with any pane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.containers import Container
from textual.reactive import var
from textual.widgets import ContentSwitcher

from tiger_slack_tui.console.actions import Action
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.export import write_export
from tiger_slack_tui.console.panes.pane import Pane

_FAR = 10_000_000
_COPIED = 5000
"""Rows that are copied at most: terminals take no more than so much into their clipboards."""


class Switcher(ContentSwitcher):
    """Shows one of its children."""

    BLANK = True


class View(Container):
    """A set of panes. What an action does is the method act_NAME of the view; of the app, where it has none."""

    BLANK = True  # nothing of its own is to be seen, and need not be painted line by line
    NAME: ClassVar[str]
    zoomed: var[Pane[Any] | None] = var(None)

    def __init__(self, host: Host, backend: Backend) -> None:
        super().__init__(id=self.NAME)
        self.host = host
        self.backend = backend

    def show(self, model: Model) -> None:
        """Fill the panes."""
        raise NotImplementedError

    def badge(self, model: Model) -> str:
        """What the view's tab says behind its name."""
        return ""

    def can(self, action: Action) -> bool:
        """Whether the action makes sense now; the footer shows only such."""
        return True

    def doer(self, method: str) -> object | None:
        """Which part of the view does an action; None where the app does."""
        return self if hasattr(self, method) else None

    def back(self) -> bool:
        """Go back by one step inside the view; False where there is none."""
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
        """Give the focus to the first pane, unless one has it."""
        if self.pane is None:
            for pane in self.panes():
                pane.focus()
                return

    def zoom(self, pane: Pane[Any] | None) -> None:
        """Give a pane all the room, or the others theirs again."""
        self.set_class(pane is not None, "-zoomed")
        for other in self.query(Pane):
            other.set_class(other is pane, "-zoom")
        self.zoomed = pane

    def step_back(self) -> bool:
        """Out of a filter, a zoom, a step; False where there was nothing to leave."""
        if self.pane and self.pane.filter_text:
            self.pane.filter_rows("")
        elif self.zoomed is not None:
            self.zoom(None)
        else:
            return self.back()
        return True

    def act_next(self) -> None:
        self.screen.focus_next(Pane)

    def act_down(self) -> None:
        self._move(1)

    def act_up(self) -> None:
        self._move(-1)

    def act_first(self) -> None:
        self._move(-_FAR)

    def _move(self, rows: int) -> None:
        if self.pane:
            self.pane.move(rows)

    def act_page_down(self) -> None:
        if self.pane:
            self.pane.page(1)

    def act_page_up(self) -> None:
        if self.pane:
            self.pane.page(-1)

    def act_last(self) -> None:
        if self.pane:
            self.pane.follow()

    def act_filter(self) -> None:
        if self.pane:
            self.host.open_filter(self.pane)

    def act_zoom(self) -> None:
        if self.pane:
            self.zoom(None if self.zoomed is not None else self.pane)

    def act_copy(self) -> None:
        if self.pane:
            self.host.attempt("Copy", self._copy(self.pane))

    def act_copy_all(self) -> None:
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

    def act_export(self) -> None:
        """Write what the pane holds to a file."""
        if self.pane is None:
            return
        self.host.attempt("Export", self._export(self.pane))

    async def _export(self, pane: Pane[Any]) -> str:
        place = self.backend.settings.home / "exports"
        return f"Written to {await write_export(place, str(pane.id), pane.export())}"
