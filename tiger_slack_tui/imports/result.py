"""How far an import is, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tiger_slack_tui.imports.archive.layout import LeftOut
from tiger_slack_tui.imports.events import (
    FileDone,
    FileFailed,
    FileSkipped,
    FileStarted,
    ImportEvent,
    Planned,
    RecordsMerged,
)
from tiger_slack_tui.store.import_account import Account


@dataclass(slots=True)
class Tally:
    """How far an import is, for whoever shows it."""

    files: int = 0
    bytes: int = 0
    files_done: int = 0
    files_failed: int = 0
    records: int = 0
    """Of this run."""
    bad_records: int = 0
    paths: dict[str, int] = field(default_factory=dict)
    """Files that are being read, and the bytes of them that are."""
    _bytes_ended: int = 0
    _bytes_skipped: int = 0
    _began: float = field(default_factory=time.monotonic)

    def handle(self, event: ImportEvent) -> None:
        """Take in what the import tells."""
        match event:
            case Planned(files, size):
                self.files, self.bytes = files, size
                self._began = time.monotonic()
            case FileStarted(path):
                self.paths[path] = 0
            case RecordsMerged(path, account, bytes_read):
                self.records += account.read
                self.bad_records += account.bad
                self.paths[path] = bytes_read
            case FileDone(path, size) | FileFailed(path, size) | FileSkipped(path, size):
                self.paths.pop(path, None)
                self.files_done += 1
                self.files_failed += isinstance(event, FileFailed)
                self._bytes_ended += size
                self._bytes_skipped += size if isinstance(event, FileSkipped) else 0

    @property
    def bytes_read(self) -> int:
        return self._bytes_ended + sum(self.paths.values())

    @property
    def rate(self) -> float:
        """Records per second of this run."""
        return self.records / max(time.monotonic() - self._began, 0.001)

    @property
    def seconds_left(self) -> float | None:
        """None while nothing tells."""
        read = self.bytes_read - self._bytes_skipped
        if read <= 0:
            return None
        return (self.bytes - self.bytes_read) * (time.monotonic() - self._began) / read


@dataclass(slots=True)
class ChannelResult:
    """What became of a channel's files."""

    files: int = 0
    account: Account = field(default_factory=Account)


@dataclass(slots=True)
class ImportResult:
    """How an import ended. `outcome` is done, cancelled or failed."""

    import_id: int | None
    outcome: str
    seconds: float
    resumed: datetime | None
    files_planned: int
    files_done: int
    """Files accounted for, in this run or before, the failed ones among them."""
    files_failed: int
    files_skipped: Mapping[str, int]
    """Files that were not read and may hold messages, by reason (`LeftOut`)."""
    other_files: int
    users: int
    channels: int
    """Rows of the lists."""
    bad_list_rows: int
    total: Account
    by_channel: Mapping[str, ChannelResult]
    warnings: Sequence[str]
    mismatch: str | None
    """Why the account does not add up; None where it does."""

    @property
    def exit_code(self) -> int:
        """0: all accounted for; 3: bad records, or files that may hold messages, were skipped; 1: not done, or it
        does not add up."""
        if self.outcome != "done" or self.mismatch:
            return 1
        left_out = any(not LeftOut(reason).is_wanted for reason in self.files_skipped)
        return 3 if self.total.bad or self.files_failed or self.bad_list_rows or left_out else 0

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.total.read / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """For `--json` and slack.import.account."""
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
                "skipped": dict(self.files_skipped),
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
