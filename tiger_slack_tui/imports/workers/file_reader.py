"""Reads files of an archive, record by record, and merges them in batches."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import IO, Protocol

from tiger_slack_tui.imports.archive.members import DAMAGE, Member, Source, reason_of, verify
from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.imports.archive.records import (
    WHOLE,
    BadFile,
    RepairedRecord,
    UnreadableRecord,
    read_records,
)
from tiger_slack_tui.imports.merge.decisions import FileEnd, FileRecord, MergeItem
from tiger_slack_tui.imports.merge.known_files import FileCheckpoint, recall
from tiger_slack_tui.imports.merge.rows import DeletionRow, MessageRow, read_row
from tiger_slack_tui.imports.merge.writer import Tables
from tiger_slack_tui.imports.workers import protocol
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.import_account import Reason
from tiger_slack_tui.store.imports import saved_files

_BATCH = 2000
"""Records of a transaction, ..."""
_BATCH_BYTES = 2 << 20
"""... and their size: live events about the same messages wait for it, some 100 ms."""


class _RulesMade(Exception):
    """There are rules now, and the rows of the batch do not keep the records that rules look at."""


class Parent(Protocol):
    """Whom the work is done for."""

    def report(self, report: protocol.Report) -> None:
        """Tell."""

    def wait_for_go(self) -> None:
        """Wait until a batch may be merged."""


class FileReader:
    """The work of one ReadFiles command."""

    def __init__(
        self,
        parent: Parent,
        command: protocol.ReadFiles,
        import_id: int | None,
        source: Source,
        tables: Tables,
        connection: Connection,
    ) -> None:
        self._parent = parent
        self._command = command
        self._import_id = import_id
        self._source = source
        self._tables = tables
        self._connection = connection
        self._batch: list[MergeItem] = []
        self._bytes = 0
        self._states: dict[int, FileCheckpoint] = {}
        self._failures: dict[int, Reason] = {}
        self._contents: dict[int, bytes] = {}
        self._started: list[int] = []
        self._at = (0, 0)
        self._keeps = False
        """Whether rows keep their records. They do when there are rules."""
        self._may_go = False
        """Whether the batch may be merged; still so when it is read again."""
        self._is_selective = command.selection.has_dates

    async def read(self) -> None:
        """Bring every file into the tables."""
        files = self._command.span.files()
        saved: Mapping[str, FileCheckpoint] = {}
        if self._import_id is not None:
            paths = [planned.member.path for _, planned in files]
            saved = await saved_files(self._connection, self._import_id, paths)
        for number, planned in files:
            await self._begin(number, planned, saved.get(planned.member.path))
        if self._import_id is not None and not self._command.is_restart:
            await self._recall()
        self._keeps = await self._tables.has_rules()
        try:
            await self._read_files(files)
        except _RulesMade:
            self._batch, self._bytes, self._started, self._keeps = [], 0, [], True
            await self._read_files(files)
        self._parent.report(protocol.FilesRead())

    async def _begin(self, number: int, planned: PlannedFile, saved: FileCheckpoint | None) -> None:
        """Find out where to begin with the file."""
        member = planned.member
        crc, failure = self._examine(number, member)
        state = FileCheckpoint(member.path, member.size, crc, planned.channel.id)
        if member.size <= WHOLE:  # not too many to keep
            state.times = []
        if failure is not None:
            self._failures[number] = failure
            state.crc = saved.crc if saved else crc  # what cannot be read is what it was
        if saved and saved.holds(state):
            state = saved
            known = protocol.FileKnown(number, saved.account, saved.is_done, saved.error)
            self._parent.report(known)
            if saved.is_done:
                return
        elif saved:
            state.stored = saved.position
            await self._tables.forget(member.path)
        self._states[number] = state

    async def _recall(self) -> None:
        """Leave out the files whose contents were taken in before."""
        new = [n for n in self._states if n not in self._failures and not self._states[n].position]
        states = [self._states[number] for number in new]
        found = await recall(self._connection, states, self._command.selection)
        if not found:
            return
        self._parent.wait_for_go()
        accounts = {new[index]: account for index, account in found.items()}
        done = []
        for number, account in accounts.items():
            state = self._states.pop(number)
            position = account.read
            done.append(
                replace(state, position=position, account=account, is_done=True, times=None)
            )
        await self._tables.save(done)
        ended = dict.fromkeys(accounts, None)
        self._parent.report(protocol.BatchDone(list(accounts), accounts, ended, self._at, ()))

    async def _read_files(self, files: Sequence[tuple[int, PlannedFile]]) -> None:
        """Merge what is not committed of the files. Raises _RulesMade."""
        for number, planned in files:
            if number in self._states:
                await self._read_file(number, planned)
        await self._flush()

    async def _read_file(self, number: int, planned: PlannedFile) -> None:
        self._started.append(number)
        failure = self._failures.get(number)
        skip = self._states[number].position
        if failure is None:
            content = self._contents.pop(number, None)
            try:
                stream = (
                    self._source.open(planned.member) if content is None else io.BytesIO(content)
                )
            except DAMAGE as error:
                failure = reason_of(error)
            else:
                with stream:
                    failure = await self._read_stream(stream, number, planned, skip)
        self._batch.append(FileEnd(number, failure))
        self._at = (number, planned.member.size)

    async def _read_stream(
        self, stream: IO[bytes], number: int, planned: PlannedFile, skip: int
    ) -> Reason | None:
        """Merge the records after the first `skip`; why the rest cannot be read."""
        position, channel = skip, planned.channel
        what: MessageRow | DeletionRow | Reason | None
        try:
            for value in islice(read_records(stream, planned.member.size), skip, None):
                position += 1
                is_repaired = isinstance(value, RepairedRecord)
                if isinstance(value, UnreadableRecord):
                    what = value.reason
                else:
                    record = value.value if is_repaired else value
                    what = read_row(record, channel, keep=self._keeps)
                    if self._is_selective and not self._is_wanted(what):
                        what = None
                self._batch.append(FileRecord(number, position, what, is_repaired))
                if isinstance(what, MessageRow):
                    self._bytes += len(what.cells)
                if len(self._batch) >= _BATCH or self._bytes >= _BATCH_BYTES:
                    self._at = (number, stream.tell())
                    await self._flush()
        except BadFile as error:
            return error.reason
        return None

    def _is_wanted(self, what: MessageRow | DeletionRow | Reason) -> bool:
        """Whether it is within the dates, or of no time."""
        return isinstance(what, Reason) or self._command.selection.is_wanted(what.ts)

    def _examine(self, number: int, member: Member) -> tuple[int, Reason | None]:
        """The CRC-32 of the file's content, and why it cannot be read."""
        if number in self._command.crashed:
            return member.crc or 0, Reason.CRASHED
        try:
            if member.size > WHOLE:
                return verify(self._source, member), None
            if member.crc is not None:  # reading it all checks it
                return member.crc, None
            with self._source.open(member) as stream:  # once, and not again to merge it
                content = self._contents[number] = stream.read(WHOLE + 1)
            return zlib.crc32(content), None
        except DAMAGE as error:
            return member.crc or 0, reason_of(error)

    async def _flush(self) -> None:
        if not self._batch:
            return
        if not self._may_go:
            self._parent.wait_for_go()
            self._may_go = True
        # Each batch follows the rules that there are when it is merged.
        if (has_rules := await self._tables.has_rules()) and not self._keeps:
            raise _RulesMade
        ended = {item.file: item.failure for item in self._batch if isinstance(item, FileEnd)}
        merged = await self._tables.merge(self._batch, self._states, has_rules=has_rules)
        self._may_go = False
        for number in ended:
            del self._states[number]
        self._batch, self._bytes = [], 0
        started, self._started = self._started, []
        self._parent.report(
            protocol.BatchDone(started, merged.accounts, ended, self._at, merged.problems)
        )
