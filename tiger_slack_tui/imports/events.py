"""The events that an import reports while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.store.import_account import Account, ImportProblem


@dataclass(frozen=True, slots=True)
class Planned:
    """What will be read. `resumed` is when the import began that this one goes on with."""

    files: int
    bytes: int
    skipped: Mapping[str, int]
    """Day files that will not be read, by reason."""
    resumed: datetime | None


@dataclass(frozen=True, slots=True)
class FilesListed:
    """Some of the files that will be read, in order; several come after Planned, until all are told."""

    files: Sequence[PlannedFile]
    unmapped: Mapping[str, int] = field(default_factory=dict)
    """Day files of folders that no channel is known for, by folder."""


@dataclass(frozen=True, slots=True)
class FileStarted:
    """A file is opened."""

    path: str
    channel: str
    """Name of its folder."""
    size: int
    worker: int
    """Process that reads it."""


@dataclass(frozen=True, slots=True)
class RecordsMerged:
    """Records of a file are committed: so many more, and so many bytes of it are read in all."""

    path: str
    account: Account
    bytes_read: int


@dataclass(frozen=True, slots=True)
class FileResumed:
    """So much of a file was committed before it is gone on with: by an earlier run, or by a worker that died.

    It takes the place of what was counted of the file until now.
    """

    path: str
    account: Account


@dataclass(frozen=True, slots=True)
class FileDone:
    """All of the file is accounted for."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class FileFailed:
    """The rest of the file could not be read."""

    path: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class FileSkipped:
    """An earlier run of the same import accounted for the file; `failure` is why not to its end."""

    path: str
    size: int
    account: Account
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ImportNote:
    """Something that an operator should know."""

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
