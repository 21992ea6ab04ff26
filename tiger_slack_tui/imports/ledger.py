"""The ledger of a running import: what its events say of its files, records and workers.

It is the only place that interprets the events. Views read it through `ImportState`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.imports.file_table import FileProgress, FileStep
from tiger_slack_tui.imports.progress_events import (
    FileDone,
    FileFailed,
    FileResumed,
    FileSkipped,
    FilesListed,
    FileStarted,
    ImportEvent,
    Planned,
    RecordsMerged,
)
from tiger_slack_tui.imports.rate import LEAST_SECONDS, WorkRate
from tiger_slack_tui.store.import_account import Account, ImportProblem, is_bad
from tiger_slack_tui.store.import_files import CommittedFile


@dataclass(slots=True)
class FolderProgress:
    """A channel's folder. `channel` is its id; None if it is unknown, and the files are not read."""

    name: str
    channel: ChannelId | None
    files: int = 0
    bytes: int = 0
    done: int = 0
    account: Account = field(default_factory=Account)


@dataclass(slots=True)
class WorkerProgress:
    """A worker process. `path` is the newest file that it began; None once it has ended that file."""

    path: str | None
    since: float
    """When it last reported something."""


@dataclass(slots=True)
class ImportLedger:
    """Counts what the events of an import report. Every count that is shown or saved comes from here.

    `clock` counts seconds. A file that has ended leaves the ledger for `on_ended`, because there can be very many.
    """

    clock: Callable[[], float] = time.monotonic
    files: int = 0
    bytes: int = 0
    files_done: int = 0
    """Files that are accounted for, with those that failed."""
    files_failed: int = 0
    """Files that could not be read to their end."""
    problems: int = 0
    """ImportProblems."""
    records: int = 0
    """Records that this run has merged."""
    total: Account = field(default_factory=Account)
    """Everything that is committed, by this run and by those that it continues."""
    folders: dict[str, FolderProgress] = field(default_factory=dict)
    open_files: dict[str, FileProgress] = field(default_factory=dict)
    """The files that were begun and have not ended, by path."""
    workers: dict[int, WorkerProgress] = field(default_factory=dict)
    """By process id."""
    is_planned: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)
    """The number of files that are not read, by reason."""
    unmapped: Mapping[str, int] = field(default_factory=dict)
    """The number of files of each folder without a channel."""
    resumed: datetime | None = None
    """When the import began that this run continues; None if it continues none."""
    on_ended: Callable[[str, FileProgress], None] = lambda path, file: None
    """Called with each file that has ended. It does not change any more."""
    on_bad: Callable[[str], None] = lambda path: None
    """Called with the path of a file at its first problem."""
    bytes_skipped: int = 0
    """Bytes of the files that an earlier run has read."""
    _bytes_ended: int = 0
    _folder_names: dict[str, str] = field(default_factory=dict)
    """The folder of each file, by path."""
    _frozen_folders: dict[str, FolderProgress] | None = None
    """The folders as of the last `frozen`; None if one has changed since."""
    _own: set[str] = field(default_factory=set)
    """The names of the folders that no frozen copy shares."""
    _rate: WorkRate = field(init=False)

    def __post_init__(self) -> None:
        self._rate = WorkRate(self.clock)

    def handle(self, event: ImportEvent) -> None:
        """Count what the event reports."""
        match event:
            case Planned(files, size, left_out, resumed):
                self.files, self.bytes = files, size
                self.left_out, self.resumed, self.is_planned = left_out, resumed, True
                self._rate.add(0, 0)
            case FilesListed(files, unmapped):
                self._list(files, unmapped)
            case FileStarted(path, worker):
                self._open(path)
                self.workers[worker] = WorkerProgress(path, self.clock())
            case FileResumed(path, account):
                self._resume(path, account)
            case RecordsMerged(path, account, bytes_read):
                self._merge(path, account, bytes_read)
            case FileSkipped(path, size, account, failure):
                self._skip(path, size, account, failure)
            case FileDone(path, size):
                self._end(path, size, FileStep.DONE)
            case FileFailed(path, size, reason):
                self._mark_bad(path, reason)
                self._end(path, size, FileStep.FAILED)
            case ImportProblem(path, position, reason):
                self.problems += 1
                if path in self._folder_names:
                    self._open(path).bad += position is not None
                    self._mark_bad(path, reason)

    @property
    def paths(self) -> Iterable[str]:
        """The paths of all files."""
        return self._folder_names.keys()

    @property
    def bytes_read(self) -> int:
        return self._bytes_ended + sum(file.bytes_read for file in self.open_files.values())

    @property
    def rate(self) -> float:
        """Records per second in the last minute of work; after `end`, in all of it. 0 until it is known."""
        seconds, records = self._rate.seconds, self.records
        if not self._rate.has_ended:
            seconds, records, _ = self._recent()
        return records / seconds if seconds > LEAST_SECONDS else 0.0

    @property
    def seconds_left(self) -> float | None:
        """The estimated time to the end, by the last minute of work; None until it is known."""
        seconds, _, size = self._recent()
        if size <= 0 or seconds < LEAST_SECONDS:
            return None
        return (self.bytes - self.bytes_read) * seconds / size

    def pause(self) -> None:
        """Stop the time that counts for the rate."""
        self._rate.pause()

    def resume(self) -> None:
        """Continue the time that counts for the rate. The workers were not silent meanwhile: they were held."""
        self._rate.resume()
        now = self.clock()
        for worker in self.workers.values():
            worker.since = now

    def end(self) -> None:
        """Record the end of the import."""
        self._rate.end()
        self.workers.clear()

    def begun_folders(self) -> list[FolderProgress]:
        """The folders of which something is accounted for, by name."""
        folders = sorted(self.folders.values(), key=lambda folder: folder.name)
        return [folder for folder in folders if folder.done or folder.account.read]

    def without_counts(self) -> ImportLedger:
        """A ledger of the same files, of which nothing is counted."""
        folders = {
            name: replace(folder, done=0, account=Account())
            for name, folder in self.folders.items()
        }
        return ImportLedger(
            self.clock,
            self.files,
            self.bytes,
            folders=folders,
            _folder_names=self._folder_names,
            _own=set(folders),
        )

    def add_committed(self, file: CommittedFile) -> None:
        """Count a file by its row in the database."""
        name = self._folder_names.get(file.path) or PurePosixPath(file.path).parent.name
        if name not in self.folders:
            self._add_folder(FolderProgress(name, None))
        folder = self._own_folder(name)
        folder.account.add(file.account)
        folder.done += file.is_done
        self.total.add(file.account)
        self.files_done += file.is_done
        self.files_failed += file.is_done and file.error is not None

    def frozen(self) -> ImportLedger:
        """A copy that no later event changes, and whose clock stands still. It shares the folders.

        While no folder changes, `folders` of all copies is the same object.
        """
        now = self.clock()
        if self._frozen_folders is None:
            self._frozen_folders, self._own = self.folders.copy(), set()
        copied = replace(
            self,
            clock=lambda: now,
            total=self.total.copy(),
            folders=self._frozen_folders,
            _own=set(),
            open_files={
                path: replace(file, account=file.account.copy())
                for path, file in self.open_files.items()
            },
            workers={pid: replace(worker) for pid, worker in self.workers.items()},
        )
        copied._rate = self._rate.frozen(now)
        return copied

    def _recent(self) -> tuple[float, int, int]:
        """Seconds, records and bytes of the last minute of work."""
        return self._rate.recent(self.records, self.bytes_read - self.bytes_skipped)

    def _sample(self) -> None:
        if self._rate.is_due:
            self._rate.add(self.records, self.bytes_read - self.bytes_skipped)

    def _list(self, files: Iterable[PlannedFile], unmapped: Mapping[str, int]) -> None:
        for planned in files:
            self._folder_names[planned.member.path] = planned.folder
            if planned.folder not in self.folders:
                self._add_folder(FolderProgress(planned.folder, planned.channel.id))
            folder = self._own_folder(planned.folder)
            folder.files += 1
            folder.bytes += planned.member.size
        for name, number in unmapped.items():
            self._add_folder(FolderProgress(name, None, number))
        self.unmapped = {**self.unmapped, **unmapped}  # a frozen copy keeps the earlier one

    def _add_folder(self, folder: FolderProgress) -> None:
        self.folders[folder.name] = folder
        self._own.add(folder.name)
        self._frozen_folders = None

    def _own_folder(self, name: str) -> FolderProgress:
        """The folder, to change its counts. A frozen copy keeps the folder that it shares."""
        if name not in self._own:
            folder = self.folders[name]
            self._add_folder(replace(folder, account=folder.account.copy()))
        return self.folders[name]

    def _open(self, path: str) -> FileProgress:
        if (file := self.open_files.get(path)) is None:
            file = self.open_files[path] = FileProgress(began=self.clock())
        return file

    def _resume(self, path: str, account: Account) -> None:
        """A worker that was at the file has died. The next one continues from what is committed."""
        for pid in [pid for pid, worker in self.workers.items() if worker.path == path]:
            del self.workers[pid]
        if path in self.open_files or account.read:
            self._replace(path, account)

    def _merge(self, path: str, account: Account, bytes_read: int) -> None:
        self.records += account.read
        file = self._open(path)
        file.bytes_read = bytes_read
        for counts in (*self._counts(path), file.account):
            counts.add(account)
        now = self.clock()
        for worker in self.workers.values():
            if worker.path == path:
                worker.since = now
        self._sample()

    def _skip(self, path: str, size: int, account: Account, failure: str | None) -> None:
        self._replace(path, account)
        self._open(path).bad = account.bad
        bad = (reason for reason in account.skipped if is_bad(reason))
        if (reason := failure or next(bad, None)) is not None:
            self._mark_bad(path, reason)
        self.bytes_skipped += size
        self._end(path, size, FileStep.KNOWN if failure is None else FileStep.FAILED)

    def _mark_bad(self, path: str, reason: str) -> None:
        file = self._open(path)
        if file.reason is None:
            file.reason = reason
            self.on_bad(path)

    def _replace(self, path: str, account: Account) -> None:
        """Count `account` in place of what was counted of the file."""
        file = self._open(path)
        for counts in self._counts(path):
            counts.subtract(file.account)
            counts.add(account)
        file.account = account.copy()

    def _counts(self, path: str) -> list[Account]:
        """The accounts that the file is part of."""
        name = self._folder_names.get(path)
        return [self.total] if name is None else [self.total, self._own_folder(name).account]

    def _end(self, path: str, size: int, step: FileStep) -> None:
        now = self.clock()
        file = self._open(path)
        file.step, file.bytes_read, file.ended = step, size, now
        del self.open_files[path]
        for worker in self.workers.values():
            if worker.path == path:
                worker.path, worker.since = None, now
        self.files_done += 1
        self.files_failed += step is FileStep.FAILED
        self._bytes_ended += size
        if (name := self._folder_names.get(path)) is not None:
            self._own_folder(name).done += 1
        self._sample()
        self.on_ended(path, file)
