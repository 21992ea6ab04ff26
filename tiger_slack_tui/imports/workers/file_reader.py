"""Reads the files of one command record by record, and merges them in batches."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import IO, Protocol

from tiger_slack_tui.imports.archive.members import DAMAGE, Member, Source, reason_of, verify
from tiger_slack_tui.imports.archive.plan import NumberedFile, PlannedFile
from tiger_slack_tui.imports.archive.records import (
    WHOLE,
    BadFile,
    RepairedRecord,
    UnreadableRecord,
    read_records,
)
from tiger_slack_tui.imports.merge.decisions import FileEnd, MergeItem, MergeRecord
from tiger_slack_tui.imports.merge.known_files import accounts_of_known_files
from tiger_slack_tui.imports.merge.merger import Merger
from tiger_slack_tui.imports.merge.rows import DeletionRow, MessageRow, parse_row
from tiger_slack_tui.imports.workers import protocol
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.import_account import Account, Reason
from tiger_slack_tui.store.import_files import (
    CheckpointChanged,
    FileCheckpoint,
    fetch_checkpoints,
    forget_problems,
    save_checkpoints,
)
from tiger_slack_tui.store.lock_spans import LOCK_SPAN

_BATCH_RECORDS = 2000
_BATCH_BYTES = 2 << 20
_BATCH_CHANNELS = 50
"""A batch ends at any of these limits, and with chunks before a record of another `LOCK_SPAN`.

Live events about the same messages wait for it, some 100 ms. Each of its channels takes a lock."""
_ATTEMPTS = 5
"""How often the files are begun again because another session has changed their checkpoints."""


class _RulesAdded(Exception):
    """The first discard rule was added during a batch. Rules look at records, which its rows lack: read it again."""


class Parent(Protocol):
    """The process that started this worker."""

    def report(self, report: protocol.Report) -> None:
        """Send a report."""

    def wait_for_permit(self) -> None:
        """Wait until a batch may be merged."""


class FileReader:
    """Does the work of one ReadFiles command."""

    def __init__(
        self,
        parent: Parent,
        command: protocol.ReadFiles,
        import_id: int | None,
        source: Source,
        merger: Merger,
        connection: Connection,
        *,
        has_chunks: bool,
    ) -> None:
        """`import_id` is None for a dry run. `merger` works over `connection`.

        With `has_chunks` a batch has messages of one lock span.
        """
        self._parent = parent
        self._command = command
        self._import_id = import_id
        self._source = source
        self._merger = merger
        self._connection = connection
        self._batch: list[MergeItem] = []
        self._batch_bytes = 0
        self._channels: set[str] = set()
        """The channels of the batch's files."""
        self._has_chunks = has_chunks
        self._span: int | None = None
        """The lock span of the batch's messages, once it has any."""
        self._open: dict[int, FileCheckpoint] = {}
        """The files that have not ended, by number."""
        self._failures: dict[int, Reason] = {}
        self._contents: dict[int, bytes] = {}
        self._long: set[int] = set()
        """Files that are too large to be parsed at once."""
        self._started: list[int] = []
        self._at = (0, 0)
        """The file that is being read, and the bytes of it that are read."""
        self._keep_records = False
        """Whether rows keep their records. They do while there are rules."""
        self._may_merge = False
        """Whether the next batch may be merged. It stays so when the batch is read again."""
        self._has_dates = command.selection.has_dates

    async def read(self) -> None:
        """Merge every file. Raises CheckpointChanged if other sessions keep changing the files' checkpoints."""
        files = self._command.batch.files()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._read_all(files, is_retry=attempt > 1)
                break
            except CheckpointChanged:
                if attempt == _ATTEMPTS:
                    raise
                files = [(number, planned) for number, planned in files if number in self._open]
                self._forget_batch()
        self._parent.report(protocol.FilesRead())

    async def _read_all(self, files: Sequence[NumberedFile], *, is_retry: bool) -> None:
        await self._begin_files(files, is_retry=is_retry)
        self._keep_records = await self._merger.has_rules()
        try:
            await self._read_files(files)
        except _RulesAdded:
            self._forget_batch()
            self._keep_records = True
            await self._read_files(files)

    def _forget_batch(self) -> None:
        self._batch, self._batch_bytes, self._started, self._span = [], 0, [], None
        self._channels = set()

    async def _begin_files(self, files: Sequence[NumberedFile], *, is_retry: bool) -> None:
        """Find out where to begin with each file."""
        saved: Mapping[str, FileCheckpoint] = {}
        if self._import_id is not None:
            paths = [planned.member.path for _, planned in files]
            saved = await fetch_checkpoints(self._connection, self._import_id, paths)
        self._open, self._failures, self._contents = {}, {}, {}
        for number, planned in files:
            await self._begin_file(number, planned, saved.get(planned.member.path), is_retry)
        if self._import_id is not None and not self._command.is_restart:
            await self._skip_known_files(self._import_id)

    async def _begin_file(
        self, number: int, planned: PlannedFile, saved: FileCheckpoint | None, is_retry: bool
    ) -> None:
        member = planned.member
        crc, failure = self._examine(number, member)
        checkpoint = FileCheckpoint(member.path, member.size, crc, planned.channel.id)
        if number not in self._long:
            checkpoint.times = []
        if failure is not None:
            self._failures[number] = failure
            # The content is unknown, so it counts as unchanged.
            checkpoint.crc = saved.crc if saved else crc
        if saved and saved.has_content_of(checkpoint):
            known = protocol.FileKnown(number, saved.account, saved.is_done, saved.error)
            self._parent.report(known)
            if not saved.is_done:
                self._open[number] = saved
            return
        self._open[number] = checkpoint
        if is_retry:  # what was reported of the file is not committed
            self._parent.report(protocol.FileKnown(number, Account(), False, None))
        if saved and self._import_id is not None:
            checkpoint.stored_position = saved.position
            await forget_problems(self._connection, self._import_id, member.path)

    async def _skip_known_files(self, import_id: int) -> None:
        """Account for the files whose content was merged before."""
        new = [n for n in self._open if n not in self._failures and not self._open[n].position]
        checkpoints = [self._open[number] for number in new]
        selection = self._command.selection
        found = await accounts_of_known_files(self._connection, checkpoints, selection)
        if not found:
            return
        self._wait_for_permit()
        accounts = {new[index]: account for index, account in found.items()}
        done = [
            replace(
                self._open[number], position=account.read, account=account, is_done=True, times=None
            )
            for number, account in accounts.items()
        ]
        async with self._connection.transaction():
            await save_checkpoints(self._connection, import_id, done)
        self._may_merge = False
        for number in accounts:
            del self._open[number]
        ended = dict.fromkeys(accounts, None)
        self._parent.report(protocol.BatchDone(list(accounts), accounts, ended, self._at, ()))

    async def _read_files(self, files: Sequence[NumberedFile]) -> None:
        """Merge what is not committed of the files. Raises _RulesAdded."""
        for number, planned in files:
            if number in self._open:
                await self._read_file(number, planned)
        await self._merge_batch()

    async def _read_file(self, number: int, planned: PlannedFile) -> None:
        if planned.channel.id not in self._channels and len(self._channels) >= _BATCH_CHANNELS:
            await self._merge_batch()
        self._channels.add(planned.channel.id)
        self._started.append(number)
        failure = self._failures.get(number)
        skip = self._open[number].position
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
        """Merge the records after the first `skip`; the reason why the rest cannot be read, if so."""
        position, channel = skip, planned.channel
        size = WHOLE + 1 if number in self._long else planned.member.size
        content: MessageRow | DeletionRow | Reason | None
        try:
            for value in islice(read_records(stream, size), skip, None):
                position += 1
                repair = value.what if isinstance(value, RepairedRecord) else None
                if isinstance(value, UnreadableRecord):
                    content = value.reason
                else:
                    record = value.value if isinstance(value, RepairedRecord) else value
                    content = parse_row(record, channel, keep=self._keep_records)
                    if self._has_dates and not self._is_wanted(content):
                        content = None
                if self._has_chunks and isinstance(content, MessageRow | DeletionRow):
                    span = content.micros // LOCK_SPAN
                    if self._span not in (None, span):
                        self._at = (number, stream.tell())
                        await self._merge_batch()
                    self._span = span
                self._batch.append(MergeRecord(content, repair, number, position))
                if isinstance(content, MessageRow):
                    self._batch_bytes += len(content.cells)
                if len(self._batch) >= _BATCH_RECORDS or self._batch_bytes >= _BATCH_BYTES:
                    self._at = (number, stream.tell())
                    await self._merge_batch()
        except BadFile as error:
            return error.reason
        return None

    def _is_wanted(self, content: MessageRow | DeletionRow | Reason) -> bool:
        """Whether the record is within the dates, or has no time."""
        return isinstance(content, Reason) or self._command.selection.is_wanted(content.ts)

    def _examine(self, number: int, member: Member) -> tuple[int, Reason | None]:
        """The CRC-32 of the file's content, and the reason why it cannot be read, if so."""
        if member.size > WHOLE:
            self._long.add(number)
        if number in self._command.crashed:
            return member.crc or 0, Reason.CRASHED
        try:
            if member.size > WHOLE:
                return verify(self._source, member), None
            if member.crc is not None:  # reading the member checks it
                return member.crc, None
            # The content is kept, so that merging does not read it again.
            with self._source.open(member) as stream:
                content = stream.read(WHOLE + 1)
            if len(content) > WHOLE:
                # More than was listed: Slackdump's databases give an estimate, and a file may have grown.
                self._long.add(number)
                return verify(self._source, member), None
            self._contents[number] = content
            return zlib.crc32(content), None
        except DAMAGE as error:
            return member.crc or 0, reason_of(error)

    def _wait_for_permit(self) -> None:
        if not self._may_merge:
            self._parent.wait_for_permit()
            self._may_merge = True

    async def _merge_batch(self) -> None:
        if not self._batch:
            return
        self._wait_for_permit()
        # A batch follows the rules that there are when it is merged.
        if (has_rules := await self._merger.has_rules()) and not self._keep_records:
            raise _RulesAdded
        ended = {item.file: item.failure for item in self._batch if isinstance(item, FileEnd)}
        merged = await self._merger.merge(self._batch, self._open, has_rules=has_rules)
        self._may_merge = False
        for number in ended:
            del self._open[number]
        started = self._started
        self._forget_batch()
        self._parent.report(
            protocol.BatchDone(started, merged.accounts, ended, self._at, merged.problems)
        )
