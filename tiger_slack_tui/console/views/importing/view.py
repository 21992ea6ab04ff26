"""The Import view: a wizard of five steps, one of which is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

from textual.app import ComposeResult
from textual.widgets import Static

from tiger_slack_tui.console.actions import IMPORT
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.model.model import ImportSummary, Model
from tiger_slack_tui.console.model.sources import ViewSources
from tiger_slack_tui.console.panes.pane import Pane
from tiger_slack_tui.console.views.importing.check_step import CheckStep
from tiger_slack_tui.console.views.importing.draft import ImportDraft
from tiger_slack_tui.console.views.importing.options_step import OptionsStep
from tiger_slack_tui.console.views.importing.result_step import ResultStep
from tiger_slack_tui.console.views.importing.run_step import RunStep
from tiger_slack_tui.console.views.importing.source_step import SourceStep
from tiger_slack_tui.console.views.importing.step import Wizard, WizardStep
from tiger_slack_tui.console.views.importing.step_line import CHECK, RESULT, RUN, SOURCE, steps_line
from tiger_slack_tui.console.views.view import Switcher, View
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.state import Phase

_IDS = ("import-source", "import-check", "import-options", "import-run", "import-result")


class ImportView(View):
    """Imports a Slack export: choose the archive, check it, choose what to import, import it, read the account.

    The check writes nothing. An import runs on when you leave the view, and its tab shows the progress. To continue
    an import that was stopped or that failed, start the same import again.
    """

    NAME: ClassVar[str] = IMPORT
    PARTS = (SourceStep, CheckStep, OptionsStep, RunStep, ResultStep)

    def __init__(self, host: Host, sources: ViewSources) -> None:
        super().__init__(host, sources)
        # Beside live ingestion, one worker is faster than two on a machine with few processors.
        self._wizard = Wizard(
            host, sources, self.go, ImportDraft(workers=2 if sources.is_observing else 1)
        )
        self._step = SOURCE
        self._seen: ImportRequest | None = None
        """The request of the import whose result was shown."""

    def compose(self) -> ComposeResult:
        yield Static(id="import-steps")
        with Switcher(id="import-step", initial=_IDS[SOURCE]):
            for kind, name in zip(self.PARTS, _IDS, strict=True):
                yield kind(self._wizard, id=name)

    @property
    def step(self) -> WizardStep:
        """The step that is shown."""
        return cast(WizardStep, self.query_one(f"#{_IDS[self._step]}"))

    def go(self, step: int) -> None:
        """Show a step."""
        self.zoom(None)
        self._step = step
        self.query_one("#import-step", Switcher).current = _IDS[step]
        self.step.focus_first()
        self._show_again()
        self.call_after_refresh(
            self._show_again
        )  # lines are folded to the step's width, which is 0 before

    def _show_again(self) -> None:
        if self._wizard.model is not None:
            self.show(self._wizard.model)

    def show(self, model: Model) -> None:
        self._wizard.model = model
        run = model.import_state
        if run is not None and not model.is_frozen:
            if run.phase.is_over and self._seen is not run.request:
                self._seen = run.request
                self.go(RESULT)
                return
            if not run.phase.is_over and self._step != RUN:
                self.go(RUN)
                return
        path = run.request.path if run and self._step >= RUN else self._wizard.draft.path
        steps = self.query_one("#import-steps", Static)
        shown = steps_line(self._step, str(path), self.size.width, self._ends(model))
        if steps.content != shown:
            steps.update(shown)
        self.step.show(model)

    def _ends(self, model: Model) -> dict[int, Phase]:
        """The phases of the steps that failed or were stopped."""
        ends: dict[int, Phase] = {}
        check, run = model.check_state, model.import_state
        if check is not None and check.phase is Phase.FAILED:
            is_shown = self._step < RUN or (
                run is not None and run.request.path == check.request.path
            )
            ends |= {CHECK: check.phase} if is_shown else {}
        if run is not None and run.phase in (Phase.FAILED, Phase.STOPPED):
            ends[RUN] = run.phase
        return ends

    def badge(self, model: Model) -> str:
        now = model.import_summary
        if now is None:
            is_checking = model.check_state is not None and not model.check_state.phase.is_over
            return "check" if is_checking else ""
        if not now.phase.is_over:
            return _running_badge(now)
        if model.import_state is not None and self._seen is model.import_state.request:
            return ""
        return {Phase.DONE: "✓", Phase.FAILED: "✗"}.get(now.phase, "○")

    def panes(self) -> Iterator[Pane[Any]]:
        return (pane for pane in self.step.query(Pane) if pane.display and pane.can_focus)

    def focus_first(self) -> None:
        self.step.focus_first()

    def action_owners(self) -> Iterator[Any]:
        yield self.step
        yield self

    def back(self) -> bool:
        return self.step.back()


def _running_badge(now: ImportSummary) -> str:
    share = f"{now.share * 100:.0f}%"
    if now.phase is Phase.PAUSED:
        return f"{share} paused"
    return f"{share} ▲" if now.phase is Phase.WAITING or now.bad else share
