"""Step 2 of the wizard: reads the archive without writing anything, and shows what it holds."""

from __future__ import annotations

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
    CheckFinding,
    findings,
    findings_left_out,
    findings_note,
    is_refused,
    paint_check_finding,
    search_text,
)
from tiger_slack_tui.console.views.importing.fields import FOLDER_FIELDS
from tiger_slack_tui.console.views.importing.lines import (
    FOLDERS,
    check_lines,
    folder_search_text,
    paint_folder,
)
from tiger_slack_tui.console.views.importing.run_step import problem_lines
from tiger_slack_tui.console.views.importing.step import CHECK_ARCHIVE, WizardStep
from tiger_slack_tui.console.views.importing.step_line import OPTIONS, SOURCE, phase_part
from tiger_slack_tui.imports.ledger import FolderProgress
from tiger_slack_tui.imports.state import ImportState, Phase
from tiger_slack_tui.store.import_account import ImportProblem


class CheckStep(WizardStep):
    """Reads all files as an import would. The operator need not wait for its end."""

    TITLE: ClassVar[str] = "Step 2, Check"

    def compose(self) -> ComposeResult:
        yield Pane[Content](as_is, id="check-total", can_focus=False)
        yield Pane[CheckFinding](
            paint_check_finding, id="check-findings", selectable=True, find=search_text
        )
        yield Pane[FolderProgress](
            paint_folder,
            id="check-channels",
            key=lambda row: row.name,
            selectable=True,
            find=folder_search_text,
            fields=FOLDER_FIELDS,
        )

    def on_mount(self) -> None:
        self._rows: CachedValue[list[CheckFinding]] = CachedValue()
        self._folders: CachedValue[list[FolderProgress]] = CachedValue()

    def show(self, model: Model) -> None:
        state = model.check_state
        total = self.pane("check-total")
        if state is None:
            total.show(
                Body(
                    title="check",
                    empty_text=("No archive was checked. Esc returns to the source.",),
                )
            )
            return
        rows = check_lines(state, total.size.width)
        text = phase_part(state)
        total.show(
            Body(
                rows=rows,
                title="check (writes nothing)",
                note=text if isinstance(text, str) else text[0],
            )
        )
        self._show_findings(state)
        self.pane("check-channels").show(
            Body(
                rows=self._folders(lambda: list(state.folders.values()), state.folders),
                title="channels",
                note=f"{len(state.folders):,}",
                head=FOLDERS.head,
                empty_text=(_not_listed(state),),
            )
        )

    def _show_findings(self, state: ImportState) -> None:
        pane = self.pane("check-findings")
        width = max(pane.size.width - 2, 20)  # beside the pointer
        pane.show(
            Body(
                rows=self._rows(
                    lambda: findings(state, width),
                    width,
                    state.request,
                    state.ledger.problems,
                    len(state.notes),
                    state.notes[-1] if state.notes else None,
                    state.error,
                ),
                title="findings",
                note=findings_note(state),
                left_out=findings_left_out(state),
                empty_text=_empty(state),
            )
        )

    @action("import.options", "enter", "Options", shown="Enter")
    def act_options(self) -> None:
        """Choose what to import."""
        self.wizard.go(OPTIONS)

    @act_options.when
    def _has_options(self) -> bool:
        state = self.wizard.check_state
        return state is not None and (state.is_planned or is_refused(state))

    @action("import.problem", "d", "Details")
    def act_problem(self) -> None:
        """Show the whole reason of a bad record or file."""
        problem = self.pane("check-findings").row
        if isinstance(problem, ImportProblem):
            self.host.read(problem.path, partial(problem_lines, problem))

    @act_problem.when
    def _has_problem(self) -> bool:
        pane = self.pane("check-findings")
        return pane.has_focus and isinstance(pane.row, ImportProblem)

    @implements(CHECK_ARCHIVE)
    def act_check(self) -> None:
        """Check again."""
        if self.wizard.check_state is not None:
            self.wizard.start_check()

    @act_check.when
    def _has_ended(self) -> bool:
        state = self.wizard.check_state
        return state is not None and state.phase.is_over

    @action("import.end_check", "x", "Stop check")
    def act_end_check(self) -> None:
        """Stop the check; its findings stay."""
        self.host.operator.stop_check()

    @act_end_check.when
    def _is_checking(self) -> bool:
        return self.wizard.is_checking

    def back(self) -> bool:
        self.wizard.go(SOURCE)
        return True


def _empty(state: ImportState) -> tuple[str, str]:
    """What is shown if there are no findings."""
    so_far = "" if state.phase is Phase.DONE else " so far"
    if not state.is_planned:
        return ("Nothing has been read yet.", _not_listed(state))
    return (
        f"No problems were found{so_far}.",
        "Enter opens the options; you need not wait for the end of the check.",
    )


def _not_listed(state: ImportState) -> str:
    """Why no channels are shown."""
    if not state.phase.is_over:
        return "Listing the archive …"
    if state.is_planned:
        return "The archive holds no channels."
    return "The archive was not listed. c checks it again."
