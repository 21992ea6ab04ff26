"""What the views use beside the model: readers of the database, and facts about this console that never change."""

from __future__ import annotations

from typing import Protocol

from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.console.model.audit_reader import AuditReader
from tiger_slack_tui.console.model.findings_reader import FindingsReader
from tiger_slack_tui.console.model.message_reader import MessageReader
from tiger_slack_tui.imports.request import ImportRequest


class ViewSources(Protocol):
    """The backend, as the views see it: they cannot change it, and do not see the engine and the imports."""

    @property
    def settings(self) -> Settings: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def audit(self) -> AuditReader: ...

    @property
    def messages(self) -> MessageReader: ...

    @property
    def findings_reader(self) -> FindingsReader: ...

    @property
    def read_only(self) -> bool:
        """Whether the console refuses every change."""

    @property
    def is_observing(self) -> bool:
        """Whether the console has no engine."""

    def import_command(self, request: ImportRequest) -> str:
        """The command line that does the same as the request."""
