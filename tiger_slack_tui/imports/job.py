"""Imports an archive: plans it, lets worker processes merge its files, and accounts for everything."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TypeVar

import psycopg

from tiger_slack_tui.base.errors import DatabaseUnavailable, SettingsError, TigerSlackError
from tiger_slack_tui.base.telemetry import span
from tiger_slack_tui.imports.archive.members import ArchiveRefused
from tiger_slack_tui.imports.archive.names import from_bytes, is_possible, shown
from tiger_slack_tui.imports.archive.plan import Plan, PlannedFile
from tiger_slack_tui.imports.control import ControlSession
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
from tiger_slack_tui.imports.options import ImportOptions
from tiger_slack_tui.imports.result import ChannelResult, ImportResult
from tiger_slack_tui.imports.spans import take_batch
from tiger_slack_tui.imports.workers import protocol
from tiger_slack_tui.imports.workers.handle import WorkerProcess, failure_of
from tiger_slack_tui.postgres.columnstore import compress
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.pool import connect_session
from tiger_slack_tui.store import import_ledger
from tiger_slack_tui.store import imports as checkpoint
from tiger_slack_tui.store.import_account import Account, ImportProblem

log = logging.getLogger(__name__)

_EARLY = 2
"""Workers that come up before it is known how much there is to do; of more, as many as there are spans."""
_GIVEN = 2
"""Spans that a worker has been told to read: it need not wait for the next one."""
_CRASHES = 2
"""How often a file may end a process that reads only this one, until it is left out."""
_SLICE = 500
"""Events that are reported before the event loop does other work."""
_LARGE = 10_000
"""Inserted messages from which on old chunks are compressed at once, and not by the policy some day."""

Tell = Callable[[ImportEvent], None]
_Report = TypeVar("_Report", protocol.PlanMade, protocol.FileBatch, protocol.ListsRead)


@dataclass(slots=True)
class _Open:
    """A file that a worker has. `account` is what is committed of it."""

    planned: PlannedFile
    account: Account = field(default_factory=Account)


class Import:
    """One import, to be run once. Only one event loop may touch it."""

    def __init__(self, conninfo: str, path: Path, options: ImportOptions, *, instance: str) -> None:
        """`conninfo` is of a database with this version's tables; a dry run does without.

        `path` is absolute: the same import is known by it, and goes on where it ended. Raises SettingsError.
        """
        if not path.is_absolute() or not is_possible(path):
            raise SettingsError(
                f"{shown(repr(str(path)))} is no absolute path.", hint="Give the path from / on."
            )
        self._conninfo = conninfo
        self._path = path
        self._options = options
        self._selection = options.selection
        self._instance = instance
        self._may_go = asyncio.Event()
        self._may_go.set()
        self._is_cancelled = False
        self._stack = AsyncExitStack()
        self._workers: list[WorkerProcess] = []
        self._batches: deque[protocol.FileBatch] = deque()
        self._all_batches: list[protocol.FileBatch] = []
        self._given: list[deque[protocol.ReadFiles]] = []
        self._crashes: Counter[int] = Counter()
        self._compressing: asyncio.Task[None] | None = None
        self._files = 0
        self._channels: dict[str, ChannelResult] = {}
        self._done = self._failed = 0
        self._folders: dict[str, str] = {}
        """Of all files, by path."""
        self._is_counted = False
        self._begun: checkpoint.Begun | None = None
        self._plan = Plan()
        self._lists = protocol.ListsRead()
        self._started = 0.0
        self._tell: Tell = lambda _: None

    @property
    def is_paused(self) -> bool:
        """Whether it waits for `resume`."""
        return not self._may_go.is_set()

    def pause(self) -> None:
        """Let no further batch begin; those under way end."""
        if not self._is_cancelled:
            self._may_go.clear()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._may_go.set()

    def cancel(self) -> None:
        """End after the batches under way. The same import then goes on from there."""
        self._is_cancelled = True
        for worker in self._workers:
            worker.stop()
        if self._compressing is not None:
            self._compressing.cancel()
        self._may_go.set()

    async def run(self, tell: Tell) -> ImportResult:
        """Import; `tell` hears of everything as it happens, and must not block.

        Raises ArchiveRefused, ImportRunning, DatabaseUnavailable, DatabaseRefused. However it ends, what is committed
        is accounted for, and the same import goes on from there.
        """
        self._tell = tell
        self._started = time.monotonic()
        with span("import", dry_run=self._options.dry_run) as current:
            async with self._stack:
                result = await self._run()
            current.set_attributes({"read": result.total.read, "inserted": result.total.inserted})
            return result

    @property
    def import_id(self) -> int | None:
        """Its number, once it has begun; None of a dry run."""
        return self._begun.id if self._begun else None

    async def _run(self) -> ImportResult:
        if self._options.dry_run:
            try:
                await self._read(None)
            finally:
                await self._end_workers()
            return self.account("cancelled" if self._is_cancelled else "done")
        connection = await connect_session(self._conninfo)
        try:
            self._begun = await self._begin(connection)
        except BaseException:
            await connection.close()
            raise
        control = ControlSession(self._conninfo, connection, self._begun)
        self._stack.push_async_callback(control.close)
        return await self._run_and_record(control, self._begun.id)

    async def _run_and_record(self, control: ControlSession, import_id: int) -> ImportResult:
        """Do it all, and record its end."""
        outcome, error = "cancelled", None
        try:
            try:
                await self._read(control)
            finally:
                await self._end_workers()  # what they commit until then counts, too
            outcome = "cancelled" if self._is_cancelled else "done"
            await self._count_committed(await control.connection(), import_id)
            result = self.account(outcome)
            is_wanted = self._options.compress and not self._is_cancelled
            if outcome == "done" and is_wanted and result.total.inserted >= _LARGE:
                await self._compress(await control.connection())
            return result
        except psycopg.Error as failure:
            outcome, error = "failed", f"The database broke the import off: {describe(failure)}."
            raise DatabaseUnavailable(error) from None
        except TigerSlackError as failure:
            outcome, error = "failed", failure.args[0]
            raise
        except Exception as failure:
            outcome, error = "failed", type(failure).__name__
            raise
        finally:
            await self._record_end(control, import_id, outcome, error)

    async def _record_end(
        self, control: ControlSession, import_id: int, outcome: str, error: str | None
    ) -> None:
        """Record it. A failure is logged."""
        try:
            connection = await control.connection()
            if not self._is_counted:
                await self._count_committed(connection, import_id)
            account = self.account(outcome).as_json()
            await checkpoint.end(
                connection, import_id, outcome=outcome, error=error, account=account
            )
        except (psycopg.Error, TigerSlackError) as failure:
            why = describe(failure) if isinstance(failure, psycopg.Error) else failure.args[0]
            log.warning("the end of import %d was not recorded: %s", import_id, why)

    async def _count_committed(self, connection: Connection, import_id: int) -> None:
        """Make the account of what is committed, whatever of it the workers could report."""
        channels: dict[str, ChannelResult] = {}
        done = failed = 0
        async for file in import_ledger.committed_files(connection, import_id):
            folder = self._folders.get(file.path) or PurePosixPath(file.path).parent.name
            channel = channels.setdefault(folder, ChannelResult())
            channel.account.add(file.account)
            channel.files += file.is_done
            done += file.is_done
            failed += file.is_done and file.error is not None
        self._channels, self._done, self._failed = channels, done, failed
        self._is_counted = True

    async def _compress(self, connection: Connection) -> None:
        """Compress old chunks. `cancel` ends that; the policy does it later."""
        self._compressing = asyncio.create_task(
            compress(
                connection,
                lambda: self._tell(ImportNote("All messages are stored. Compressing old chunks.")),
            )
        )
        (ended,) = await asyncio.gather(self._compressing, return_exceptions=True)
        if isinstance(ended, psycopg.Error):
            text = f"Old chunks were not compressed: {describe(ended)}. The policy compresses them later."
            self._tell(ImportNote(text, is_warning=True))
        elif isinstance(ended, Exception):
            raise ended

    async def _end_workers(self) -> None:
        """End all workers, at last by force. What they are at is committed, or rolled back, then."""
        await asyncio.gather(*(worker.close() for worker in self._workers))

    async def _read(self, control: ControlSession | None) -> None:
        """Bring the lists and then the files into the tables."""
        # A dry run compares each message with those before it, which only one process knows.
        wanted = 1 if self._options.dry_run else self._options.workers
        workers = [await self._start() for _ in range(min(wanted, _EARLY))]
        planner = workers[0]
        planner.send(protocol.MakePlan(self._selection, self._options.limits))
        made = await self._answer(planner, protocol.PlanMade(Plan(), 0, 0, 0))
        self._plan, self._files = made.plan, made.files
        self._tell(Planned(made.files, made.bytes, made.plan.skipped, self._resumed))
        for warning in made.plan.warnings:
            self._tell(ImportNote(warning, is_warning=True))
        await self._tell_bad(made.plan.problems)
        self._tell(FilesListed((), made.plan.unmapped))
        none = protocol.FileBatch.of([])
        self._all_batches += [await self._answer(planner, none) for _ in range(made.batches)]
        planner.send(protocol.ReadLists(made.plan.lists, self._options.dry_run))
        for part in self._all_batches:  # meanwhile
            files = [planned for _, planned in part.files()]
            self._folders.update((planned.member.path, planned.folder) for planned in files)
            self._tell(FilesListed(files))
            await asyncio.sleep(0)  # there can be very many
        if control and self._resumed and not self._is_cancelled:
            await self._forget_gone(await control.connection(), self._folders.keys())
        workers += [await self._start() for _ in range(_EARLY, min(wanted, made.batches))]
        self._batches.extend(self._all_batches)
        self._lists = await self._answer(planner, protocol.ListsRead())
        bad = [*self._lists.bad, *self._lists.repaired]
        await self._tell_bad(bad)
        if control and self._begun:
            connection = await control.connection()
            await import_ledger.replace_list_problems(
                connection, self._begun.id, [*self._plan.problems, *bad]
            )
        await self._work_all(workers, control)

    async def _work_all(
        self, workers: Sequence[WorkerProcess], control: ControlSession | None
    ) -> None:
        """Let the workers read all files, and keep the import's lock meanwhile."""
        keeping = None
        if control:
            keeping = asyncio.create_task(control.keep(self._options.silent_seconds / 12))
        try:
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(self._work(worker))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            if keeping:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)

    async def _tell_bad(self, problems: Sequence[ImportProblem]) -> None:
        """Report what is bad, in slices: there can be very many."""
        for number, problem in enumerate(problems, 1):
            self._tell(problem)
            if number % _SLICE == 0:
                await asyncio.sleep(0)

    async def _forget_gone(self, connection: Connection, paths: Set[str]) -> None:
        """Drop what is known of files that were in the archive in an earlier run, and are no longer."""
        assert self.import_id is not None  # noqa: S101 for the types
        gone, stored = [], 0
        async for file in import_ledger.committed_files(connection, self.import_id):
            if file.path not in paths:
                gone.append(file.path)
                stored += file.account.inserted
        if gone:
            await import_ledger.forget_files(connection, self.import_id, gone)
            text = (
                f"{len(gone):,} files that an earlier run read are no longer to be read: they are gone, or"
                " their folder no longer belongs to one channel. The"
                f" {stored:,} messages that it stored of them stay; the account leaves them out."
            )
            self._tell(ImportNote(text, is_warning=True))

    async def _begin(self, connection: Connection) -> checkpoint.Begun:
        try:
            begun = await checkpoint.begin(
                connection,
                from_bytes(os.fsencode(self._path)),
                self._options.as_given,
                since=self._selection.since,
                until=self._selection.until,
                instance=self._instance,
                restart=self._options.restart,
            )
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"The import could not begin: {describe(error)}.") from None
        # Durations count from its beginning.
        self._selection = replace(self._selection, since=begun.since, until=begun.until)
        return begun

    async def _start(self) -> WorkerProcess:
        """Start a worker. It takes a while to come up, and ends with the import."""
        worker = await WorkerProcess.start(self._options.silent_seconds)
        self._workers.append(worker)
        worker.begin(
            protocol.Setup(
                self._path, self._conninfo, self.import_id, self._options.silent_seconds / 12
            )
        )
        if self._is_cancelled:
            worker.stop()
        return worker

    async def _answer(self, planner: WorkerProcess, instead: _Report) -> _Report:
        """Its next report, which is of the same type as `instead`: the answer of an import that is cancelled."""
        match await planner.receive():
            case None if self._is_cancelled:
                return instead
            case protocol.Refused(message, hint, exports):
                raise ArchiveRefused(message, hint=hint, exports=exports)
            case report if isinstance(report, type(instead)):
                return report
            case report:
                raise failure_of(report)

    async def _work(self, worker: WorkerProcess) -> None:
        """Give a worker span after span, each before it is done with the one before; after a crash, another one."""
        given: deque[protocol.ReadFiles] = deque()
        self._given.append(given)
        while True:
            while self._batches and len(given) < _GIVEN and not self._is_cancelled:
                crashed = frozenset(n for n, times in self._crashes.items() if times >= _CRASHES)
                is_restart = self._options.restart
                others = (command for of in self._given if of is not given for command in of)
                part = take_batch(self._batches, [command.batch for command in others])
                given.append(protocol.ReadFiles(part, self._selection, crashed, is_restart))
                worker.send(given[-1])
            if not given:
                return
            left = await self._attend_files(worker, given[0])
            given.popleft()
            if left:
                self._batches.extendleft(command.batch for command in reversed(given))
                self._batches.extendleft(protocol.FileBatch.of([file]) for file in reversed(left))
                given.clear()
                for _, planned in left:  # until the next worker says how much is committed
                    self._tell(FileResumed(planned.member.path, Account()))
                worker = await self._start()

    async def _attend_files(
        self, worker: WorkerProcess, command: protocol.ReadFiles
    ) -> list[tuple[int, PlannedFile]]:
        """Follow the worker through the files; those that are left where it crashed."""
        files_open = {number: _Open(planned) for number, planned in command.batch.files()}
        try:
            return await self._follow(worker, command, files_open)
        except BaseException:
            self._close(files_open)
            raise

    async def _follow(
        self, worker: WorkerProcess, command: protocol.ReadFiles, files_open: dict[int, _Open]
    ) -> list[tuple[int, PlannedFile]]:
        files = list(files_open)
        while True:
            match await worker.receive():
                case protocol.FileKnown() as known:
                    self._know(known, files_open)
                case protocol.BatchDone() as batch:
                    self._count(batch, files_open, worker.pid)
                    await self._may_go.wait()
                    worker.send(protocol.Go())
                case protocol.FilesRead():
                    return []
                case protocol.Broken(reason):
                    raise DatabaseUnavailable(reason)
                case _ as report:
                    if self._is_cancelled:
                        self._close(files_open)
                        return []
                    if report is None:
                        log.error("a worker of the import was killed")
                    if not command.crashed.isdisjoint(files):
                        raise failure_of(report)
                    # One by one it shows which file it is; after two crashes that one is not opened again.
                    if len(files) == 1:
                        self._crashes[files[0]] += 1
                    return [(number, open_.planned) for number, open_ in files_open.items()]

    def _know(self, known: protocol.FileKnown, files_open: dict[int, _Open]) -> None:
        """Count what was accounted for before."""
        file = files_open[known.number]
        file.account = known.account
        if not known.is_done:
            self._tell(FileResumed(file.planned.member.path, known.account))
            return
        member = file.planned.member
        self._end(files_open.pop(known.number), is_bad=known.failure is not None)
        self._tell(FileSkipped(member.path, member.size, known.account, known.failure))

    def _count(self, batch: protocol.BatchDone, files_open: dict[int, _Open], pid: int) -> None:
        for number in batch.started:
            planned = files_open[number].planned
            self._tell(FileStarted(planned.member.path, planned.folder, planned.member.size, pid))
        at, bytes_read = batch.at
        for problem in batch.problems:
            path = files_open[problem.file].planned.member.path
            self._tell(ImportProblem(path, problem.position, problem.reason))
        for number, delta in batch.accounts.items():
            file = files_open[number]
            file.account.add(delta)
            member = file.planned.member
            self._tell(
                RecordsMerged(member.path, delta, bytes_read if number == at else member.size)
            )
            if number not in batch.ended:
                continue
            failure = batch.ended[number]
            self._end(files_open.pop(number), is_bad=failure is not None)
            if failure is None:
                self._tell(FileDone(member.path, member.size))
            else:
                self._tell(FileFailed(member.path, member.size, failure))

    def _end(self, file: _Open, *, is_bad: bool) -> None:
        self._close({0: file})
        self._done += 1
        self._failed += is_bad
        self._channels[file.planned.folder].files += 1

    def _close(self, files: Mapping[int, _Open]) -> None:
        """Count what is committed of the files."""
        for file in files.values():
            result = self._channels.setdefault(file.planned.folder, ChannelResult())
            result.account.add(file.account)

    @property
    def _resumed(self) -> datetime | None:
        return self._begun.resumed if self._begun else None

    def account(self, outcome: str) -> ImportResult:
        """The account of what is committed, as far as it is known by now."""
        plan, lists = self._plan, self._lists
        total = Account()
        for channel in self._channels.values():
            total.add(channel.account)
        mismatch = None
        if not total.adds_up:
            mismatch = f"{total.read:,} records were read, {total.accounted:,} are accounted for"
        elif outcome == "done" and self._done != self._files:
            mismatch = f"{self._files:,} files were planned, {self._done:,} are accounted for"
        return ImportResult(
            import_id=self.import_id,
            outcome=outcome,
            seconds=time.monotonic() - self._started,
            resumed=self._resumed,
            files_planned=self._files,
            files_done=self._done,
            files_failed=self._failed,
            files_skipped=plan.skipped,
            other_files=plan.other_files,
            users=lists.seen.get("user", 0),
            channels=lists.seen.get("channel", 0),
            bad_list_rows=len(lists.bad),
            total=total,
            by_channel=dict(sorted(self._channels.items())),
            warnings=plan.warnings,
            mismatch=mismatch,
        )
