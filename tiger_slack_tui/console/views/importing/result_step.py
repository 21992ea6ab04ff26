"""Step 5 of the wizard: the account of an import that has ended."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.content import Content

from tiger_slack_tui.console.actions import action, implements
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.cached_value import CachedValue
from tiger_slack_tui.console.panes.paint import as_is
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.views.importing.check_findings import (
    PROBLEMS,
    failure_lines,
    paint_problem,
    search_text,
)
from tiger_slack_tui.console.views.importing.fields import FOLDER_FIELDS, PROBLEM_FIELDS
from tiger_slack_tui.console.views.importing.lines import (
    FOLDERS,
    folder_search_text,
    paint_folder,
    result_lines,
)
from tiger_slack_tui.console.views.importing.run_step import file_lines, folder_lines, problem_lines
from tiger_slack_tui.console.views.importing.step import NEW_PATH, SHOW_DETAILS, WizardStep
from tiger_slack_tui.console.views.importing.step_line import RUN, SOURCE
from tiger_slack_tui.imports.ledger import FolderProgress
from tiger_slack_tui.imports.state import ImportState, Phase
from tiger_slack_tui.store.import_account import ImportProblem


class ResultStep(WizardStep):
    """Shows what became of every message. R continues a stopped import, or reads bad files again."""

    TITLE: ClassVar[str] = "Step 5, Result"

    def compose(self) -> ComposeResult:
        yield Pane[Content](as_is, id="result-total", can_focus=False)
        yield Pane[ImportProblem](
            paint_problem,
            id="result-bad",
            key=lambda row: (row.path, row.position, row.reason),
            selectable=True,
            find=search_text,
            fields=PROBLEM_FIELDS,
        )
        yield Pane[FolderProgress](
            paint_folder,
            id="result-channels",
            key=lambda row: row.name,
            selectable=True,
            find=folder_search_text,
            fields=FOLDER_FIELDS,
        )

    def on_mount(self) -> None:
        self._rows: CachedValue[list[ImportProblem]] = CachedValue()
        self._folders: CachedValue[list[FolderProgress]] = CachedValue()

    @property
    def _state(self) -> ImportState | None:
        return self.wizard.import_state

    def show(self, model: Model) -> None:
        state = model.import_state
        if state is None:
            return
        total = self.pane("result-total")
        total.show(
            Body(
                rows=result_lines(state, total.size.width), title=f"import of {state.request.path}"
            )
        )
        kept = len(state.problems)
        left_out = ""
        if kept < state.ledger.problems:
            left_out = f"newest {kept:,} of {state.ledger.problems:,}; the report has all"
        self.pane("result-bad").show(
            Body(
                rows=self._rows(
                    lambda: list(state.problems), state.request, state.ledger.problems, kept
                ),
                title="bad records and files",
                note=left_out or f"{state.ledger.problems:,}",
                left_out=left_out,
                head=PROBLEMS.head,
                empty_text=_empty(state, self.pane("result-bad").size.width),
            )
        )
        self.pane("result-channels").show(
            Body(
                rows=self._folders(lambda: list(state.folders.values()), state.folders),
                title="channels",
                note=f"{len(state.folders):,}",
                head=FOLDERS.head,
            )
        )

    @implements(SHOW_DETAILS)
    def act_details(self) -> None:
        """Show the selected row in full."""
        pane, state = self.host.focused_pane, self._state
        if pane is None or state is None:
            return
        if isinstance(pane.row, FolderProgress):
            self.host.read(f"channel {pane.row.name}", folder_lines(pane.row))
        elif isinstance(pane.row, ImportProblem):
            path = pane.row.path
            planned = state.planned(path)
            if planned is not None:
                self.host.read(path, file_lines(state, planned))
            else:
                self.host.read(path, partial(problem_lines, pane.row))

    @act_details.when
    def _has_details(self) -> bool:
        pane = self.host.focused_pane
        return pane is not None and pane.row is not None

    @action("import.files", "f", "Files")
    def act_files(self) -> None:
        """Show every file."""
        self.wizard.go(RUN)

    @action("import.retry", "R,shift+r", "Retry bad", changes=True)
    def act_retry(self) -> None:
        """Read the bad files again."""
        self.host.ask(
            "Read the bad files again?",
            [
                "Do this after you fixed the archive, or the database that refused records.",
                "The same import runs again. Files that were imported in full are not read again.",
            ],
            verb="Read again",
            then=self._run_again,
        )

    @act_retry.when
    def _can_retry(self) -> bool:
        state = self._state
        return state is not None and state.phase is Phase.DONE and state.num_bad > 0

    @action("import.go_on", "R,shift+r", "Continue", changes=True)
    def act_go_on(self) -> None:
        """Continue the import where it ended."""
        state = self._state
        self.host.ask(
            "Continue the import?",
            [
                "It continues after the last committed batch."
                if state is not None and state.is_planned
                else "Nothing was imported yet. It starts from the beginning."
            ],
            verb="Continue",
            then=self._run_again,
        )

    @act_go_on.when
    def _can_go_on(self) -> bool:
        return self._state is not None and self._state.phase is not Phase.DONE

    def _run_again(self) -> None:
        if (state := self._state) is not None:
            self.wizard.start_import(replace(state.request, restart=False))

    @implements(NEW_PATH)
    def act_path(self) -> None:
        """Import another archive."""
        self.wizard.go(SOURCE)


def _empty(state: ImportState, width: int) -> list[str]:
    """What is shown if there are no bad records."""
    if state.is_planned:
        return ["No bad records or files were found.", "n imports another archive."]
    hint = [failure.text for failure in failure_lines(state, width) if failure.is_hint]
    return [
        "Nothing was read.",
        *hint,
        "n returns to the source, to check the archive and choose again.",
    ]
