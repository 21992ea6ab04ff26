"""The messages between an import and its worker processes, which go through pipes.

The worker gets a `Setup`, and then commands, which it answers in order. It merges one batch of records for each
`Permit`. When its input ends, it finishes the batch that it is merging, and ends.
"""

from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.imports.archive.members import ArchiveLimits, Export, Member
from tiger_slack_tui.imports.archive.plan import ImportSelection, NumberedFile, Plan, PlannedFile
from tiger_slack_tui.imports.merge.decisions import RecordProblem
from tiger_slack_tui.store.directory import DirectoryKind
from tiger_slack_tui.store.import_account import Account, ImportProblem, Reason

_MAGIC = b"TSI1"
HEAD = struct.Struct("!4sII")
"""The head of a frame: the magic bytes, and the length and CRC-32 of the content that follows."""
_LONGEST = 1 << 30


class BadFrame(Exception):
    """The received bytes are not a frame."""


def content_length(head: bytes) -> int:
    """The length of the content. Raises BadFrame."""
    magic, length, _ = HEAD.unpack(head)
    if magic != _MAGIC or length > _LONGEST:
        raise BadFrame
    return int(length)


def message(head: bytes, content: bytes) -> Any:
    """The message of a frame. Raises BadFrame if the checksum does not match."""
    if zlib.crc32(content) != HEAD.unpack(head)[2]:
        raise BadFrame
    return pickle.loads(content)  # noqa: S301 from our own parent or child


@dataclass(frozen=True)
class Setup:
    """The archive and database of a worker. Without `import_id` it is a dry run."""

    path: Path
    conninfo: str
    import_id: int | None
    keep_alive_seconds: float
    """Interval between two `KeepAlive` messages."""


@dataclass(frozen=True)
class MakePlan:
    """Answered by a `PlanMade` and its `FileBatch`es, or by `Refused`."""

    selection: ImportSelection
    limits: ArchiveLimits


@dataclass(frozen=True)
class PlanMade:
    """The plan without its files. `batches` messages of the type FileBatch follow."""

    plan: Plan
    files: int
    bytes: int
    batches: int


@dataclass(frozen=True)
class FileBatch:
    """Files in order, each with its number.

    They are pickled as plain tuples: there can be very many, and named tuples take longer.
    """

    packed: bytes
    channels: frozenset[ChannelId]
    """The ids of their channels."""

    @classmethod
    def of(cls, files: Sequence[NumberedFile]) -> FileBatch:
        plain = [
            (number, tuple(planned.member), planned.folder, planned.channel)
            for number, planned in files
        ]
        channels = frozenset(planned.channel.id for _, planned in files)
        return cls(pickle.dumps(plain, pickle.HIGHEST_PROTOCOL), channels)

    def files(self) -> list[NumberedFile]:
        return [
            (number, PlannedFile(Member(*member), folder, channel))
            for number, member, folder, channel in pickle.loads(self.packed)  # noqa: S301 from our own child
        ]


@dataclass(frozen=True)
class Refused:
    """The archive must not be read (ArchiveRefused)."""

    message: str
    hint: str | None
    exports: tuple[Export, ...] = ()
    selects_nothing: bool = False
    """Whether it is a NothingSelected."""


@dataclass(frozen=True)
class ReadLists:
    """Answered by a `ListsRead`. `lists` is as in `Plan`."""

    lists: Sequence[tuple[DirectoryKind, Member]]
    dry_run: bool


@dataclass(frozen=True)
class ListsRead:
    """The number of rows by kind ("user", "channel"), and their problems."""

    seen: Mapping[str, int] = field(default_factory=dict)
    bad: list[ImportProblem] = field(default_factory=list)
    """Rows and lists that are not stored."""
    repaired: list[ImportProblem] = field(default_factory=list)
    """Rows that are stored without bad values."""


@dataclass(frozen=True)
class ReadFiles:
    """Answered by `FileKnown`s and `BatchDone`s, and a `FilesRead` at the end. Files in `crashed` are not opened."""

    batch: FileBatch
    selection: ImportSelection
    crashed: frozenset[int]
    is_restart: bool
    """Whether files are read whose content was merged before."""


@dataclass(frozen=True)
class FileKnown:
    """What is already committed of a file; all of it if `is_done`. It replaces earlier reports about the file."""

    number: int
    account: Account
    is_done: bool
    failure: str | None


@dataclass(frozen=True)
class BatchDone:
    """A batch is committed."""

    started: Sequence[int]
    """Files that were begun since the last BatchDone."""
    accounts: Mapping[int, Account]
    ended: Mapping[int, Reason | None]
    """Files that ended, with the reason why the rest of a file could not be read."""
    at: tuple[int, int]
    """The file that the worker is reading, and the bytes of it that it has read."""
    problems: Sequence[RecordProblem]


@dataclass(frozen=True)
class FilesRead:
    """All files of the command have ended."""


@dataclass(frozen=True)
class DatabaseFailed:
    """An error of the database ended the worker. `reason` is a sentence for people."""

    reason: str


@dataclass(frozen=True)
class Crashed:
    """A bug ended the worker, or it was killed."""

    where: str
    error: Mapping[str, str] = field(default_factory=dict)
    """As from `error_attributes`; empty if the worker was killed."""


@dataclass(frozen=True)
class KeepAlive:
    """The worker is alive. It can arrive between any other reports."""


@dataclass(frozen=True)
class Permit:
    """One more batch of records may be merged."""


Command = Setup | MakePlan | ReadLists | ReadFiles | Permit
Report = (
    PlanMade
    | FileBatch
    | Refused
    | ListsRead
    | FileKnown
    | BatchDone
    | FilesRead
    | DatabaseFailed
    | Crashed
    | KeepAlive
)


def frame(message: Command | Report) -> bytes:
    """The message as bytes for the pipe."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEAD.pack(_MAGIC, len(content), zlib.crc32(content)) + content
