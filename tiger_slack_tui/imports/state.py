"""How an import, or the check of one, stands: it hears what they tell, and whoever shows it samples it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.imports.events import (
    FileDone,
    FileFailed,
    FileResumed,
    FileSkipped,
    FilesListed,
    FileStarted,
    ImportEvent,
    ImportNote,
    Planned,
    RecordsMerged,
)
from tiger_slack_tui.imports.file_table import FileProgress, FileProgressTable, FileStep, FileTable
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.result import ImportResult, Tally
from tiger_slack_tui.store.import_account import Account, ImportProblem, is_bad

KEPT_PROBLEMS = 10_000
"""Bad records that are kept in memory; all are counted, and in slack.import_problem."""
_NOTES = 500
_WINDOW = 60.0
"""Seconds that the rate is taken over, ..."""
_LEAST = 0.5
"""... at least."""


class Phase(StrEnum):
    """What an import is at."""

    LISTING = "listing"
    READING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    """For live events."""
    STOPPING = "stopping"
    ENDING = "finishing"
    """All files are accounted for; what is left is to compare, and to compress old chunks."""
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (Phase.DONE, Phase.STOPPED, Phase.FAILED)


@dataclass(slots=True)
class FolderProgress:
    """A channel's folder. Without `channel`, none is known, and its files are not read."""

    name: str
    channel: str | None
    files: int = 0
    bytes: int = 0
    done: int = 0
    account: Account = field(default_factory=Account)


@dataclass(slots=True)
class WorkerProgress:
    """A worker process, and the newest file that it began."""

    path: str | None
    since: float
    """When it was last heard of."""


@dataclass(frozen=True, slots=True)
class TimedNote:
    """Something worth telling, at a time of day."""

    at: float
    text: str
    is_warning: bool


class ImportState:
    """The state of one check or import. Only the event loop touches it; everything in it is bounded by its files."""

    def __init__(
        self, request: ImportRequest, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.request = request
        self.tally = Tally()
        self.began = clock()
        self.ended: float | None = None
        self.files = FileTable()
        """In the order of reading."""
        self.days: tuple[str, str] | None = None
        """The first and the last day that a file is of."""
        self.unmapped: dict[str, int] = {}
        """Files of folders without a channel."""
        self.left_out: Mapping[str, int] = {}
        """Files that are not read, by reason."""
        self.resumed: datetime | None = None
        self.folders: dict[str, FolderProgress] = {}
        self.readers: dict[int, WorkerProgress] = {}
        self.total = Account()
        self.bad_files: list[PlannedFile] = []
        """With a bad record, or not read to their end."""
        self.problems: deque[ImportProblem] = deque(maxlen=KEPT_PROBLEMS)
        self.num_problems = 0
        self.notes: deque[TimedNote] = deque(maxlen=_NOTES)
        self.front = 0
        """Index of the first file that has not ended: workers are at different channels, and what is shown shall not
        jump between them."""
        self.result: ImportResult | None = None
        self.error: TigerSlackError | None = None
        self.report: Path | None = None
        """Where the account was written."""
        self.is_planned = False
        self.is_paused = False
        self.is_stopping = False
        self.waits_for: str | None = None
        """Why it waits for live events; None where it does not."""
        self._clock = clock
        self._begun = FileProgressTable()
        self._index: dict[str, int] = {}
        self._skipped_bytes = 0
        self._failed_before = 0
        self._marks: deque[tuple[float, int, int]] = deque()
        """(when, records, bytes read in this run), about one a second of work."""
        self._idle = 0.0
        """Seconds that it was held up, which count for no rate."""
        self._held_since: float | None = None

    def handle(self, event: ImportEvent) -> None:
        """Take in what the import tells. Takes no time to speak of."""
        self.tally.handle(event)
        match event:
            case Planned(skipped=skipped, resumed=resumed):
                self.left_out, self.resumed, self.is_planned = skipped, resumed, True
            case FilesListed(files, unmapped):
                self._list(files, unmapped)
            case FileStarted(path, _, _, worker):
                self._begin(path, worker)
            case FileResumed(path, account):
                self._know(path, account)
            case RecordsMerged(path, account, bytes_read):
                self._count(path, account, bytes_read)
            case FileDone(path, size):
                self._end(path, size, FileStep.DONE)
            case FileSkipped(path, size, account, failure):
                self._skipped_bytes += size
                self._count(path, account, size)
                step = FileStep.KNOWN if failure is None else FileStep.FAILED
                self._know_bad(path, self._end(path, size, step), failure)
            case FileFailed(path, size, reason):
                file = self._end(path, size, FileStep.FAILED)
                self._blame(path, file, reason)
            case ImportProblem(path, position, reason):
                self.num_problems += 1
                self.problems.append(event)
                file = self._begun.begin(path, self._clock())
                file.bad += position is not None
                self._blame(path, file, reason)
            case ImportNote(text, is_warning):
                self.notes.append(TimedNote(time.time(), text, is_warning))
        if not isinstance(event, Planned | FilesListed | ImportNote):
            self._begun.settle(event.path)

    @property
    def phase(self) -> Phase:
        if self.ended is not None:
            if self.error is not None:
                return Phase.FAILED
            is_done = self.result is not None and self.result.outcome == "done"
            return Phase.DONE if is_done else Phase.STOPPED
        if self.is_stopping:
            return Phase.STOPPING
        if not self.is_planned:
            return Phase.LISTING
        if self.is_paused:
            return Phase.PAUSED
        if self.waits_for is not None:
            return Phase.WAITING
        return Phase.ENDING if self.tally.files_done >= self.tally.files else Phase.READING

    @property
    def share(self) -> float:
        """Of the bytes, how many are read."""
        if self.phase is Phase.DONE:
            return 1.0
        return self.tally.bytes_read / self.tally.bytes if self.tally.bytes else 0.0

    @property
    def seconds(self) -> float:
        """How long it takes, or took."""
        return (self._clock() if self.ended is None else self.ended) - self.began

    @property
    def rate(self) -> float:
        """Records a second over the last minute that it worked; of one that ended, over all of it."""
        seconds, records = self._worked() - self.began, self.tally.records
        if self.ended is None:
            seconds, records, _ = self._recent()
        return records / seconds if seconds > _LEAST else 0.0

    @property
    def seconds_left(self) -> float | None:
        """None while nothing tells."""
        seconds, _, size = self._recent()
        if size <= 0 or seconds < _LEAST or self.phase not in (Phase.READING, Phase.WAITING):
            return None
        return (self.tally.bytes - self.tally.bytes_read) * seconds / size

    @property
    def num_bad(self) -> int:
        """Bad records, and files that could not be read to their end, also of the runs before."""
        return max(self.num_problems, self.total.bad + self.num_failed)

    @property
    def num_failed(self) -> int:
        """Files that could not be read to their end."""
        return self.tally.files_failed + self._failed_before

    def planned(self, path: str) -> PlannedFile | None:
        """The file of that path; None where it is none of messages."""
        index = self._index.get(path)
        return None if index is None else self.files[index]

    def file(self, path: str) -> FileProgress | None:
        """How far a file is; None where it was not begun."""
        return self._begun.get(path)

    def took(self, file: FileProgress) -> float:
        """Seconds that the file takes, or took."""
        return (self._clock() if file.ended is None else file.ended) - file.began

    def silent(self, reader: WorkerProgress) -> float:
        """Seconds since the worker was heard of."""
        return self._clock() - reader.since

    def hold(self, *, paused: bool, waits_for: str | None) -> None:
        """Note that no further batch begins, or that they do again."""
        was_held = self.is_paused or self.waits_for is not None
        self.is_paused, self.waits_for = paused, waits_for
        now = self._clock()
        if (paused or waits_for is not None) and not was_held:
            self._held_since = now
        elif was_held and not paused and waits_for is None and self._held_since is not None:
            self._idle += now - self._held_since
            self._held_since = None
            for reader in self.readers.values():
                reader.since = now

    def recall(self, problems: Sequence[ImportProblem], number: int) -> None:
        """Take what was wrong in all runs of this import: the first `problems` of `number`."""
        self.problems = deque(problems, maxlen=KEPT_PROBLEMS)
        self.num_problems = number

    def still(self) -> ImportState:
        """A copy that shows this moment for ever: no event and no time changes it."""
        now = self._clock()
        copied = copy(self)
        copied._clock = lambda: now
        copied.tally = replace(self.tally, paths=dict(self.tally.paths))
        copied.files, copied.bad_files = self.files[:], self.bad_files[:]
        copied.folders = {
            name: replace(folder, account=_copied(folder.account))
            for name, folder in self.folders.items()
        }
        copied.readers = {pid: copy(reader) for pid, reader in self.readers.items()}
        copied.total = _copied(self.total)
        copied.problems, copied.notes = self.problems.copy(), self.notes.copy()
        copied._marks = self._marks.copy()
        copied._begun = self._begun.still()
        return copied

    def end(self, result: ImportResult | None, error: TigerSlackError | None) -> None:
        """It has ended, one way or another."""
        self.result, self.error = result, error
        self.ended = self._clock()
        self.readers.clear()

    def _list(self, files: Sequence[PlannedFile], unmapped: Mapping[str, int]) -> None:
        for index, planned in enumerate(files, len(self.files)):
            self._index[planned.member.path] = index
            folder = self.folders.get(planned.folder)
            if folder is None:
                folder = FolderProgress(planned.folder, planned.channel.id)
                self.folders[planned.folder] = folder
            folder.files += 1
            folder.bytes += planned.member.size
        self.files.extend(files)
        self.unmapped |= unmapped
        days = {planned.member.path[-15:-5] for planned in files} | set(self.days or ())
        self.days = (min(days), max(days)) if days else None
        for name, number in unmapped.items():
            self.folders[name] = FolderProgress(name, None, number)
        if not self._marks:
            self._marks.append((self._worked(), 0, 0))

    def _begin(self, path: str, worker: int) -> None:
        now = self._clock()
        self._begun.begin(path, now)
        self.readers[worker] = WorkerProgress(path, now)

    def _know(self, path: str, account: Account) -> None:
        """Count what is committed of a file in place of what was counted of it.

        A worker that was at the file has died: the next one reads it from there.
        """
        for pid in [pid for pid, reader in self.readers.items() if reader.path == path]:
            del self.readers[pid]
        file = self._begun.get(path)
        counted = Account() if file is None else file.account
        sums = [self.total]
        if (index := self._index.get(path)) is not None:
            sums.append(self.folders[self.files.folder(index)].account)
        for each in sums:
            each.subtract(counted)
            each.add(account)
        if file is not None or account.read:
            file = self._begun.begin(path, self._clock())
            file.account = Account()
            file.account.add(account)

    def _count(self, path: str, account: Account, bytes_read: int) -> None:
        now = self._clock()
        file = self._begun.begin(path, now)
        file.account.add(account)
        file.bytes_read = bytes_read
        self.total.add(account)
        if (index := self._index.get(path)) is not None:
            self.folders[self.files.folder(index)].account.add(account)
        for reader in self.readers.values():
            if reader.path == path:
                reader.since = now
        self._mark()

    def _end(self, path: str, size: int, step: FileStep) -> FileProgress:
        now = self._clock()
        file = self._begun.begin(path, now)
        file.step, file.bytes_read, file.ended = step, size, now
        if (index := self._index.get(path)) is not None:
            self.folders[self.files.folder(index)].done += 1
        for reader in self.readers.values():
            if reader.path == path:
                reader.path, reader.since = None, now
        while self.front < len(self.files) - 1 and self._has_ended(self.front):
            self.front += 1
        self._mark()
        return file

    def _has_ended(self, index: int) -> bool:
        return self._begun.has_ended(self.files.path(index))

    def _blame(self, path: str, file: FileProgress, reason: str) -> None:
        index = self._index.get(path)
        if file.reason is None and index is not None:
            self.bad_files.append(self.files[index])
        file.reason = file.reason or reason

    def _know_bad(self, path: str, file: FileProgress, failure: str | None) -> None:
        """What was bad before is bad still."""
        file.bad = file.account.bad
        self._failed_before += failure is not None
        bad = (reason for reason in file.account.skipped if is_bad(reason))
        if (reason := failure or next(bad, None)) is not None:
            self._blame(path, file, reason)

    def _worked(self) -> float:
        """Seconds of work until now."""
        now = self._clock() if self.ended is None else self.ended
        return (now if self._held_since is None else self._held_since) - self._idle

    def _mark(self) -> None:
        now = self._worked()
        if self._marks and now - self._marks[-1][0] < 1:
            return
        self._marks.append((now, self.tally.records, self.tally.bytes_read - self._skipped_bytes))
        while now - self._marks[0][0] > _WINDOW:
            self._marks.popleft()

    def _recent(self) -> tuple[float, int, int]:
        """Seconds, records and bytes of the last minute of work."""
        if not self._marks:
            return 0.0, 0, 0
        began, records, size = self._marks[0]
        read = self.tally.bytes_read - self._skipped_bytes
        return self._worked() - began, self.tally.records - records, read - size


def _copied(account: Account) -> Account:
    return replace(account, discarded=dict(account.discarded), skipped=dict(account.skipped))
