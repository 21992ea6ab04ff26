"""Merges batches of records into a target, each batch in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import psycopg

from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.batch_parts import BatchParts
from tiger_slack_tui.imports.merge.decisions import (
    Changes,
    MergeItem,
    MergeRecord,
    RecordProblem,
    decide,
    message_times,
)
from tiger_slack_tui.imports.merge.rows import MessageRow
from tiger_slack_tui.imports.merge.targets import MergeTarget
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import is_unavailable
from tiger_slack_tui.store.import_account import Account, Reason
from tiger_slack_tui.store.import_files import FileCheckpoint
from tiger_slack_tui.store.rules import RuleResults, evaluate_rules

_TRIES = 5
"""Attempts of a transaction that fails because of other sessions (deadlock, lock timeout)."""


@dataclass(slots=True)
class MergeResult:
    """What became of a batch."""

    accounts: dict[int, Account] = field(default_factory=dict)
    """By file."""
    without_file: Account = field(default_factory=Account)
    """Of the records that are of no file."""
    problems: list[RecordProblem] = field(default_factory=list)
    """Of the files."""

    def add(self, other: MergeResult) -> None:
        """Add what became of another batch."""
        for number, account in other.accounts.items():
            self.accounts.setdefault(number, Account()).add(account)
        self.without_file.add(other.without_file)
        self.problems += other.problems


class Merger:
    """Merges records into a target over one connection, which commits by itself."""

    def __init__(self, connection: Connection, target: MergeTarget) -> None:
        self._connection = connection
        self._target = target

    async def prepare(self) -> None:
        """Set up the session. Call it once, before the first `merge`."""
        await self._target.prepare()

    async def has_rules(self) -> bool:
        """Whether there are discard rules now: `merge` then needs the records of all messages."""
        return await self._target.has_rules()

    async def lock(self, items: Sequence[MergeItem]) -> None:
        """Lock the messages of all items, in the current transaction.

        Call it before several calls of `merge` in one transaction: each call takes its locks in order, but two calls
        together do not, and could meet a deadlock.
        """
        await self._target.lock(message_times(items, {}))

    async def merge(
        self, items: Sequence[MergeItem], files: dict[int, FileCheckpoint], *, has_rules: bool
    ) -> MergeResult:
        """Merge the items and commit them with their account; bring the checkpoints in `files` up to date.

        `files` has the checkpoints by the file numbers of the items; it is empty for records that are of no file.
        With `has_rules` the discard rules apply; every row then has to keep its record. A record that PostgreSQL
        refuses is skipped as refused, and the others are merged. Raises CheckpointChanged, and psycopg.Error for an
        outage; the current transaction is then rolled back.
        """
        merged = MergeResult()
        parts = BatchParts(items)
        while part := parts.next:
            try:
                merged.add(await self._merge_with_retries(part, files, has_rules))
            except psycopg.Error as error:
                if not _is_about_data(error) or self._connection.broken:
                    raise
                if len(part) > 1:
                    parts.halve()
                    continue
                refused = part[0]
                if not isinstance(refused, MergeRecord) or refused.content is Reason.REFUSED:
                    raise
                refused = refused._replace(content=Reason.REFUSED, repair=None)
                merged.add(await self._merge_with_retries([refused], files, has_rules))
            parts.finish()
        return merged

    async def _merge_with_retries(
        self, items: Sequence[MergeItem], files: dict[int, FileCheckpoint], has_rules: bool
    ) -> MergeResult:
        for tries in range(1, _TRIES):
            try:
                return await self._merge(items, files, has_rules)
            except psycopg.Error as error:
                if not _may_pass(error) or self._connection.broken:
                    raise
            await asyncio.sleep(backoff(tries, first=0.1, most=1))
        return await self._merge(items, files, has_rules)

    async def _merge(
        self, items: Sequence[MergeItem], files: dict[int, FileCheckpoint], has_rules: bool
    ) -> MergeResult:
        discarded: dict[int, int] = {}
        results = RuleResults((), None)
        if has_rules:
            messages = {
                number: item.content.message()
                for number, item in enumerate(items)
                if isinstance(item, MergeRecord) and isinstance(item.content, MessageRow)
            }
            results = await evaluate_rules(self._connection, list(messages.values()))
            rules = zip(messages, results.rules, strict=True)
            discarded = {number: rule for number, rule in rules if rule is not None}
        times = message_times(items, discarded)
        async with self._connection.transaction():
            await self._target.lock(times)
            if results.failures:
                await self._target.count_rule_failures(results.failures)
            known = await self._target.fetch_known(times)
            changes = decide(items, discarded, known)
            await self._target.write(changes, known)
            after = {
                number: _advanced(files[number], number, changes)
                for number in changes.accounts
                if number in files
            }
            if after:
                await self._target.save_files(after, changes.problems)
        for number, checkpoint in after.items():
            checkpoint.stored_position = checkpoint.position
            files[number] = checkpoint
        return MergeResult(changes.accounts, changes.without_file, changes.problems)


def _advanced(before: FileCheckpoint, number: int, changes: Changes) -> FileCheckpoint:
    """The checkpoint of a file after a batch, in which the file has this number."""
    account = before.account.copy()
    account.add(changes.accounts[number])
    merged = changes.times.get(number, [])
    times = None if before.times is None else before.times + merged
    return replace(
        before,
        position=changes.positions.get(number, before.position),
        account=account,
        is_done=number in changes.ended,
        error=changes.ended.get(number),
        times=times,
        first=min(merged, default=before.first),
        last=max(merged, default=before.last),
    )


def _is_about_data(error: psycopg.Error) -> bool:
    # https://www.postgresql.org/docs/current/errcodes-appendix.html: data exception, integrity constraint, limits.
    # psycopg itself refuses some data, without a code.
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)
    return error.sqlstate.startswith(("22", "23", "54")) and not _may_pass(error)


def _may_pass(error: psycopg.Error) -> bool:
    # A unique violation comes from a session that wrote the same message without our locks. The retry finds it.
    return is_unavailable(error) or isinstance(error, psycopg.errors.UniqueViolation)
