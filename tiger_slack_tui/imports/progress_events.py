"""The events that an import reports while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.store.import_account import Account, ImportProblem


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan is made. `resumed` is when the import began that this run continues."""

    files: int
    bytes: int
    left_out: Mapping[str, int]
    """The number of files that are not read, by reason."""
    resumed: datetime | None


@dataclass(frozen=True, slots=True)
class FilesListed:
    """Some of the files that will be read, in order. Several of these events follow Planned."""

    files: Sequence[PlannedFile]
    unmapped: Mapping[str, int] = field(default_factory=dict)
    """The number of files of each folder whose channel is unknown."""


@dataclass(frozen=True, slots=True)
class FileStarted:
    """A worker has begun to read a file."""

    path: str
    worker: int
    """The worker's process id."""


@dataclass(frozen=True, slots=True)
class RecordsMerged:
    """More records of a file are committed. `account` has only these; `bytes_read` is of the whole file."""

    path: str
    account: Account
    bytes_read: int


@dataclass(frozen=True, slots=True)
class FileResumed:
    """A file is continued. `account` is what an earlier run, or a worker that died, has committed of it.

    It replaces what was counted of the file until now.
    """

    path: str
    account: Account


@dataclass(frozen=True, slots=True)
class FileDone:
    """A file was read to its end."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class FileFailed:
    """The rest of a file could not be read."""

    path: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class FileSkipped:
    """An earlier run has read the file. `failure` is why the rest of it could not be read."""

    path: str
    size: int
    account: Account
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ImportNote:
    """A sentence for the operator."""

    text: str
    is_warning: bool = False


ImportEvent = (
    Planned
    | FilesListed
    | FileStarted
    | FileResumed
    | RecordsMerged
    | FileDone
    | FileFailed
    | FileSkipped
    | ImportProblem
    | ImportNote
)
