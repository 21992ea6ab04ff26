"""What an import and its worker processes say to each other, over pipes that only they hold.

The worker gets a `Setup`, then one command at a time, which it answers; it merges a batch for each `Go`. At the end
of its input it ends after the batch that it is at.
"""

from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiger_slack_tui.imports.archive.members import ArchiveLimits, Export, Member
from tiger_slack_tui.imports.archive.plan import ImportSelection, Plan, PlannedFile
from tiger_slack_tui.imports.merge.decisions import RecordProblem
from tiger_slack_tui.store.import_account import Account, ImportProblem, Reason

_MAGIC = b"TSI1"
HEAD = struct.Struct("!4sII")
"""Comes before the content of each frame: what marks one, length and CRC-32 of the content."""
_LONGEST = 1 << 30


class Garbage(Exception):
    """What came through the pipe is no frame."""


def content_length(head: bytes) -> int:
    """The length of the content. Raises Garbage."""
    magic, length, _ = HEAD.unpack(head)
    if magic != _MAGIC or length > _LONGEST:
        raise Garbage
    return int(length)


def message(head: bytes, content: bytes) -> Any:
    """The message of a frame. Raises Garbage where the content is not as it was sent."""
    if zlib.crc32(content) != HEAD.unpack(head)[2]:
        raise Garbage
    return pickle.loads(content)  # noqa: S301 from our own parent or child


@dataclass(frozen=True)
class Setup:
    """What a worker works on. Without `import_id` it counts, and changes nothing."""

    path: Path
    conninfo: str
    import_id: int | None
    beat_seconds: float
    """The worker says `Alive` so often."""


@dataclass(frozen=True)
class MakePlan:
    """Answered by a `PlanMade` and its `FileBatch`es, or by `Refused`."""

    selection: ImportSelection
    limits: ArchiveLimits


@dataclass(frozen=True)
class PlanMade:
    """All but the files; so many batches of them follow."""

    plan: Plan
    files: int
    bytes: int
    batches: int


@dataclass(frozen=True)
class FileBatch:
    """Files in order, each with its number. Packed, for there can be very many: as plain tuples, which is quicker."""

    packed: bytes
    channels: frozenset[str]
    """Ids of the channels that they are of."""

    @classmethod
    def of(cls, files: Sequence[tuple[int, PlannedFile]]) -> FileBatch:
        plain = [
            (number, tuple(planned.member), planned.folder, planned.channel)
            for number, planned in files
        ]
        channels = frozenset(planned.channel.id for _, planned in files)
        return cls(pickle.dumps(plain, pickle.HIGHEST_PROTOCOL), channels)

    def files(self) -> list[tuple[int, PlannedFile]]:
        return [
            (number, PlannedFile(Member(*member), folder, channel))
            for number, member, folder, channel in pickle.loads(self.packed)  # noqa: S301 from our own child
        ]


@dataclass(frozen=True)
class Refused:
    """The archive is refused."""

    message: str
    hint: str | None
    exports: tuple[Export, ...] = ()


@dataclass(frozen=True)
class ReadLists:
    """Answered by a `ListsRead`. ("user" or "channel", its file) each."""

    lists: Sequence[tuple[str, Member]]
    dry_run: bool


@dataclass(frozen=True)
class ListsRead:
    """Rows by kind ("user", "channel"); and what is wrong."""

    seen: Mapping[str, int] = field(default_factory=dict)
    bad: list[ImportProblem] = field(default_factory=list)
    """Of rows and lists that are not stored."""
    repaired: list[ImportProblem] = field(default_factory=list)
    """Of rows that are stored without a part."""


@dataclass(frozen=True)
class ReadFiles:
    """Answered by the four that follow, and a `FilesRead`. The files of `crashed` are not opened."""

    batch: FileBatch
    selection: ImportSelection
    crashed: frozenset[int]
    is_restart: bool
    """Whether all is read, also what was taken in before."""


@dataclass(frozen=True)
class FileKnown:
    """Of this content, so much was accounted for before; all of it where `is_done`."""

    number: int
    account: Account
    is_done: bool
    failure: str | None


@dataclass(frozen=True)
class BatchDone:
    """A batch is committed."""

    started: Sequence[int]
    """Files that were begun since the last one."""
    accounts: Mapping[int, Account]
    ended: Mapping[int, Reason | None]
    """Files that ended, and why the rest of them could not be read."""
    at: tuple[int, int]
    """The file that the worker is at, and the bytes of it that are read."""
    problems: Sequence[RecordProblem]


@dataclass(frozen=True)
class FilesRead:
    """All files of the command are done."""


@dataclass(frozen=True)
class Broken:
    """The database broke the work off; the worker ends. The reason is a sentence for people."""

    reason: str


@dataclass(frozen=True)
class Crashed:
    """An error of ours; the worker ends. So does one that says nothing more."""

    where: str
    error: Mapping[str, str] = field(default_factory=dict)
    """As `error_attributes`; without any where the worker was ended."""


@dataclass(frozen=True)
class Alive:
    """The worker runs. It comes at any time."""


@dataclass(frozen=True)
class Go:
    """Another batch may be merged."""


Command = Setup | MakePlan | ReadLists | ReadFiles | Go
Report = (
    PlanMade
    | FileBatch
    | Refused
    | ListsRead
    | FileKnown
    | BatchDone
    | FilesRead
    | Broken
    | Crashed
    | Alive
)


def frame(message: Command | Report) -> bytes:
    """The message as it goes through the pipe."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEAD.pack(_MAGIC, len(content), zlib.crc32(content)) + content
