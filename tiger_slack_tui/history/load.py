"""Imports an archive: plans it, lets worker processes merge its files, and accounts for everything."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection

from tiger_slack_tui.database.failures import describe
from tiger_slack_tui.database.pool import connect
from tiger_slack_tui.errors import DatabaseUnavailable, TigerSlackError
from tiger_slack_tui.history import checkpoint, protocol
from tiger_slack_tui.history.account import Account
from tiger_slack_tui.history.archive import ArchiveLimits, ArchiveRefused
from tiger_slack_tui.history.columnstore import compress
from tiger_slack_tui.history.plan import Plan, PlannedFile, Selection
from tiger_slack_tui.history.process import WorkerProcess
from tiger_slack_tui.history.progress import (
    BadRecord,
    ChannelResult,
    Done,
    Failed,
    ImportEvent,
    ImportResult,
    Listed,
    Note,
    Planned,
    Progress,
    Skipped,
    Started,
)
from tiger_slack_tui.telemetry import span

log = logging.getLogger(__name__)

_SPAN_FILES = 400
"""Files that a worker gets at once, ..."""
_SPAN_BYTES = 4 << 20
"""... or so many bytes of them."""
_LARGE = 10_000
"""Inserted messages from which on old chunks are compressed at once, and not by the policy some day."""

Tell = Callable[[ImportEvent], None]


@dataclass(frozen=True)
class ImportOptions:
    """What to import, and how. `as_given` is what an import that goes on has to have in common with its beginning."""

    selection: Selection = field(default_factory=Selection)
    as_given: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 2
    dry_run: bool = False
    restart: bool = False
    compress: bool = True
    limits: ArchiveLimits = field(default_factory=lambda: ArchiveLimits(500, 1 << 40))


@dataclass(slots=True)
class _Open:
    """A file that a worker has. `account` is what is committed of it."""

    planned: PlannedFile
    account: Account = field(default_factory=Account)


class Import:
    """One import, to be run once. Only one event loop may touch it."""

    def __init__(self, conninfo: str, path: Path, options: ImportOptions, *, instance: str) -> None:
        """`conninfo` is of a database with this version's tables; a dry run does without."""
        self._conninfo = conninfo
        self._path = path.resolve()
        self._options = options
        self._instance = instance
        self._may_go = asyncio.Event()
        self._may_go.set()
        self._is_cancelled = False
        self._workers: set[WorkerProcess] = set()
        self._spares: list[WorkerProcess] = []
        self._spans: deque[list[tuple[int, PlannedFile]]] = deque()
        self._crashed: set[int] = set()
        self._paths: list[str] = []
        self._channels: dict[str, ChannelResult] = {}
        self._done = self._failed = 0
        self._tell: Tell = lambda _: None

    @property
    def is_paused(self) -> bool:
        """Whether it waits for `resume`."""
        return not self._may_go.is_set()

    def pause(self) -> None:
        """Let no further batch begin; those under way end."""
        self._may_go.clear()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._may_go.set()

    def cancel(self) -> None:
        """End after the batches under way. The same import then goes on from there."""
        self._is_cancelled = True
        for worker in self._workers:
            worker.stop()
        self._may_go.set()

    async def run(self, tell: Tell) -> ImportResult:
        """Import; `tell` hears of everything as it happens, and must not block.

        Raises ArchiveRefused, ImportRunning, DatabaseUnavailable, DatabaseRefused. However it ends, what is committed
        is accounted for, and the same import goes on from there.
        """
        self._tell = tell
        began = time.monotonic()
        dry_run = self._options.dry_run
        async with AsyncExitStack() as stack:
            current = stack.enter_context(span("import", path=str(self._path), dry_run=dry_run))
            await self._start_workers(stack)
            # A process of its own: what it takes to list an archive is given back with it.
            planner = await stack.enter_async_context(self._worker(None))
            plan = await self._plan(planner)
            if dry_run:
                self._announce(plan, None)
                lists = await self._read_lists(plan, planner)
                await planner.close()
                await self._read_files(None)
                return self._result(plan, None, lists, time.monotonic() - began)
            control = await stack.enter_async_context(await connect(self._conninfo))
            begun = await self._begin(control)
            result = await self._attend(plan, planner, control, begun, began)
            current.set_attributes({"read": result.total.read, "inserted": result.total.inserted})
            return result

    async def _attend(
        self,
        plan: Plan,
        planner: WorkerProcess,
        control: AsyncConnection[Any],
        begun: checkpoint.Begun,
        began: float,
    ) -> ImportResult:
        """Do it all, and record its end."""
        outcome, error, lists = "cancelled", None, None
        try:
            self._announce(plan, begun)
            lists = await self._read_lists(plan, planner)
            await planner.close()
            await checkpoint.save_problems(control, begun.id, lists.bad)
            await self._read_files(begun)
            result = self._result(plan, begun, lists, time.monotonic() - began)
            outcome = result.outcome
            if outcome == "done":
                result.mismatch = result.mismatch or await self._compare(control, begun.id, result)
                if self._options.compress and result.total.inserted >= _LARGE:
                    await compress(control, self._tell)
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
            account = self._result(plan, begun, lists, time.monotonic() - began).as_json()
            with contextlib.suppress(psycopg.Error):  # then it is one that was cut off
                await checkpoint.end(
                    control, begun.id, outcome=outcome, error=error, account=account
                )

    async def _begin(self, control: AsyncConnection[Any]) -> checkpoint.Begun:
        try:
            return await checkpoint.begin(
                control,
                str(self._path),
                self._options.as_given,
                since=self._options.selection.since,
                until=self._options.selection.until,
                instance=self._instance,
                restart=self._options.restart,
            )
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"The import could not begin: {describe(error)}.") from None

    async def _start_workers(self, stack: AsyncExitStack) -> None:
        """Start the planner and the workers at once: each takes a while to come up."""
        for _ in range(1 + (1 if self._options.dry_run else self._options.workers)):
            worker = await WorkerProcess.start()
            stack.push_async_callback(worker.close)
            self._spares.insert(0, worker)

    @asynccontextmanager
    async def _worker(self, import_id: int | None) -> AsyncIterator[WorkerProcess]:
        worker = self._spares.pop() if self._spares else await WorkerProcess.start()
        worker.begin(protocol.Setup(self._path, self._conninfo, import_id))
        self._workers.add(worker)
        if self._is_cancelled:
            worker.stop()
        try:
            yield worker
        finally:
            self._workers.discard(worker)
            await worker.close()

    async def _plan(self, planner: WorkerProcess) -> Plan:
        files: list[PlannedFile] = []
        planner.send(protocol.MakePlan(self._options.selection, self._options.limits))
        while True:
            match await planner.receive():
                case protocol.PlanPart() as part:
                    files += part.files
                case protocol.PlanMade(plan):
                    plan.files = files
                    return plan
                case protocol.Refused(message, hint):
                    raise ArchiveRefused(message, hint=hint)
                case report:
                    raise _failure(report)

    def _announce(self, plan: Plan, begun: checkpoint.Begun | None) -> None:
        """Tell what will be read, and deal it out."""
        size = sum(planned.member.size for planned in plan.files)
        resumed = begun.resumed if begun else None
        self._tell(Planned(len(plan.files), size, plan.skipped, resumed))
        for warning in plan.warnings:
            self._tell(Note(warning, is_warning=True))
        self._tell(Listed(plan.files, plan.unmapped))
        self._paths = [planned.member.path for planned in plan.files]
        self._spans = _spans(plan.files)
        plan.files = []  # from here on the spans have them

    async def _read_files(self, begun: checkpoint.Begun | None) -> None:
        """Bring the files into the tables."""
        selection = self._options.selection
        if begun and begun.resumed:  # durations count from its beginning
            selection = replace(selection, since=begun.since, until=begun.until)
        import_id = begun.id if begun else None
        # A dry run compares each message with those before it, which only one process knows.
        workers = 1 if self._options.dry_run else self._options.workers
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(workers, len(self._spans))):
                    group.create_task(self._work(import_id, selection))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _read_lists(self, plan: Plan, planner: WorkerProcess) -> protocol.ListsRead:
        planner.send(protocol.ReadLists(plan.lists, self._options.dry_run))
        report = await planner.receive()
        if self._is_cancelled and report is None:
            return protocol.ListsRead({}, {}, ())
        if not isinstance(report, protocol.ListsRead):
            raise _failure(report)
        for path, position, reason in report.bad:
            self._tell(BadRecord(path, position, reason))
        return report

    async def _work(self, import_id: int | None, selection: Selection) -> None:
        """Give a worker span after span; after a crash, another one."""
        while self._spans and not self._is_cancelled:
            async with self._worker(import_id) as worker:
                while self._spans and not self._is_cancelled:
                    files = self._spans.popleft()
                    left = await self._attend_files(worker, files, selection)
                    if left:
                        self._spans.extendleft([file] for file in reversed(left))
                        break

    async def _attend_files(
        self,
        worker: WorkerProcess,
        files: list[tuple[int, PlannedFile]],
        selection: Selection,
    ) -> list[tuple[int, PlannedFile]]:
        """Follow the worker through the files; those that are left where it crashed."""
        crashed = frozenset(number for number, _ in files if number in self._crashed)
        worker.send(protocol.ReadFiles(files, selection, crashed, self._options.restart))
        files_open = {number: _Open(planned) for number, planned in files}
        while True:
            match await worker.receive():
                case protocol.FileStarted(number):
                    planned = files_open[number].planned
                    member = planned.member
                    self._tell(Started(member.path, planned.folder, member.size, worker.pid))
                case protocol.FileKnown() as known:
                    self._know(known, files_open)
                case protocol.BatchDone() as batch:
                    self._count(batch, files_open)
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
                    where = report.where if isinstance(report, protocol.Crashed) else "no word"
                    log.error("a worker of the import crashed: %s", where)
                    if crashed:
                        raise _failure(report)
                    # One by one it shows which file it is; that one is not opened again.
                    if len(files) == 1:
                        self._crashed.add(files[0][0])
                    return [(number, open_.planned) for number, open_ in files_open.items()]

    def _know(self, known: protocol.FileKnown, files_open: dict[int, _Open]) -> None:
        """Count what was accounted for before."""
        file = files_open[known.number]
        file.account = known.account
        if not known.is_done:
            return
        member = file.planned.member
        self._end(files_open.pop(known.number), is_bad=known.failure is not None)
        self._tell(Skipped(member.path, member.size, known.account, known.failure))

    def _count(self, batch: protocol.BatchDone, files_open: dict[int, _Open]) -> None:
        at, bytes_read = batch.at
        for problem in batch.problems:
            path = files_open[problem.file].planned.member.path
            self._tell(BadRecord(path, problem.position, problem.reason))
        for number, delta in batch.accounts.items():
            file = files_open[number]
            file.account.add(delta)
            member = file.planned.member
            self._tell(Progress(member.path, delta, bytes_read if number == at else member.size))
            if number not in batch.ended:
                continue
            failure = batch.ended[number]
            self._end(files_open.pop(number), is_bad=failure is not None)
            if failure is None:
                self._tell(Done(member.path, member.size))
            else:
                self._tell(Failed(member.path, member.size, failure))

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

    def _result(
        self,
        plan: Plan,
        begun: checkpoint.Begun | None,
        lists: protocol.ListsRead | None,
        seconds: float,
    ) -> ImportResult:
        total = Account()
        for channel in self._channels.values():
            total.add(channel.account)
        mismatch = None
        if not total.adds_up:
            mismatch = f"{total.read:,} records were read, {total.accounted:,} are accounted for"
        return ImportResult(
            import_id=begun.id if begun else None,
            outcome="cancelled" if self._is_cancelled else "done",
            seconds=seconds,
            resumed=begun.resumed if begun else None,
            files_planned=len(self._paths),
            files_done=self._done,
            files_failed=self._failed,
            files_skipped=plan.skipped,
            other_files=plan.other_files,
            users=lists.seen.get("user", 0) if lists else 0,
            channels=lists.seen.get("channel", 0) if lists else 0,
            bad_list_rows=len(lists.bad) if lists else 0,
            total=total,
            by_channel=dict(sorted(self._channels.items())),
            warnings=plan.warnings,
            mismatch=mismatch,
        )

    async def _compare(
        self, control: AsyncConnection[Any], import_id: int, result: ImportResult
    ) -> str | None:
        """Why what was committed is not what was counted; None where it is."""
        _, done, read = await checkpoint.totals(control, import_id, self._paths)
        if (done, read) == (result.files_planned, result.total.read):
            return None
        return (
            f"{result.files_planned:,} files with {result.total.read:,} records were counted,"
            f" {done:,} with {read:,} are in slack.import_file"
        )


def _spans(files: list[PlannedFile]) -> deque[list[tuple[int, PlannedFile]]]:
    """The files in parts for the workers, in order."""
    spans: deque[list[tuple[int, PlannedFile]]] = deque()
    size = 0
    for number, planned in enumerate(files):
        if not spans or size >= _SPAN_BYTES or len(spans[-1]) == _SPAN_FILES:
            spans.append([])
            size = 0
        spans[-1].append((number, planned))
        size += planned.member.size
    return spans


def _failure(report: protocol.Report | None) -> TigerSlackError:
    """Why a worker answered with something else."""
    if isinstance(report, protocol.Broken):
        return DatabaseUnavailable(report.reason)
    where = report.where if isinstance(report, protocol.Crashed) else "it was killed"
    return ImportFailed(f"A process of the import ended: {where}.", hint="Start it again.")


class ImportFailed(TigerSlackError):
    """The import broke off. The same command goes on where it was."""
