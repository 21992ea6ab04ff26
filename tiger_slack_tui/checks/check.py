"""What `tiger-slack doctor` reports of each check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from tiger_slack_tui.base.errors import SlackRefused, SlackUnavailable, TigerSlackError
from tiger_slack_tui.base.text import visible
from tiger_slack_tui.base.times import duration


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
    is_final: bool = False
    """Whether it cannot pass later with the same value: Slack has refused the token."""

    @classmethod
    def of_error(cls, name: str, error: TigerSlackError) -> Check:
        """The check that failed with the error. Too many calls are no failure of what is checked."""
        if isinstance(error, SlackUnavailable) and error.is_rate_limit:
            wait = duration(timedelta(seconds=round(error.retry_after or 60)))
            found = "not checked: Slack answers that there were too many calls"
            return cls(name, CheckState.WARNING, found, f"Try again in {wait}.")
        is_final = isinstance(error, SlackRefused)
        return cls(name, CheckState.FAILED, Exception.__str__(error), error.hint, is_final)

    def lines(self) -> Iterator[str]:
        """The check as text: one line for each problem, then what to do. All but the first begin with 4 blanks."""
        first, *more = self.found.splitlines() or [""]
        yield f"{_SYMBOL[self.state]} {visible(self.name)}: {first}"
        for line in more:
            yield f"    {line.strip()}"
        if self.fix and self.state is not CheckState.OK:
            yield f"    {self.fix}"
