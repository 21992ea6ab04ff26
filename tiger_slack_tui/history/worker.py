"""A process that reads an archive and merges it: parsing never holds up the event loop of the import.

python -m tiger_slack_tui.history.worker, with the pipes of `protocol`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import IO, Any, Literal, cast

import psycopg
from psycopg import AsyncConnection

from tiger_slack_tui.database.directory import upsert
from tiger_slack_tui.database.failures import describe
from tiger_slack_tui.database.pool import connect
from tiger_slack_tui.errors import TigerSlackError, where
from tiger_slack_tui.history import protocol
from tiger_slack_tui.history.account import Reason
from tiger_slack_tui.history.archive import (
    DAMAGE,
    ArchiveRefused,
    Member,
    list_members,
    open_member,
)
from tiger_slack_tui.history.checkpoint import find_channels
from tiger_slack_tui.history.files import FileWork
from tiger_slack_tui.history.plan import make_plan
from tiger_slack_tui.history.records import (
    BadFile,
    BadRecord,
    Repaired,
    read_records,
)
from tiger_slack_tui.history.tables import DryRun, Tables

_PART = 1000
"""Files in a frame, and rows of a list that are merged at once."""


class _Ended(Exception):
    """Nobody wants anything more."""


class Worker:
    """Does what it is told, one command after the other."""

    def __init__(self, commands: IO[bytes], reports: IO[bytes]) -> None:
        self._commands = commands
        self._reports = reports
        self._credits = 0

    async def run(self) -> None:
        """Work until the input ends."""
        setup = self._receive()
        assert isinstance(setup, protocol.Setup)  # noqa: S101 the protocol
        self._setup = setup
        async with await connect(setup.conninfo) as connection:
            tables = (
                DryRun(connection)
                if setup.import_id is None
                else Tables(connection, setup.import_id)
            )
            await tables.prepare()
            while True:
                match self._receive():
                    case protocol.Go():
                        self._credits += 1
                    case protocol.MakePlan() as command:
                        await self._plan(command, connection)
                    case protocol.ReadLists() as command:
                        await self._read_lists(command, connection)
                    case protocol.ReadFiles() as command:
                        await FileWork(self, command, setup, tables, connection).read()

    def report(self, report: protocol.Report) -> None:
        """Send it; that a file is begun only with what comes next."""
        self._reports.write(protocol.frame(report))
        if not isinstance(report, protocol.FileStarted):
            self._reports.flush()

    def wait_for_go(self) -> None:
        """Wait until a batch may be merged. Raises _Ended."""
        while not self._credits:
            self._receive()
            self._credits += 1
        self._credits -= 1

    def _receive(self) -> protocol.Command:
        length = self._commands.read(protocol.LENGTH.size)
        if len(length) < protocol.LENGTH.size:
            raise _Ended
        content = self._commands.read(protocol.LENGTH.unpack(length)[0])
        command: protocol.Command = pickle.loads(content)  # noqa: S301 from our own parent
        return command

    async def _plan(self, command: protocol.MakePlan, connection: AsyncConnection[Any]) -> None:
        path = self._setup.path
        try:
            members = list_members(path, command.limits)
            names = await find_channels(connection)
            plan = make_plan(path, members, command.selection, names)
        except ArchiveRefused as error:
            self.report(protocol.Refused(error.args[0], error.hint))
            return
        files = iter(plan.files)
        while part := list(islice(files, _PART)):
            self.report(protocol.PlanPart(part))
        self.report(protocol.PlanMade(replace(plan, files=[])))

    async def _read_lists(
        self, command: protocol.ReadLists, connection: AsyncConnection[Any]
    ) -> None:
        seen = {"user": 0, "channel": 0}
        changed = {"user": 0, "channel": 0}
        bad: list[tuple[str, int | None, str]] = []

        async def upsert_rows(kind: str, member: Member, rows: Sequence[Mapping[str, Any]]) -> int:
            if command.dry_run or not rows:
                return 0
            applied = await upsert(connection, cast(Literal["user", "channel"], kind), rows)
            refused = [f"{row['id']}: {Reason.REFUSED}" for row in applied.bad_rows]
            bad.extend((member.path, None, reason) for reason in refused)
            return applied.changed

        for kind, member in command.lists:
            rows: list[Mapping[str, Any]] = []
            for position, value in enumerate(self._list_rows(member, bad), 1):
                if not isinstance(value, dict) or not isinstance(value.get("id"), str):
                    reason = value.reason if isinstance(value, BadRecord) else Reason.NO_OBJECT
                    bad.append((member.path, position, reason))
                    continue
                seen[kind] += 1
                rows.append(value)
                if len(rows) == _PART:
                    changed[kind] += await upsert_rows(kind, member, rows)
                    rows = []
            changed[kind] += await upsert_rows(kind, member, rows)
        self.report(protocol.ListsRead(seen, changed, bad))

    def _list_rows(self, member: Member, bad: list[tuple[str, int | None, str]]) -> Iterator[Any]:
        try:
            with open_member(self._setup.path, member) as stream:
                for value in read_records(stream, member.size):
                    yield value.value if isinstance(value, Repaired) else value
        except BadFile as error:
            bad.append((member.path, None, error.reason))
        except DAMAGE:
            bad.append((member.path, None, Reason.UNREADABLE))


def main() -> None:
    """Work until the input ends."""
    gc.disable()  # it would look through all that is parsed, again and again; nothing of it is a cycle
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the import ends its workers itself
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nobody else writes into the pipe
    worker = Worker(sys.stdin.buffer, reports)
    try:
        asyncio.run(worker.run())
    except (_Ended, BrokenPipeError):
        pass
    except TigerSlackError as error:
        worker.report(protocol.Broken(str(error)))
    except psycopg.Error as error:
        worker.report(protocol.Broken(f"The database broke the import off: {describe(error)}."))
    except Exception as error:
        worker.report(protocol.Crashed(where(error)))


if __name__ == "__main__":
    main()
