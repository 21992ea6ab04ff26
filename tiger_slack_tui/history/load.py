"""Imports an archive: plans it, lets worker processes merge its files, and accounts for everything."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection

from tiger_slack_tui.database.failures import describe
from tiger_slack_tui.database.pool import connect_session
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

_EARLY = 2
"""Workers that come up before it is known how much there is to do; of more, as many as there are spans."""
_GIVEN = 2
"""Spans that a worker has been told to read: it need not wait for the next one."""
_LARGE = 10_000
"""Inserted messages from which on old chunks are compressed at once, and not by the policy some day."""

Tell = Callable[[ImportEvent], None]


class ImportFailed(TigerSlackError):
    """The import broke off. The same command goes on where it was."""


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


def take_span(spans: deque[protocol.Span], others: Iterable[protocol.Span]) -> protocol.Span:
    """Take the first span that has no channel of the others, which are under way; where there is none, the first.

    Two workers that write to a week of a channel wait for each other.
    """
    busy = frozenset[str]().union(*(other.channels for other in others))
    for number, part in enumerate(spans):
        if busy.isdisjoint(part.channels):
            del spans[number]
            return part
    return spans.popleft()


class Import:
    """One import, to be run once. Only one event loop may touch it."""

    def __init__(self, conninfo: str, path: Path, options: ImportOptions, *, instance: str) -> None:
        """`conninfo` is of a database with this version's tables; a dry run does without."""
        self._conninfo = conninfo
        self._path = path.resolve()
        self._options = options
        self._selection = options.selection
        self._instance = instance
        self._may_go = asyncio.Event()
        self._may_go.set()
        self._is_cancelled = False
        self._stack = AsyncExitStack()
        self._workers: list[WorkerProcess] = []
        self._spans: deque[protocol.Span] = deque()
        self._all_spans: list[protocol.Span] = []
        self._given: list[deque[protocol.ReadFiles]] = []
        self._crashed: set[int] = set()
        self._files = 0
        self._channels: dict[str, ChannelResult] = {}
        self._done = self._failed = 0
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

    async def _run(self) -> ImportResult:
        if self._options.dry_run:
            await self._read(None)
            return self._result()
        control = await self._stack.enter_async_context(await connect_session(self._conninfo))
        self._begun = await self._begin(control)
        return await self._attend(control, self._begun.id)

    async def _attend(self, control: AsyncConnection[Any], import_id: int) -> ImportResult:
        """Do it all, and record its end."""
        outcome, error = "cancelled", None
        try:
            await self._read(control)
            result = self._result()
            outcome = result.outcome
            if outcome == "done":
                result.mismatch = result.mismatch or await self._compare(control, result)
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
            account = self._result().as_json()
            with contextlib.suppress(psycopg.Error):  # then it is one that was cut off
                await checkpoint.end(
                    control, import_id, outcome=outcome, error=error, account=account
                )

    async def _read(self, control: AsyncConnection[Any] | None) -> None:
        """Bring the lists and then the files into the tables."""
        # A dry run compares each message with those before it, which only one process knows.
        wanted = 1 if self._options.dry_run else self._options.workers
        workers = [await self._start() for _ in range(min(wanted, _EARLY))]
        planner = workers[0]
        made = await self._plan_made(planner)
        self._plan, self._files = made.plan, made.files
        self._tell(Planned(made.files, made.bytes, made.plan.skipped, self._resumed))
        for warning in made.plan.warnings:
            self._tell(Note(warning, is_warning=True))
        for path, position, reason in made.plan.problems:
            self._tell(BadRecord(path, position, reason))
        self._tell(Listed((), made.plan.unmapped))
        self._all_spans += [await self._span(planner) for _ in range(made.spans)]
        planner.send(protocol.ReadLists(made.plan.lists, self._options.dry_run))
        for part in self._all_spans:  # meanwhile
            self._tell(Listed([planned for _, planned in part.files()]))
            await asyncio.sleep(0)  # there can be very many
        workers += [await self._start() for _ in range(_EARLY, min(wanted, made.spans))]
        self._spans.extend(self._all_spans)
        self._lists = await self._lists_read(planner)
        if control and self._begun:
            lists = self._lists
            problems = [*self._plan.problems, *lists.bad, *lists.repaired]
            await checkpoint.save_problems(control, self._begun.id, problems)
        try:
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(self._work(worker))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _begin(self, control: AsyncConnection[Any]) -> checkpoint.Begun:
        try:
            begun = await checkpoint.begin(
                control,
                os.fsencode(self._path).decode(errors="replace"),
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
        worker = await WorkerProcess.start()
        self._stack.push_async_callback(worker.close)
        worker.begin(protocol.Setup(self._path, self._conninfo, self._import_id))
        self._workers.append(worker)
        if self._is_cancelled:
            worker.stop()
        return worker

    async def _plan_made(self, planner: WorkerProcess) -> protocol.PlanMade:
        planner.send(protocol.MakePlan(self._selection, self._options.limits))
        match await planner.receive():
            case protocol.PlanMade() as made:
                return made
            case protocol.Refused(message, hint):
                raise ArchiveRefused(message, hint=hint)
            case None if self._is_cancelled:
                return protocol.PlanMade(Plan(), 0, 0, 0)
            case report:
                raise _failure(report)

    async def _span(self, planner: WorkerProcess) -> protocol.Span:
        report = await planner.receive()
        if self._is_cancelled and report is None:
            return protocol.Span.of([])
        if not isinstance(report, protocol.Span):
            raise _failure(report)
        return report

    async def _lists_read(self, planner: WorkerProcess) -> protocol.ListsRead:
        report = await planner.receive()
        if self._is_cancelled and report is None:
            return protocol.ListsRead()
        if not isinstance(report, protocol.ListsRead):
            raise _failure(report)
        for path, position, reason in (*report.bad, *report.repaired):
            self._tell(BadRecord(path, position, reason))
        return report

    async def _work(self, worker: WorkerProcess) -> None:
        """Give a worker span after span, each before it is done with the one before; after a crash, another one."""
        given: deque[protocol.ReadFiles] = deque()
        self._given.append(given)
        while True:
            while self._spans and len(given) < _GIVEN and not self._is_cancelled:
                crashed, is_restart = frozenset(self._crashed), self._options.restart
                others = (command for of in self._given if of is not given for command in of)
                part = take_span(self._spans, [command.span for command in others])
                given.append(protocol.ReadFiles(part, self._selection, crashed, is_restart))
                worker.send(given[-1])
            if not given:
                return
            left = await self._attend_files(worker, given[0])
            given.popleft()
            if left:
                self._spans.extendleft(command.span for command in reversed(given))
                self._spans.extendleft(protocol.Span.of([file]) for file in reversed(left))
                given.clear()
                worker = await self._start()

    async def _attend_files(
        self, worker: WorkerProcess, command: protocol.ReadFiles
    ) -> list[tuple[int, PlannedFile]]:
        """Follow the worker through the files; those that are left where it crashed."""
        files = command.span.files()
        files_open = {number: _Open(planned) for number, planned in files}
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
                    where = report.where if isinstance(report, protocol.Crashed) else "no word"
                    log.error("a worker of the import crashed: %s", where)
                    if not command.crashed.isdisjoint(number for number, _ in files):
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

    def _count(self, batch: protocol.BatchDone, files_open: dict[int, _Open], pid: int) -> None:
        for number in batch.started:
            planned = files_open[number].planned
            self._tell(Started(planned.member.path, planned.folder, planned.member.size, pid))
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

    @property
    def _import_id(self) -> int | None:
        return self._begun.id if self._begun else None

    @property
    def _resumed(self) -> datetime | None:
        return self._begun.resumed if self._begun else None

    def _result(self) -> ImportResult:
        """The account of what is committed so far."""
        plan, lists = self._plan, self._lists
        total = Account()
        for channel in self._channels.values():
            total.add(channel.account)
        mismatch = None
        if not total.adds_up:
            mismatch = f"{total.read:,} records were read, {total.accounted:,} are accounted for"
        return ImportResult(
            import_id=self._import_id,
            outcome="cancelled" if self._is_cancelled else "done",
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

    async def _compare(self, control: AsyncConnection[Any], result: ImportResult) -> str | None:
        """Why what was committed is not what was counted; None where it is."""
        assert result.import_id is not None  # noqa: S101 it is no dry run
        done = read = 0
        for part in self._all_spans:
            paths = [planned.member.path for _, planned in part.files()]
            totals = await checkpoint.totals(control, result.import_id, paths)
            done, read = done + totals[0], read + totals[1]
        if (done, read) == (result.files_planned, result.total.read):
            return None
        return (
            f"{result.files_planned:,} files with {result.total.read:,} records were counted,"
            f" {done:,} with {read:,} are in slack.import_file"
        )


def _failure(report: protocol.Report | None) -> TigerSlackError:
    """Why a worker answered with something else."""
    if isinstance(report, protocol.Broken):
        return DatabaseUnavailable(report.reason)
    where = report.where if isinstance(report, protocol.Crashed) else "it was killed"
    return ImportFailed(f"A process of the import ended: {where}.", hint="Start it again.")
