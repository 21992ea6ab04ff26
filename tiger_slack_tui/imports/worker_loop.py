"""Keeps worker processes busy with files, and reports what they commit."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable

from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.imports.archive.plan import NumberedFile, PlannedFile
from tiger_slack_tui.imports.control import ImportControl
from tiger_slack_tui.imports.file_queue import FileQueue
from tiger_slack_tui.imports.progress_events import (
    FileDone,
    FileFailed,
    FileResumed,
    FileSkipped,
    FileStarted,
    ImportEvent,
    RecordsMerged,
)
from tiger_slack_tui.imports.workers import protocol
from tiger_slack_tui.imports.workers.handle import WorkerProcess, failure_of
from tiger_slack_tui.store.import_account import Account, ImportProblem

log = logging.getLogger(__name__)


class WorkerLoop:
    """Gives the files of a queue to workers. Call `run` once for each worker, in a task."""

    def __init__(
        self,
        queue: FileQueue,
        control: ImportControl,
        start_worker: Callable[[], Awaitable[WorkerProcess]],
        on_event: Callable[[ImportEvent], None],
    ) -> None:
        """`start_worker` starts a worker in place of one that has crashed."""
        self._queue = queue
        self._control = control
        self._start_worker = start_worker
        self._on_event = on_event

    async def run(self, worker: WorkerProcess) -> None:
        """Give the worker command after command until no files are left. Replace it when it crashes.

        Raises DatabaseUnavailable, ImportFailed.
        """
        commands: deque[protocol.ReadFiles] = self._queue.new_worker()
        while True:
            while not self._control.is_cancelled and (
                command := self._queue.next_command(commands)
            ):
                worker.send(command)
            if not commands:
                return
            left = await self._follow(worker, commands[0])
            if not left:
                commands.popleft()
                continue
            self._queue.give_back(left, commands)
            for _, planned in left:  # until the next worker reports what is committed of the file
                self._on_event(FileResumed(planned.member.path, Account()))
            worker = await self._start_worker()

    async def _follow(
        self, worker: WorkerProcess, command: protocol.ReadFiles
    ) -> list[NumberedFile]:
        """Handle the worker's reports until it has read the files; the files that are left after a crash."""
        files_open = dict(command.batch.files())
        files = list(files_open)
        while True:
            match await worker.receive():
                case protocol.FileKnown() as known:
                    self._handle_known(known, files_open)
                case protocol.BatchDone() as batch:
                    self._handle_batch(batch, files_open, worker.pid)
                    await self._control.wait()
                    worker.send(protocol.Permit())
                case protocol.FilesRead():
                    return []
                case protocol.DatabaseFailed(reason):
                    raise DatabaseUnavailable(reason)
                case _ as report:
                    if self._control.is_cancelled:
                        return []
                    if report is None:
                        log.error("a worker of the import was killed")
                    if not command.crashed.isdisjoint(files):
                        raise failure_of(report)
                    # After a crash the files are read one by one. After two more, the file is not opened again.
                    if len(files) == 1:
                        self._queue.count_crash(files[0])
                    return list(files_open.items())

    def _handle_known(self, known: protocol.FileKnown, files_open: dict[int, PlannedFile]) -> None:
        """Report what is already committed of a file."""
        member = files_open[known.number].member
        if not known.is_done:
            self._on_event(FileResumed(member.path, known.account))
            return
        del files_open[known.number]
        self._on_event(FileSkipped(member.path, member.size, known.account, known.failure))

    def _handle_batch(
        self, batch: protocol.BatchDone, files_open: dict[int, PlannedFile], pid: int
    ) -> None:
        """Report what a batch has committed."""
        for number in batch.started:
            planned = files_open[number]
            self._on_event(FileStarted(planned.member.path, pid))
        for problem in batch.problems:
            path = files_open[problem.file].member.path
            self._on_event(ImportProblem(path, problem.position, problem.reason))
        at, bytes_read = batch.at
        for number, account in batch.accounts.items():
            member = files_open[number].member
            read = bytes_read if number == at else member.size
            self._on_event(RecordsMerged(member.path, account, read))
            if number not in batch.ended:
                continue
            del files_open[number]
            failure = batch.ended[number]
            if failure is None:
                self._on_event(FileDone(member.path, member.size))
            else:
                self._on_event(FileFailed(member.path, member.size, failure))
