"""The worker process of an import. It reads and merges, so that parsing never blocks the import's event loop.

Run as python -m tiger_slack_tui.imports.workers.child. It speaks `protocol` over stdin and stdout.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import IO

import psycopg

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.stacktrace import error_attributes, where
from tiger_slack_tui.imports.archive.lists import ListRow, read_list
from tiger_slack_tui.imports.archive.members import ArchiveRefused, Member, NothingSelected, Source
from tiger_slack_tui.imports.archive.plan import make_plan, sort_by_span, split_files
from tiger_slack_tui.imports.archive.sources import open_source
from tiger_slack_tui.imports.merge.merger import Merger
from tiger_slack_tui.imports.merge.targets import DryRunTarget, ImportTarget, MergeTarget
from tiger_slack_tui.imports.workers import protocol
from tiger_slack_tui.imports.workers.file_reader import FileReader
from tiger_slack_tui.postgres.connection import BlockingConnection, Connection
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.pool import connect_session
from tiger_slack_tui.store.directory import DirectoryKind, upsert
from tiger_slack_tui.store.import_account import ImportProblem, Reason
from tiger_slack_tui.store.import_files import CheckpointChanged
from tiger_slack_tui.store.imports import join_as_worker
from tiger_slack_tui.store.lock_spans import has_chunks
from tiger_slack_tui.store.names import channels_by_name
from tiger_slack_tui.store.workspaces import known_teams

_LIST_BATCH = 1000
"""Rows of a list that are merged together."""
_NICE = 10
"""Live events and the console get the CPU before an import."""


class _PipeClosed(Exception):
    """The import has closed the pipe."""


class Worker:
    """Executes commands, one after another."""

    def __init__(self, commands: IO[bytes], reports: IO[bytes]) -> None:
        self._commands = commands
        self._reports = reports
        self._writing = threading.Lock()
        self._permits = 0
        self._has_chunks = False
        self._ahead: deque[protocol.Command] = deque()

    async def run(self) -> None:
        """Work until the input ends."""
        setup = self._receive()
        assert isinstance(setup, protocol.Setup)  # noqa: S101 the first command
        keep_alive = threading.Thread(
            target=self._keep_alive, args=(setup.keep_alive_seconds,), daemon=True
        )
        keep_alive.start()
        self._path = setup.path
        async with await connect_session(setup.conninfo, BlockingConnection) as connection:
            self._has_chunks = await has_chunks(connection)
            target: MergeTarget
            if setup.import_id is None:
                target = DryRunTarget(connection)
            else:
                target = ImportTarget(connection, setup.import_id)
                await join_as_worker(connection, setup.import_id)
            merger = Merger(connection, target)
            # Prepare after the lists: plan_cache_mode = force_custom_plan would plan each row of them again.
            is_prepared = False
            while True:
                match self._next_command():
                    case protocol.Permit():
                        self._permits += 1
                    case protocol.MakePlan() as command:
                        await self._plan(command, connection)
                    case protocol.ReadLists() as command:
                        await self._read_lists(command, connection)
                    case protocol.ReadFiles() as command:
                        if not is_prepared:
                            await merger.prepare()
                            is_prepared = True
                        reader = FileReader(
                            self,
                            command,
                            setup.import_id,
                            self._source,
                            merger,
                            connection,
                            has_chunks=self._has_chunks,
                        )
                        await reader.read()

    @cached_property
    def _source(self) -> Source:
        return open_source(self._path)

    def report(self, report: protocol.Report) -> None:
        """Send a report. Raises _PipeClosed."""
        frame = protocol.frame(report)
        try:
            with self._writing:
                self._reports.write(frame)
                self._reports.flush()
        except BrokenPipeError:
            raise _PipeClosed from None

    def wait_for_permit(self) -> None:
        """Wait until a batch may be merged. Raises _PipeClosed."""
        while not self._permits:
            match self._receive():
                case protocol.Permit():
                    self._permits += 1
                case command:
                    self._ahead.append(command)
        self._permits -= 1

    def _next_command(self) -> protocol.Command:
        return self._ahead.popleft() if self._ahead else self._receive()

    def _receive(self) -> protocol.Command:
        head = self._commands.read(protocol.HEAD.size)
        if len(head) < protocol.HEAD.size:
            raise _PipeClosed
        content = self._commands.read(protocol.content_length(head))
        command: protocol.Command = protocol.message(head, content)
        return command

    def _keep_alive(self, seconds: float) -> None:
        """Send `KeepAlive` regularly. Runs in a thread of its own, because the other thread may block."""
        try:
            while True:
                time.sleep(seconds)
                self.report(protocol.KeepAlive())
        except _PipeClosed:
            pass

    async def _plan(self, command: protocol.MakePlan, connection: Connection) -> None:
        try:
            names = await channels_by_name(connection)
            held = await known_teams(connection)
            listing = self._source.list(command.limits)
            plan = make_plan(self._path, self._source, listing, command.selection, names, held)
        except ArchiveRefused as error:
            selects_nothing = isinstance(error, NothingSelected)
            self.report(protocol.Refused(error.args[0], error.hint, error.exports, selects_nothing))
            return
        if self._has_chunks:
            sort_by_span(plan.files)
        batches = [protocol.FileBatch.of(files) for files in split_files(plan.files)]
        number, size = len(plan.files), sum(planned.member.size for planned in plan.files)
        plan.files.clear()  # before the batches fill the pipe, which takes a while
        self.report(protocol.PlanMade(plan, number, size, len(batches)))
        for batch in batches:
            self.report(batch)

    async def _read_lists(self, command: protocol.ReadLists, connection: Connection) -> None:
        seen: dict[str, int] = {"user": 0, "channel": 0}
        read = protocol.ListsRead(seen, [], [])
        for kind, member in command.lists:
            rows = iter(self._list_rows(member, kind, read))
            while part := list(islice(rows, _LIST_BATCH)):
                seen[kind] += len(part)
                if command.dry_run:
                    continue
                applied = await upsert(connection, kind, [row.row for row in part])
                positions = {str(row.row["id"])[:40]: row.position for row in part}
                read.bad.extend(
                    ImportProblem(member.path, positions.get(row["id"]), Reason.REFUSED)
                    for row in applied.bad_rows
                )
        self.report(read)

    def _list_rows(
        self, member: Member, kind: DirectoryKind, read: protocol.ListsRead
    ) -> Iterator[ListRow]:
        """The rows of a list that can be stored. Problems are added to `read`."""
        for found in read_list(self._source, member, kind):
            if isinstance(found, ListRow):
                yield found
            else:
                problem = ImportProblem(member.path, found.position, found.reason)
                (read.bad if found.is_bad else read.repaired).append(problem)


def main() -> None:
    """Work until the input ends."""
    gc.disable()  # parsed records contain no cycles, and the collector would visit them again and again
    os.nice(_NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the import stops its workers itself
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints go to stderr, not into the pipe
    worker = Worker(sys.stdin.buffer, reports)
    try:
        asyncio.run(worker.run())
    except _PipeClosed:
        pass
    except CheckpointChanged:
        worker.report(
            protocol.DatabaseFailed(
                "Another session keeps changing this import's rows of slack.import_file."
            )
        )
    except TigerSlackError as error:
        worker.report(protocol.DatabaseFailed(str(error)))
    except psycopg.Error as error:
        worker.report(
            protocol.DatabaseFailed(f"The import ended because of the database: {describe(error)}.")
        )
    except Exception as error:
        worker.report(protocol.Crashed(where(error), error_attributes(error)))


if __name__ == "__main__":
    main()
