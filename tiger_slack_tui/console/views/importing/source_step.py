"""Step 1 of the wizard: which archive to import."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Input, Static

from tiger_slack_tui.base.sizes import byte_size
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.base.text import visible
from tiger_slack_tui.console.actions import ACCEPT, IMPORT, LEAVE, action, implements
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.monitor import IMPORTS
from tiger_slack_tui.console.panes.action_field import ActionField
from tiger_slack_tui.console.panes.paint import (
    DIM,
    KEY,
    MARKS,
    Column,
    Columns,
    as_is,
    folded,
    line,
)
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.views.importing.draft import ImportDraft
from tiger_slack_tui.console.views.importing.fields import PAST_FIELDS
from tiger_slack_tui.console.views.importing.past_imports import (
    PAST_IMPORTS,
    paint_past,
    past_lines,
)
from tiger_slack_tui.console.views.importing.paths import (
    PathEntry,
    PathInspection,
    complete,
    inspect_path,
)
from tiger_slack_tui.console.views.importing.step import CHECK_ARCHIVE, NEW_PATH, WizardStep
from tiger_slack_tui.console.views.importing.step_line import CHECK
from tiger_slack_tui.console.views.view import View
from tiger_slack_tui.store.past_imports import PastImport

log = logging.getLogger(__name__)

_ENTRIES = Columns(Column(""), Column("", 10, right=True))


class PathSuggester(Suggester):
    """Suggests the first path that begins with the typed text."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        found = await asyncio.to_thread(complete, value)
        # A path with control characters is not suggested: it cannot be shown as it would be typed.
        return found if found is not None and found == visible(found) else None


class PathField(ActionField):
    """The field for the path."""

    @action("import.complete", "tab", "Complete", shown="Tab")
    def act_complete(self) -> None:
        """Complete the path as far as all entries agree."""
        step = self.screen.query_one(SourceStep)
        completed = step.inspection.completed
        if step.inspection.text == self.value and len(completed) > len(self.value):
            self.value = completed
            self.cursor_position = len(completed)

    @implements(ACCEPT)
    async def act_accept(self) -> None:
        """Check the archive; the check writes nothing."""
        await self.action_submit()  # a message, which comes after those about the keys before

    @implements(LEAVE)
    def act_leave(self) -> None:
        """Go to the earlier imports."""
        self.screen.query_one(SourceStep).back()


class SourceStep(WizardStep):
    """Type a path, or take the path of an earlier import."""

    TITLE: ClassVar[str] = "Step 1, Source"

    def compose(self) -> ComposeResult:
        with Horizontal(id="source-path"):
            yield Static(line(("  path  ", DIM)), id="source-label")
            yield PathField(
                self.host.keys_shown,
                id="source-field",
                suggester=PathSuggester(),
                placeholder="press n, then type the path of the export: a folder, or its ZIP",
            )
        yield Static(id="source-verdict")
        yield Pane[PathEntry](
            _paint_entry, id="source-entries", key=lambda row: row.text, selectable=True
        )
        yield Pane[PastImport](
            paint_past,
            id="source-recent",
            key=lambda row: row.id,
            selectable=True,
            fields=PAST_FIELDS,
        )
        yield Pane[Content](as_is, id="source-about", can_focus=False)

    def on_mount(self) -> None:
        self.inspection = PathInspection("")
        self._is_inspecting = False
        self._is_check_wanted = False
        """Whether the check starts as soon as the path is inspected."""

    @property
    def field(self) -> PathField:
        return self.query_one(PathField)

    def focus_first(self) -> None:
        if self.field.value != self.wizard.draft.path:
            self.field.value = self.wizard.draft.path
        self.pane("source-recent").focus()

    def show(self, model: Model) -> None:
        database = model.database
        recent = self.pane("source-recent")
        width = recent.size.width
        recent.show(
            Body(
                rows=database.imports,
                title="imports",
                note="newest first",
                left_out=f"the newest {IMPORTS}" if len(database.imports) == IMPORTS else "",
                newest=0,
                head=PAST_IMPORTS.head,
                empty_text=(
                    *model.empty_text("imports", "There are no imports yet."),
                    "Press n to type the path of an export.",
                ),
                is_old=model.is_old("imports"),
                problem=model.database_problem_text or model.error_of("imports"),
            )
        )
        about = self.pane("source-about")
        chosen = recent.row
        self.set_class(chosen is None, "-empty")
        about.show(
            Body(
                rows=past_lines(chosen, about.size.width or width),
                title=f"import {chosen.id}" if chosen else "import",
            )
        )
        typing = self.field.has_focus or self.pane("source-entries").has_focus
        self.set_class(typing, "-typing")
        self.pane("source-entries").show(
            Body(
                rows=self.inspection.entries,
                title="completions",
                note="Tab completes · ↓ selects",
                empty_text=("No path begins like this." if self.field.value else "Type a path.",),
            )
        )
        self._show_verdict()

    def _show_verdict(self) -> None:
        text = self.field.value
        verdict = self.query_one("#source-verdict", Static)
        if not text.strip():
            shown = line(("        Nothing is written before step 4.", DIM))
        elif self.inspection.text != text:
            shown = line(("        Reading …", DIM))
        else:
            symbol, style = MARKS[self.inspection.state]
            is_whole = text.startswith("/") or self.inspection.path is None
            where = "" if is_whole else f"   {self.inspection.path}"
            shown = line("        ", (f"{symbol} {self.inspection.verdict}", style), (where, DIM))
        shown = Content("\n").join(folded(shown, max(self.size.width, 20)))
        if verdict.content != shown:
            verdict.update(shown)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self.wizard.draft.path:  # the options were chosen for another archive
            self.wizard.draft = ImportDraft(event.value, workers=self.wizard.draft.workers)
        self._is_check_wanted = False
        self._show_verdict()
        self.run_worker(self._inspect(), exit_on_error=False)

    async def _inspect(self) -> None:
        """Inspect the newest text. Only one thread at a time: a disk may not answer."""
        if self._is_inspecting:
            return
        self._is_inspecting = True
        try:
            while self.inspection.text != (text := self.field.value):
                try:
                    self.inspection = await asyncio.to_thread(inspect_path, text)
                except Exception as error:
                    log.error("a path cannot be inspected", exc_info=error)
                    self.inspection = PathInspection(
                        text, "bad", f"This cannot be read: {where(error)}"
                    )
        finally:
            self._is_inspecting = False
        self._take_target()
        if self.wizard.model is not None:
            self.show(self.wizard.model)
        if self._is_check_wanted and self.display and self.host.view_name == IMPORT:
            self.act_check()

    def _take_target(self) -> None:
        """Keep the absolute path of the draft's path."""
        if self.inspection.text == self.wizard.draft.path:
            self.wizard.draft.target = self.inspection.path

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.act_check()

    @action("import.take", "enter", "Take path", shown="Enter")
    def act_take(self) -> None:
        """Take the path of the selected row."""
        entries: Pane[PathEntry] = self.pane("source-entries")
        if entries.has_focus:
            if entries.row is not None:
                self.field.value = entries.row.text
                self.field.cursor_position = len(entries.row.text)
                self.field.focus()
            return
        past: PastImport | None = self.pane("source-recent").row
        if past is not None:
            self.wizard.draft.copy_from(past)
            self.field.value = past.source
            self._take_target()
            if not self.wizard.sources.read_only:
                self.host.say("The path is set. c checks the archive; the check writes nothing.")

    @act_take.when
    def _has_row(self) -> bool:
        return self.pane("source-recent").row is not None

    @implements(CHECK_ARCHIVE)
    def act_check(self) -> None:
        """Check the archive, once its path is inspected; the check writes nothing."""
        if self.wizard.sources.read_only or not self.field.value.strip():
            return
        self._is_check_wanted = self.inspection.text != self.field.value
        if self._is_check_wanted:
            return
        if not self.inspection.is_good:
            self.host.say(self.inspection.verdict, severity="error")
            return
        if self.wizard.start_check():
            self.host.thaw()
            self.wizard.go(CHECK)

    @act_check.when
    def _can_check(self) -> bool:
        return not self.wizard.sources.read_only and bool(self.field.value.strip())

    @implements(NEW_PATH)
    def act_path(self) -> None:
        """Type a path. The first key replaces the old one."""
        self.field.focus()
        self.field.select_all()

    @act_path.when
    def _can_change(self) -> bool:
        return not self.wizard.sources.read_only

    @implements(View.act_down.action)
    def act_down(self) -> None:
        """Move into the list, or down in it."""
        if self.field.has_focus:
            self.pane("source-entries").focus()
        elif (pane := self.host.focused_pane) is not None:
            pane.move(1)

    def back(self) -> bool:
        if self.field.has_focus or self.pane("source-entries").has_focus:
            self._is_check_wanted = False
            self.pane("source-recent").focus()
            return True
        return False


def _paint_entry(row: PathEntry, width: int) -> Content:
    size = "" if row.is_folder else byte_size(row.size)
    return _ENTRIES.row(width, [(row.text, KEY) if row.is_folder else row.text, (size, DIM)])
