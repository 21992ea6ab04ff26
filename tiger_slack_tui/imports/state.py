"""The state of a running import or check, as views show it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.imports.file_table import EndedFiles, FileProgress, FileTable
from tiger_slack_tui.imports.ledger import FolderProgress, ImportLedger, WorkerProgress
from tiger_slack_tui.imports.progress_events import (
    FilesListed,
    ImportEvent,
    ImportNote,
)
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.result import ImportResult
from tiger_slack_tui.store.import_account import Account, ImportProblem
from tiger_slack_tui.store.imports import ImportOutcome

KEPT_PROBLEMS = 10_000
"""Problems that are kept in memory. All are counted, and stored in slack.import_problem."""
_KEPT_NOTES = 500


class Phase(StrEnum):
    """What an import is doing."""

    LISTING = "listing"
    READING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    """For live events."""
    STOPPING = "stopping"
    ENDING = "finishing"
    """All files are read. The import counts what is committed, and compresses old chunks."""
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (Phase.DONE, Phase.STOPPED, Phase.FAILED)


@dataclass(frozen=True, slots=True)
class TimedNote:
    """An ImportNote, and when it came, in seconds since 1970."""

    at: float
    text: str
    is_warning: bool


class ImportState:
    """The state of one import or check. Only the event loop uses it. Its size is bounded by the number of files."""

    def __init__(
        self, request: ImportRequest, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` counts seconds."""
        self.request = request
        self.ledger = ImportLedger(clock, on_ended=self._keep_ended, on_bad=self._keep_bad)
        self.began = clock()
        self.ended: float | None = None
        self.files = FileTable()
        """In the order of reading."""
        self.days: tuple[str, str] | None = None
        """The first and the last day that has a file."""
        self.bad_files = FileTable()
        """Files with a bad record, and files that could not be read to their end."""
        self.problems: deque[ImportProblem] = deque(maxlen=KEPT_PROBLEMS)
        self.notes: deque[TimedNote] = deque(maxlen=_KEPT_NOTES)
        self.first_open_index = 0
        """The index of the first file that has not ended. Views show the files around it: the workers are at
        different channels, and the view would jump between them."""
        self.result: ImportResult | None = None
        self.error: TigerSlackError | None = None
        self.report: Path | None = None
        """The file that the result was written to."""
        self.is_paused = False
        self.is_stopping = False
        self.waits_for: str | None = None
        """Why it waits for live events; None if it does not."""
        self._clock = clock
        self._ended_files = EndedFiles()
        self._index: dict[str, int] = {}

    def handle(self, event: ImportEvent) -> None:
        """Add the event's files, problem or note to the lists that views show. The ledger has counted the event."""
        match event:
            case FilesListed(files):
                self._list(files)
            case ImportProblem():
                self.problems.append(event)
            case ImportNote(text, is_warning):
                self.notes.append(TimedNote(time.time(), text, is_warning))

    @property
    def total(self) -> Account:
        """Everything that is committed."""
        return self.ledger.total

    @property
    def folders(self) -> dict[str, FolderProgress]:
        return self.ledger.folders

    @property
    def workers(self) -> dict[int, WorkerProgress]:
        """By process id."""
        return self.ledger.workers

    @property
    def is_planned(self) -> bool:
        """Whether the plan is made."""
        return self.ledger.is_planned

    @property
    def left_out(self) -> Mapping[str, int]:
        """The number of files that are not read, by reason."""
        return self.ledger.left_out

    @property
    def unmapped(self) -> Mapping[str, int]:
        """The number of files of each folder without a channel."""
        return self.ledger.unmapped

    @property
    def resumed(self) -> datetime | None:
        """When the import began that this run continues; None if it continues none."""
        return self.ledger.resumed

    @property
    def phase(self) -> Phase:
        if self.ended is not None:
            if self.error is not None:
                return Phase.FAILED
            is_done = self.result is not None and self.result.outcome == ImportOutcome.DONE
            return Phase.DONE if is_done else Phase.STOPPED
        if self.is_stopping:
            return Phase.STOPPING
        if not self.is_planned:
            return Phase.LISTING
        if self.is_paused:
            return Phase.PAUSED
        if self.waits_for is not None:
            return Phase.WAITING
        return Phase.ENDING if self.ledger.files_done >= self.ledger.files else Phase.READING

    @property
    def share(self) -> float:
        """The share of the bytes that is read, from 0 to 1."""
        if self.phase is Phase.DONE:
            return 1.0
        return self.ledger.bytes_read / self.ledger.bytes if self.ledger.bytes else 0.0

    @property
    def seconds(self) -> float:
        """The time since it began, until now or its end."""
        return (self._clock() if self.ended is None else self.ended) - self.began

    @property
    def rate(self) -> float:
        """Records per second in the last minute of work; after the end, in all of it."""
        return self.ledger.rate

    @property
    def seconds_left(self) -> float | None:
        """The estimated time to the end; None if it is unknown."""
        return self.ledger.seconds_left if self.phase in (Phase.READING, Phase.WAITING) else None

    @property
    def num_bad(self) -> int:
        """Bad records, and files that could not be read to their end, in this run and those that it continues."""
        return max(self.ledger.problems, self.total.bad + self.num_failed)

    @property
    def num_failed(self) -> int:
        """Files that could not be read to their end."""
        return self.ledger.files_failed

    def planned(self, path: str) -> PlannedFile | None:
        """The file of messages with this path; None if there is none."""
        index = self._index.get(path)
        # A frozen copy shares the index, which may know of later files.
        return None if index is None or index >= len(self.files) else self.files[index]

    def file(self, path: str) -> FileProgress | None:
        """How far a file is; None if it was not begun."""
        return self.ledger.open_files.get(path) or self._ended_files.get(path)

    def seconds_of(self, file: FileProgress) -> float:
        """The time since the file was begun, until now or its end."""
        return (self._clock() if file.ended is None else file.ended) - file.began

    def silence_of(self, worker: WorkerProgress) -> float:
        """Seconds since the worker last reported something."""
        return self._clock() - worker.since

    def hold(self, *, paused: bool, waits_for: str | None) -> None:
        """Set whether batches are held, for the operator (`paused`) or for live events (`waits_for`)."""
        was_held = self.is_paused or self.waits_for is not None
        self.is_paused, self.waits_for = paused, waits_for
        if paused or waits_for is not None:
            self.ledger.pause()
        elif was_held:
            self.ledger.resume()

    def replace_problems(self, problems: Sequence[ImportProblem], number: int) -> None:
        """Set the problems of all runs of this import: the first `problems` of `number`."""
        self.problems = deque(problems, maxlen=KEPT_PROBLEMS)
        self.ledger.problems = number

    def frozen(self) -> ImportState:
        """A copy of this moment. No later event changes it, and its clock stands still.

        It takes some microseconds, however many files there are: views get such a copy several times a second.
        """
        now = self._clock()
        copied = copy(self)
        copied._clock = lambda: now
        copied.ledger = self.ledger.frozen()
        copied.files, copied.bad_files = self.files.frozen(), self.bad_files.frozen()
        copied.problems, copied.notes = self.problems.copy(), self.notes.copy()
        copied._ended_files = self._ended_files.frozen()
        return copied

    def end(self, result: ImportResult | None, error: TigerSlackError | None) -> None:
        """Record that it has ended. `result` is None if an error ended it."""
        self.result, self.error = result, error
        self.ended = self._clock()
        self.ledger.end()

    def _list(self, files: Sequence[PlannedFile]) -> None:
        for index, planned in enumerate(files, len(self.files)):
            self._index[planned.member.path] = index
        self.files.extend(files)
        days = {planned.member.path[-15:-5] for planned in files} | set(self.days or ())
        self.days = (min(days), max(days)) if days else None

    def _keep_ended(self, path: str, file: FileProgress) -> None:
        self._ended_files.add(path, file)
        while self.first_open_index < len(self.files) - 1 and self._has_ended(
            self.first_open_index
        ):
            self.first_open_index += 1

    def _has_ended(self, index: int) -> bool:
        return self.files.path(index) in self._ended_files

    def _keep_bad(self, path: str) -> None:
        if (index := self._index.get(path)) is not None:
            self.bad_files.extend([self.files[index]])
