"""Runs one import: plans it, has worker processes merge the files, and counts what they commit."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import psycopg

from tiger_slack_tui.base.errors import DatabaseUnavailable, SettingsError, TigerSlackError
from tiger_slack_tui.base.spans import span
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.imports.archive.members import ArchiveRefused, NothingSelected
from tiger_slack_tui.imports.archive.names import from_path, is_possible, shown
from tiger_slack_tui.imports.archive.plan import Plan
from tiger_slack_tui.imports.control import ImportControl
from tiger_slack_tui.imports.file_queue import FileQueue
from tiger_slack_tui.imports.ledger import ImportLedger
from tiger_slack_tui.imports.lock_session import LockSession
from tiger_slack_tui.imports.options import ImportOptions
from tiger_slack_tui.imports.progress_events import (
    FilesListed,
    ImportEvent,
    ImportNote,
    Planned,
)
from tiger_slack_tui.imports.result import ChannelResult, ImportResult
from tiger_slack_tui.imports.worker_loop import WorkerLoop
from tiger_slack_tui.imports.workers import protocol
from tiger_slack_tui.imports.workers.handle import WorkerProcess, failure_of
from tiger_slack_tui.postgres.columnstore import compress
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.pool import connect_session
from tiger_slack_tui.store.import_account import ImportProblem
from tiger_slack_tui.store.import_files import (
    committed_files,
    forget_files,
    replace_list_problems,
)
from tiger_slack_tui.store.imports import (
    ImportOutcome,
    ImportRun,
    add_import_history,
    begin_import,
    end_import,
)

log = logging.getLogger(__name__)

_EARLY_WORKERS = 2
"""Workers that start before the plan is made. The others start once the number of batches is known."""
_EVENTS_AT_ONCE = 500
"""Events that are reported before other tasks of the event loop run."""
_COMPRESS_FROM = 10_000
"""If this many messages were inserted, old chunks are compressed at once."""

OnEvent = Callable[[ImportEvent], None]
_Report = TypeVar("_Report", protocol.PlanMade, protocol.FileBatch, protocol.ListsRead)


class Import:
    """One import. Run it once. All calls come from one event loop."""

    def __init__(
        self,
        conninfo: str,
        path: Path,
        options: ImportOptions,
        *,
        instance: str,
        ledger: ImportLedger | None = None,
    ) -> None:
        """`conninfo` is of a database with this version's tables; a dry run needs none.

        `path` is absolute: an import is continued by its path and options. The import counts in `ledger`, or in a new
        one. Raises SettingsError.
        """
        if not path.is_absolute() or not is_possible(path):
            raise SettingsError(
                f"{shown(repr(str(path)))} is not an absolute path.",
                hint="Give a path that begins with /.",
            )
        self._conninfo = conninfo
        self._path = path
        self._options = options
        self._selection = options.selection
        self._instance = instance
        self._control = ImportControl()
        self._stack = AsyncExitStack()
        self._workers: list[WorkerProcess] = []
        self._compressing: asyncio.Task[None] | None = None
        self._ledger = ledger or ImportLedger()
        self._committed: ImportLedger | None = None
        """The ledger that was counted from the database, at the end."""
        self._import: ImportRun | None = None
        self._plan = Plan()
        self._lists = protocol.ListsRead()
        self._started = 0.0
        self._on_event: OnEvent = lambda _: None

    @property
    def is_paused(self) -> bool:
        """Whether no batch begins until `resume`."""
        return self._control.is_paused

    @property
    def import_id(self) -> int | None:
        """The import's id in slack.import; None for a dry run, and before the import has begun."""
        return self._import.id if self._import else None

    def pause(self) -> None:
        """Start no further batch. Running batches end."""
        self._control.pause()

    def resume(self) -> None:
        """Start batches again."""
        self._control.resume()

    def cancel(self) -> None:
        """End after the running batches. The same import then continues from there."""
        self._control.cancel()
        for worker in self._workers:
            worker.stop()
        if self._compressing is not None:
            self._compressing.cancel()

    async def run(self, on_event: OnEvent) -> ImportResult:
        """Import the archive. `on_event` is called for each event after the ledger has counted it. It must not block.

        Raises ArchiveRefused, ImportRunning, DatabaseUnavailable, DatabaseRefused. However it ends, everything that
        is committed is accounted for, and the same import continues from there.
        """
        self._on_event = on_event
        self._started = time.monotonic()
        with span("import", dry_run=self._options.dry_run) as current:
            async with self._stack:
                result = await self._import_archive()
            current.set_attributes({"read": result.total.read, "inserted": result.total.inserted})
            return result

    def result(self, outcome: ImportOutcome) -> ImportResult:
        """The result of everything that is known to be committed."""
        plan, lists, ledger = self._plan, self._lists, self._committed or self._ledger
        total = ledger.total
        mismatch = None
        if not total.adds_up:
            mismatch = f"{total.read:,} records were read, {total.accounted:,} are accounted for"
        elif outcome is ImportOutcome.DONE and ledger.files_done != ledger.files:
            mismatch = (
                f"{ledger.files:,} files were planned, {ledger.files_done:,} are accounted for"
            )
        return ImportResult(
            import_id=self.import_id,
            outcome=outcome,
            seconds=time.monotonic() - self._started,
            resumed=self._resumed,
            files_planned=ledger.files,
            files_done=ledger.files_done,
            files_failed=ledger.files_failed,
            files_left_out=plan.left_out,
            other_files=plan.other_files,
            users=lists.seen.get("user", 0),
            channels=lists.seen.get("channel", 0),
            bad_list_rows=len(lists.bad),
            total=total,
            by_channel={
                folder.name: ChannelResult(folder.done, folder.account)
                for folder in ledger.begun_folders()
            },
            warnings=plan.warnings,
            mismatch=mismatch,
            contents=plan.contents,
        )

    @property
    def _resumed(self) -> datetime | None:
        return self._import.resumed if self._import else None

    async def _import_archive(self) -> ImportResult:
        if self._options.dry_run:
            try:
                await self._merge_archive(None)
            finally:
                await self._close_workers()
            return self.result(
                ImportOutcome.CANCELLED if self._control.is_cancelled else ImportOutcome.DONE
            )
        connection = await connect_session(self._conninfo)
        try:
            self._import = await self._begin(connection)
        except BaseException:
            await connection.close()
            raise
        lock = LockSession(self._conninfo, connection, self._import)
        self._stack.push_async_callback(lock.close)
        return await self._merge_and_record(lock, self._import.id)

    async def _begin(self, connection: Connection) -> ImportRun:
        try:
            begun = await begin_import(
                connection,
                from_path(self._path),
                self._options.as_given,
                since=self._selection.since,
                until=self._selection.until,
                instance=self._instance,
                restart=self._options.restart,
            )
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"The import could not begin: {describe(error)}.") from None
        # A continued import keeps the dates of its first run, such as those of "--since 30D".
        self._selection = replace(self._selection, since=begun.since, until=begun.until)
        return begun

    async def _merge_and_record(self, lock: LockSession, import_id: int) -> ImportResult:
        """Merge the archive, and record how the import ended."""
        outcome, error = ImportOutcome.CANCELLED, None
        try:
            try:
                await self._merge_archive(lock)
            finally:
                await self._close_workers()  # before counting: their last batches count, too
            if not self._control.is_cancelled:
                outcome = ImportOutcome.DONE
            await self._count_committed(await lock.connection(), import_id)
            result = self.result(outcome)
            if outcome is ImportOutcome.DONE:
                await add_import_history(await lock.connection(), import_id)
            is_large = result.total.inserted >= _COMPRESS_FROM
            if self._options.compress and not self._control.is_cancelled and is_large:
                await self._compress(await lock.connection())
            return result
        except psycopg.Error as failure:
            outcome = ImportOutcome.FAILED
            error = f"The import ended because of the database: {describe(failure)}."
            raise DatabaseUnavailable(error) from None
        except TigerSlackError as failure:
            outcome, error = ImportOutcome.FAILED, failure.args[0]
            raise
        except Exception as failure:
            outcome, error = ImportOutcome.FAILED, type(failure).__name__
            raise
        finally:
            await self._record_end(lock, import_id, outcome, error)

    async def _record_end(
        self, lock: LockSession, import_id: int, outcome: ImportOutcome, error: str | None
    ) -> None:
        """Record the end of the import. A failure is logged."""
        try:
            connection = await lock.connection()
            if self._committed is None:
                await self._count_committed(connection, import_id)
            account = self.result(outcome).as_json()
            await end_import(connection, import_id, outcome=outcome, error=error, account=account)
        except (psycopg.Error, TigerSlackError) as failure:
            why = describe(failure) if isinstance(failure, psycopg.Error) else failure.args[0]
            log.warning("the end of import %d was not recorded: %s", import_id, why)

    async def _count_committed(self, connection: Connection, import_id: int) -> None:
        """Count what is committed. Workers that were killed could not report all of it."""
        counted = self._ledger.without_counts()
        async for file in committed_files(connection, import_id):
            counted.add_committed(file)
        self._committed = counted

    async def _compress(self, connection: Connection) -> None:
        """Compress old chunks. `cancel` ends that; the policy then compresses them later."""

        def report() -> None:
            self._report(ImportNote("All messages are stored. Compressing old chunks."))

        self._compressing = asyncio.create_task(compress(connection, report))
        (ended,) = await asyncio.gather(self._compressing, return_exceptions=True)
        if isinstance(ended, psycopg.Error):
            text = f"Old chunks were not compressed: {describe(ended)}. The policy compresses them later."
            self._report(ImportNote(text, is_warning=True))
        elif isinstance(ended, Exception):
            raise ended

    async def _merge_archive(self, lock: LockSession | None) -> None:
        """Merge the lists and then the files. `lock` is None for a dry run."""
        # A dry run compares each message with those before it, and only one process knows them.
        wanted = 1 if self._options.dry_run else self._options.workers
        workers = [await self._start_worker() for _ in range(min(wanted, _EARLY_WORKERS))]
        plan_worker = workers[0]
        batches = await self._make_plan(plan_worker)
        plan_worker.send(protocol.ReadLists(self._plan.lists, self._options.dry_run))
        for batch in batches:
            self._report(FilesListed([planned for _, planned in batch.files()]))
            await asyncio.sleep(0)  # there can be very many batches
        if lock and self._resumed and not self._control.is_cancelled:
            await self._forget_missing_files(await lock.connection())
        workers += [
            await self._start_worker() for _ in range(_EARLY_WORKERS, min(wanted, len(batches)))
        ]
        await self._merge_lists(plan_worker, lock)
        queue = FileQueue(self._selection, is_restart=self._options.restart)
        queue.add(batches)
        batches.clear()  # the queue drops each batch once it is read
        await self._merge_files(queue, workers, lock)

    async def _make_plan(self, worker: WorkerProcess) -> list[protocol.FileBatch]:
        """Have a worker make the plan; the batches of files to read. After `cancel` some can be missing."""
        worker.send(protocol.MakePlan(self._selection, self._options.limits))
        made = await self._receive(worker, protocol.PlanMade)
        if made is None:
            return []
        plan = self._plan = made.plan
        self._report(Planned(made.files, made.bytes, plan.left_out, self._resumed))
        for warning in plan.warnings:
            self._report(ImportNote(warning, is_warning=True))
        await self._report_problems(plan.problems)
        self._report(FilesListed((), plan.unmapped))
        batches: list[protocol.FileBatch] = []
        while len(batches) < made.batches:
            if (batch := await self._receive(worker, protocol.FileBatch)) is None:
                break
            batches.append(batch)
        return batches

    async def _merge_lists(self, worker: WorkerProcess, lock: LockSession | None) -> None:
        """Wait until the worker has merged the lists, and save their problems."""
        if lists := await self._receive(worker, protocol.ListsRead):
            self._lists = lists
        problems = [*self._lists.bad, *self._lists.repaired]
        await self._report_problems(problems)
        if lock and self._import:
            problems = [*self._plan.problems, *problems]
            await replace_list_problems(await lock.connection(), self._import.id, problems)

    async def _receive(self, worker: WorkerProcess, kind: type[_Report]) -> _Report | None:
        """The worker's next report, of this type; None after `cancel`. Raises ArchiveRefused, ImportFailed."""
        match await worker.receive():
            case None if self._control.is_cancelled:
                return None
            case protocol.Refused(message, hint, exports, selects_nothing):
                refusal = NothingSelected if selects_nothing else ArchiveRefused
                raise refusal(message, hint=hint, exports=exports)
            case report if isinstance(report, kind):
                return report
            case report:
                raise failure_of(report)

    async def _forget_missing_files(self, connection: Connection) -> None:
        """Delete the checkpoints of files that an earlier run read, and that are not in the plan any more."""
        assert self.import_id is not None  # noqa: S101 for the types
        paths = set(self._ledger.paths)
        missing, stored = [], 0
        async for file in committed_files(connection, self.import_id):
            if file.path not in paths:
                missing.append(file.path)
                stored += file.account.inserted
        if missing:
            await forget_files(connection, self.import_id, missing)
            text = (
                f"{amount(len(missing), 'file')} of an earlier run will not be read any more: gone, or in a"
                " folder that no longer matches one channel. What was stored from there"
                f" ({amount(stored, 'message')}) is kept, but not counted in this account."
            )
            self._report(ImportNote(text, is_warning=True))

    async def _start_worker(self) -> WorkerProcess:
        """Start a worker. It ends with the import."""
        worker = await WorkerProcess.start(self._options.silent_seconds)
        self._workers.append(worker)
        worker.begin(self._path, self._conninfo, self.import_id)
        if self._control.is_cancelled:
            worker.stop()
        return worker

    async def _close_workers(self) -> None:
        """End all workers, by force after some seconds. Their last batches are then committed or rolled back."""
        await asyncio.gather(*(worker.close() for worker in self._workers))

    async def _merge_files(
        self, queue: FileQueue, workers: Sequence[WorkerProcess], lock: LockSession | None
    ) -> None:
        """Have the workers merge all files, and hold the import's lock meanwhile."""
        loop = WorkerLoop(queue, self._control, self._start_worker, self._report)
        holding = None
        if lock:
            holding = asyncio.create_task(lock.keep(self._options.silent_seconds / 12))
        try:
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(loop.run(worker))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            if holding:
                holding.cancel()
                await asyncio.gather(holding, return_exceptions=True)

    async def _report_problems(self, problems: Sequence[ImportProblem]) -> None:
        for number, problem in enumerate(problems, 1):
            self._report(problem)
            if number % _EVENTS_AT_ONCE == 0:  # there can be very many
                await asyncio.sleep(0)

    def _report(self, event: ImportEvent) -> None:
        self._ledger.handle(event)
        self._on_event(event)
