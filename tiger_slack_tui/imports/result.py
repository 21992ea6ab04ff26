"""The result of an import: how it ended, and the counts of everything that it read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tiger_slack_tui.imports.archive.layout import LeftOut
from tiger_slack_tui.store.import_account import Account
from tiger_slack_tui.store.imports import ImportOutcome


@dataclass(slots=True)
class ChannelResult:
    """The number of a channel's files that have ended, and the account of all its files."""

    files: int = 0
    account: Account = field(default_factory=Account)


@dataclass(slots=True)
class ImportResult:
    """How an import ended."""

    import_id: int | None
    outcome: ImportOutcome
    seconds: float
    resumed: datetime | None
    files_planned: int
    files_done: int
    """Files that are accounted for, in this run or an earlier one, with those that failed."""
    files_failed: int
    files_left_out: Mapping[str, int]
    """The number of files that were not read and may hold messages, by reason (`LeftOut`)."""
    other_files: int
    users: int
    channels: int
    """The number of rows in the lists."""
    bad_list_rows: int
    total: Account
    by_channel: Mapping[str, ChannelResult]
    warnings: Sequence[str]
    mismatch: str | None
    """Why the counts do not add up; None if they do."""
    contents: str = ""
    """The channels and days among which the operator can select, as sentences."""

    @property
    def selects_nothing(self) -> bool:
        """Whether none of the messages that could be read is within the dates."""
        total = self.total
        return 0 < total.filtered == total.accounted - sum(total.skipped.values())

    @property
    def exit_code(self) -> int:
        """0: everything is accounted for; 3: bad records, or files that may hold messages, were skipped;
        1: the import did not finish, its counts do not add up, or it selected nothing."""
        if self.outcome != ImportOutcome.DONE or self.mismatch or self.selects_nothing:
            return 1
        left_out = any(not LeftOut(reason).is_wanted for reason in self.files_left_out)
        return 3 if self.total.bad or self.files_failed or self.bad_list_rows or left_out else 0

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.total.read / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """As in `--json` and slack.import.account."""
        return {
            "import_id": self.import_id,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 1),
            "resumed": self.resumed.isoformat() if self.resumed else None,
            "files": {
                "planned": self.files_planned,
                "done": self.files_done,
                "failed": self.files_failed,
                "skipped": dict(self.files_left_out),
                "other": self.other_files,
            },
            "lists": {
                "users": self.users,
                "channels": self.channels,
                "bad": self.bad_list_rows,
            },
            "messages": self.total.as_json(),
            "channels": {
                name: {"files": channel.files, **channel.account.as_json()}
                for name, channel in self.by_channel.items()
            },
            "adds_up": self.mismatch is None,
            "mismatch": self.mismatch,
            "warnings": list(self.warnings),
        }
