"""The files of an import and the progress of each, stored so that the garbage collector does not visit them.

The collector visits every object that can refer to others, and the event loop and all threads wait meanwhile: 600,000
objects take a third of a second. It does not visit bytes, and plain tuples of texts and numbers.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar, overload

from tiger_slack_tui.imports.archive.members import Member
from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.store.import_account import Account
from tiger_slack_tui.store.import_messages import Channel

T = TypeVar("T")

_BUCKETS = 4096
"""A change after a snapshot copies one bucket: of 1,000,000 files, 250."""


class FileStep(StrEnum):
    """How far a file is."""

    WAITING = "waiting"
    READING = "reading"
    DONE = "done"
    KNOWN = "done before"
    FAILED = "failed"


@dataclass(slots=True)
class FileProgress:
    """A file that was begun. Times are of a monotonic clock, in seconds."""

    step: FileStep = FileStep.READING
    account: Account = field(default_factory=Account)
    """What is committed of the file."""
    bytes_read: int = 0
    began: float = 0.0
    ended: float | None = None
    bad: int = 0
    """Bad records."""
    reason: str | None = None
    """The first problem of the file."""


class SnapshotDict(Generic[T]):
    """A dictionary by path. A snapshot of it shares all buckets; a bucket is copied at its first change after that.

    So a snapshot takes the same time for any number of entries.
    """

    def __init__(self) -> None:
        self._buckets: list[dict[str, T]] = [{} for _ in range(_BUCKETS)]
        self._own = set(range(_BUCKETS))
        """The indexes of the buckets that no snapshot shares."""

    def get(self, path: str) -> T | None:
        return self._buckets[hash(path) % _BUCKETS].get(path)

    def __contains__(self, path: str) -> bool:
        return path in self._buckets[hash(path) % _BUCKETS]

    def __setitem__(self, path: str, value: T) -> None:
        self._bucket(path)[path] = value

    def pop(self, path: str) -> T | None:
        """Remove the entry, and return its value; None if there is none."""
        return self._bucket(path).pop(path) if path in self else None

    def snapshot(self) -> SnapshotDict[T]:
        """A copy. Later changes of either one do not change the other."""
        copied: SnapshotDict[T] = SnapshotDict.__new__(SnapshotDict)
        copied._buckets, copied._own = self._buckets.copy(), set()
        self._own = set()
        return copied

    def _bucket(self, path: str) -> dict[str, T]:
        """The bucket of the path, which may be changed."""
        index = hash(path) % _BUCKETS
        if index not in self._own:
            self._buckets[index] = self._buckets[index].copy()
            self._own.add(index)
        return self._buckets[index]


class FileTable(Sequence[PlannedFile]):
    """Files in the order of reading. It only grows. Each access makes a new PlannedFile."""

    def __init__(self, files: Iterable[PlannedFile] = ()) -> None:
        self._members: list[tuple[Any, ...]] = []
        self._folders: list[str] = []
        self._channels: list[Channel] = []
        self._known: dict[Channel, Channel] = {}
        self._length: int | None = None
        """Of a frozen table, which shares its lists with the table that grows on; else None."""
        self._frozen: FileTable | None = None
        """The last frozen copy."""
        self.extend(files)

    def extend(self, files: Iterable[PlannedFile]) -> None:
        """Add files at the end."""
        for member, folder, channel in files:
            self._members.append(tuple(member))
            self._folders.append(folder)
            self._channels.append(self._known.setdefault(channel, channel))

    def folder(self, index: int) -> str:
        """The folder of a file."""
        return self._folders[index]

    def path(self, index: int) -> str:
        """The path of a file."""
        path: str = self._members[index][0]
        return path

    def frozen(self) -> FileTable:
        """A view of the present files. While the table does not grow, it is the same object."""
        if self._frozen is None or len(self._frozen) != len(self):
            frozen = FileTable()
            frozen._members, frozen._folders = self._members, self._folders
            frozen._channels, frozen._length = self._channels, len(self)
            self._frozen = frozen
        return self._frozen

    def __len__(self) -> int:
        return len(self._members) if self._length is None else self._length

    @overload
    def __getitem__(self, index: int) -> PlannedFile: ...
    @overload
    def __getitem__(self, index: slice) -> FileTable: ...
    def __getitem__(self, index: int | slice) -> PlannedFile | FileTable:
        numbers = range(len(self))[index]
        if isinstance(numbers, int):
            member, folder = self._members[numbers], self._folders[numbers]
            return PlannedFile(Member(*member), folder, self._channels[numbers])
        part = FileTable()
        part._members = [self._members[number] for number in numbers]
        part._folders = [self._folders[number] for number in numbers]
        part._channels = [self._channels[number] for number in numbers]
        return part


class EndedFiles:
    """The progress of the files that have ended, by path, pickled."""

    def __init__(self) -> None:
        self._packed: SnapshotDict[bytes] = SnapshotDict()

    def get(self, path: str) -> FileProgress | None:
        """The progress, for reading only; None if the file has not ended."""
        return None if (packed := self._packed.get(path)) is None else _unpacked(packed)

    def __contains__(self, path: str) -> bool:
        return path in self._packed

    def add(self, path: str, file: FileProgress) -> None:
        """Keep the progress. It must not change any more."""
        self._packed[path] = _packed(file)

    def frozen(self) -> EndedFiles:
        """A copy that no later call changes."""
        copied = EndedFiles.__new__(EndedFiles)
        copied._packed = self._packed.snapshot()
        return copied


def _packed(file: FileProgress) -> bytes:
    account = file.account
    return pickle.dumps(
        (
            file.step.value, file.bytes_read, file.began, file.ended, file.bad, file.reason,
            account.read, account.inserted, account.already_there, account.updated, account.filtered,
            _plain(account.discarded), _plain(account.skipped), account.reactions, account.repaired,
        ),
        pickle.HIGHEST_PROTOCOL,
    )  # fmt: skip


def _plain(counts: Mapping[str, int]) -> dict[str, int]:
    return {str(name): number for name, number in counts.items()}


def _unpacked(packed: bytes) -> FileProgress:
    step, bytes_read, began, ended, bad, reason, *account = pickle.loads(packed)  # noqa: S301 packed here
    return FileProgress(FileStep(step), Account(*account), bytes_read, began, ended, bad, reason)
