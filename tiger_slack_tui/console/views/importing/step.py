"""The base of the wizard's steps, and the state that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.console.actions import Action
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.sources import ViewSources
from tiger_slack_tui.console.panes.pane import Pane
from tiger_slack_tui.console.views.importing.draft import ImportDraft
from tiger_slack_tui.console.views.importing.step_line import RUN
from tiger_slack_tui.console.views.view import ViewPart
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.state import ImportState

CHECK_ARCHIVE = Action(
    "import.check", "c", "Check", help="Read the archive without writing anything."
)
SHOW_DETAILS = Action(
    "import.details", "enter", "Details", "Enter", "Show all fields of the selected row."
)
NEW_PATH = Action("import.path", "n", "New path", help="Type the path of an archive.")


@dataclass(slots=True)
class Wizard:
    """The state that the steps share. `go` shows another step."""

    host: Host
    sources: ViewSources
    go: Callable[[int], None]
    draft: ImportDraft = field(default_factory=ImportDraft)
    model: Model | None = None
    """The newest model that was shown."""

    @property
    def check_state(self) -> ImportState | None:
        """The check that is shown."""
        return self.model.check_state if self.model else None

    @property
    def import_state(self) -> ImportState | None:
        """The import that is shown."""
        return self.model.import_state if self.model else None

    @property
    def is_checking(self) -> bool:
        return self.check_state is not None and not self.check_state.phase.is_over

    @property
    def is_running(self) -> bool:
        """Whether an import runs; also while it is paused."""
        return self.import_state is not None and not self.import_state.phase.is_over

    def start_check(self) -> bool:
        """Start to check the archive of the draft. If that is refused, say why and return False."""
        try:
            self.host.operator.start_check(self.draft.check_request)
        except TigerSlackError as error:
            self.host.say(str(error), severity="error")
            return False
        return True

    def start_import(self, request: ImportRequest) -> None:
        """Start an import and show it. If it is refused, say why."""
        try:
            self.host.operator.start_import(request)
        except TigerSlackError as error:
            self.host.say(str(error), severity="error")
            return
        self.host.thaw()
        self.go(RUN)

    def schema_problem(self) -> str | None:
        """Why the database cannot take an import now; None if it can.

        A database that only answers late is no reason: the import waits for it, and the schema stays as it was read.
        """
        database = self.model.database if self.model else None
        if database is None or database.at is None:
            return (
                database.problem
                if database and database.problem
                else "The database has not been read yet."
            )
        found = database.migrations
        is_current = found is not None and found.is_current
        is_away = database.retry_at is not None
        if database.problem is not None and (is_away or not is_current):
            return f"The database does not answer: {database.problem}"
        if is_current:
            return None
        if "migrations" in database.problems:
            return f"The schema's version cannot be read: {database.problems['migrations']}"
        if self.model is not None and self.model.is_migrating:
            return "The schema is being migrated. Try again in a moment."
        return "The schema is not up to date: press 2, then M to migrate."


class WizardStep(ViewPart):
    """One step: its panes, and the actions that can be done in it."""

    def __init__(self, wizard: Wizard, *, id: str) -> None:  # noqa: A002 as Textual names it
        super().__init__(id=id)
        self.wizard = wizard
        self.host = wizard.host

    def show(self, model: Model) -> None:
        """Show the model in the panes."""
        raise NotImplementedError

    def back(self) -> bool:
        """Go back inside the step, or to the step before; False if there is nothing to go back to."""
        return False

    def focus_first(self) -> None:
        """Focus the pane that the operator needs first."""
        for pane in self.query(Pane):
            if pane.can_focus:
                pane.focus()
                return

    def pane(self, name: str) -> Pane[Any]:
        return self.query_one(f"#{name}", Pane)
