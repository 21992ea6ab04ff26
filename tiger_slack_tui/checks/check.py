"""What `tiger-slack doctor` reports of each check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tiger_slack_tui.base.errors import TigerSlackError


class CheckState(StrEnum):
    """How bad a finding is: only FAILED makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


_SYMBOL = {CheckState.OK: "✓", CheckState.WARNING: "!", CheckState.FAILED: "✗"}


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    state: CheckState
    found: str
    """What is there. Each line after the first is a further problem."""
    fix: str | None = None
    """What to do, unless the state is ok."""

    @property
    def symbol(self) -> str:
        return _SYMBOL[self.state]

    @classmethod
    def of_error(cls, name: str, error: TigerSlackError) -> Check:
        """The check that failed with the error."""
        return cls(name, CheckState.FAILED, Exception.__str__(error), error.hint)
