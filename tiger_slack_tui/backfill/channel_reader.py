"""Reads the history of one channel for a gap, in steps: a page of messages, then the threads of that page, and so on.

Each step requests one page from Slack, and commits what it read together with how far it is. So a backfill goes on
after a crash from the page where it was. A page is requested by time, because Slack's cursors expire. For a stored
message that the page lacks, the step also asks Slack for that message alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tiger_slack_tui.backfill.window import FIRST, Window
from tiger_slack_tui.base.errors import SlackAbsent, SlackCursorExpired, SlackUnavailable
from tiger_slack_tui.imports.merge.decisions import MergeItem, MergeRecord
from tiger_slack_tui.imports.merge.merger import Merger
from tiger_slack_tui.imports.merge.rows import DeletionRow, MessageRow, parse_row, time_or_none
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.slack.paged_history import SlackHistory
from tiger_slack_tui.slack.ts import from_micros, to_micros
from tiger_slack_tui.slack.web import Page
from tiger_slack_tui.store import gap_progress
from tiger_slack_tui.store.gap_progress import ChannelProgress, PendingThread
from tiger_slack_tui.store.import_account import Account
from tiger_slack_tui.store.import_messages import Channel
from tiger_slack_tui.store.lock_spans import by_lock_span, lock_spans

log = logging.getLogger(__name__)

_TICK = timedelta(microseconds=1)
"""The resolution of Slack's ts."""
_MOST_MISSING = 20
"""If more messages of a page are missing in Slack, none of them counts as deleted."""


class ChannelReader:
    """The backfill of a gap in one channel. `state` is its progress, which each step saves."""

    def __init__(
        self,
        connection: Connection,
        slack: SlackHistory,
        merger: Merger,
        window: Window,
        channel: Channel,
        state: ChannelProgress,
    ) -> None:
        self.window = window
        self.channel = channel
        self.state = state
        self._connection = connection
        self._slack = slack
        self._merger = merger
        self._pending: list[PendingThread] | None = None
        """The threads that are still to read, the next one last; None if they must be looked up."""
        self._cursor: str | None = None
        """Of the next page, if the last one had no new messages."""

    async def step(self) -> Account:
        """Read and commit one page of the history, or of a thread. Returns its account.

        At the end `state.is_done` is set. A channel that Slack does not show is skipped, and done. Raises
        SlackRefused, SlackUnavailable and psycopg.Error; the next step then tries the same again.
        """
        try:
            thread = await self._next_thread()
            if thread is not None:
                return await self._read_thread(thread)
            if not self._has_read_history:
                return await self._read_history()
        except SlackAbsent as error:
            self.state.skipped = error.reason
        except BaseException as error:
            # What was committed is in the tables: the next step looks there, and asks Slack by time.
            had_cursor = self._cursor is not None
            self._pending, self._cursor = None, None
            if isinstance(error, SlackCursorExpired) and had_cursor:
                return Account()
            raise
        self.state.is_done = True
        save = gap_progress.skip if self.state.skipped else gap_progress.save
        await save(self._connection, self.window.gap, self.state)
        return Account()

    async def look_up_threads(self) -> None:
        """Look up the threads that earlier attempts have found: `position` and `threads_left` then know them."""
        await self._next_thread()

    @property
    def position(self) -> datetime:
        """The time of the messages that the next step reads; of a thread, that of its parent."""
        if self._pending:
            return self._pending[-1].ts
        return self.state.reached or self.window.latest

    @property
    def threads_left(self) -> int:
        """The threads that were found and are still to read, as far as they are known."""
        return len(self._pending or ())

    @property
    def _has_read_history(self) -> bool:
        reached = self.state.reached
        return (reached or self.window.latest + _TICK) <= self.window.oldest

    async def _next_thread(self) -> PendingThread | None:
        if self._pending is None:
            found = await gap_progress.threads(self._connection, self.window.gap, self.channel.id)
            self._pending = found[::-1]
        return self._pending[-1] if self._pending else None

    async def _read_history(self) -> Account:
        """Read a page of messages. Each part of it is committed with its checkpoint."""
        window, state = self.window, self.state
        before = state.reached or window.latest + _TICK
        page = await self._slack.history_page(
            self.channel.id, window.oldest, before - _TICK, self._cursor
        )
        items = list(_merge_records(page.items, self.channel))
        times = [
            item.content.ts for item in items if isinstance(item.content, MessageRow | DeletionRow)
        ]
        if times and min(times) >= before:
            raise SlackUnavailable("Slack's history does not end: it repeats a page")
        is_last = page.next_cursor is None and not (page.has_more and times)
        self._cursor = None if times else page.next_cursor
        threads = list(_threads(page.items, window))
        if is_last and window.oldest > FIRST:
            old = await gap_progress.old_threads(self._connection, self.channel.id, window.oldest)
            threads += map(PendingThread, old)
        if is_last and page.is_limited:
            state.shown_since = min(times, default=before)
        gone = [] if page.is_limited else await self._gone(times, before)
        reached = window.oldest if is_last else min(times, default=state.reached)
        read = Account()
        self._pending = None
        for part in _PagePart(items, gone, threads, reached).split():
            read.add(await retry_deadlocks(partial(self._commit_history, part)))
        await self._next_thread()
        return read

    async def _commit_history(self, part: _PagePart) -> Account:
        """Commit a part of a page, and its checkpoint. If it raises, `state` is unchanged."""
        gap, state = self.window.gap, self.state
        after = replace(state, reached=part.reached, deleted=state.deleted + len(part.gone))
        async with self._connection.transaction():
            await self._merger.lock([*part.gone, *part.items])
            await gap_progress.add_threads(self._connection, gap, self.channel.id, part.threads)
            await self._merge_items(part.gone)
            account = await self._merge(after, part.items)
        state.reached, state.deleted, state.account = after.reached, after.deleted, after.account
        return account

    async def _read_thread(self, thread: PendingThread) -> Account:
        """Read a page of the thread's replies, and commit it."""
        since = thread.reached or self.window.replies_since(thread.ts)
        try:
            page = await self._slack.replies_page(
                self.channel.id, thread.ts, since, self.window.last_reply, self._cursor
            )
        except SlackAbsent as error:
            if error.reason != "thread_not_found":
                raise
            page = Page([], None)
        replies = list(_merge_records(_hidden_replies(page.items, thread), self.channel))
        parts = by_lock_span(replies, _micros) or [[]]
        parts.sort(key=lambda part: _newest(part) or 0)
        read = Account()
        for part in parts:
            is_last = part is parts[-1] and page.next_cursor is None
            read.add(await retry_deadlocks(partial(self._commit_replies, thread, part, is_last)))
            if (newest := _newest(part)) is not None:
                thread = replace(thread, reached=from_micros(newest))
        assert self._pending  # noqa: S101 the thread is its last
        has_new = thread.reached != self._pending[-1].reached
        if page.next_cursor is None:
            self._pending.pop()
        else:
            self._pending[-1] = thread
        self._cursor = None if has_new else page.next_cursor
        return read

    async def _commit_replies(
        self, thread: PendingThread, replies: Sequence[MergeRecord], is_last: bool
    ) -> Account:
        """Commit replies to a thread; with `is_last` the thread is read. If it raises, `state` is unchanged."""
        gap, state, newest = self.window.gap, self.state, _newest(replies)
        after = replace(state, threads=state.threads + is_last)
        async with self._connection.transaction():
            await self._merger.lock(replies)
            if is_last:
                await gap_progress.end_thread(
                    self._connection,
                    gap,
                    self.channel.id,
                    thread,
                    is_whole=self.window.has_whole_threads,
                )
            elif newest is not None:
                await gap_progress.save_thread(
                    self._connection, gap, self.channel.id, thread, from_micros(newest)
                )
            account = await self._merge(after, replies)
        state.threads, state.account = after.threads, after.account
        return account

    async def _merge(self, state: ChannelProgress, items: Sequence[MergeItem]) -> Account:
        """Merge the records and save the channel's account, in the current transaction."""
        merged = await self._merge_items(items)
        state.account = state.account.copy()
        state.account.add(merged)
        await gap_progress.save(self._connection, self.window.gap, state)
        return merged

    async def _merge_items(self, items: Sequence[MergeItem]) -> Account:
        if not items:
            return Account()
        has_rules = await self._merger.has_rules()
        merged = await self._merger.merge(items, {}, has_rules=has_rules)
        return merged.without_file

    async def _gone(self, times: Sequence[datetime], before: datetime) -> list[MergeRecord]:
        """Deletions of stored messages, from the page's oldest message on, that Slack no longer returns."""
        if not times:
            return []
        channel, ended = self.channel, self.window.ended
        ours: set[datetime] = set()
        for oldest, end in lock_spans(min(times), before):
            ours.update(
                await gap_progress.messages(
                    self._connection, channel.id, oldest=oldest, before=end, ended=ended
                )
            )
        missing = sorted(ours - set(times))
        if len(missing) > _MOST_MISSING:
            log.warning(
                "too many messages are missing in Slack to be deletions; they are kept",
                extra={
                    "gap": self.window.gap.id,
                    "channel": channel.id,
                    "missing": len(missing),
                },
            )
            return []
        gone = [ts for ts in missing if not await self._slack.has(channel.id, ts)]
        return [MergeRecord(DeletionRow(channel, to_micros(ts))) for ts in gone]


@dataclass(frozen=True, slots=True)
class _PagePart:
    """A page of a channel's history or a part of it, and what is saved with it."""

    items: Sequence[MergeRecord]
    gone: Sequence[MergeRecord]
    threads: Sequence[PendingThread]
    reached: datetime | None

    def split(self) -> Iterator[_PagePart]:
        """The page in parts of one lock span each, the newest first; one part if it has no messages."""
        records = [(each, False) for each in self.items] + [(each, True) for each in self.gone]
        parts = by_lock_span(records, lambda record: _micros(record[0])) or [[]]
        parts.sort(key=_oldest, reverse=True)
        for part in parts:
            is_last = part is parts[-1]
            # The threads come with the first part: no later attempt reads its messages again.
            yield _PagePart(
                [record for record, is_gone in part if not is_gone],
                [record for record, is_gone in part if is_gone],
                self.threads if part is parts[0] else [],
                self.reached if is_last else from_micros(_oldest(part)),
            )


def _micros(record: MergeRecord) -> int | None:
    content = record.content
    return content.micros if isinstance(content, MessageRow | DeletionRow) else None


def _oldest(part: Sequence[tuple[MergeRecord, bool]]) -> int:
    times = (_micros(record) for record, _ in part)
    return min((micros for micros in times if micros is not None), default=0)


def _newest(records: Sequence[MergeRecord]) -> int | None:
    times = map(_micros, records)
    return max((micros for micros in times if micros is not None), default=None)


def _merge_records(records: Iterable[dict[str, Any]], channel: Channel) -> Iterable[MergeRecord]:
    return (MergeRecord(parse_row(record, channel)) for record in records)


def _threads(records: Iterable[dict[str, Any]], window: Window) -> Iterable[PendingThread]:
    """The threads of which replies are to be read: all, or those that may have replies in the gap."""
    for record in records:
        ts, thread = time_or_none(record.get("ts")), time_or_none(record.get("thread_ts"))
        if ts is None or thread is None:
            continue
        latest, count = time_or_none(record.get("latest_reply")), record.get("reply_count")
        if not window.has_whole_threads:
            replied = ts if ts != thread else latest
            if replied is None or replied >= window.begun:
                yield PendingThread(thread)
        elif ts == thread:
            is_number = type(count) is int and 0 <= count < 1 << 31
            yield PendingThread(thread, count if is_number else None, latest)
        elif thread < window.oldest:  # else its parent is in the history, too
            yield PendingThread(thread)


def _hidden_replies(
    records: Iterable[dict[str, Any]], thread: PendingThread
) -> Iterable[dict[str, Any]]:
    """The replies that the channel's history lacks, without those that were read before.

    The history has the parent, and what was also sent to the channel.
    """
    for record in records:
        ts = time_or_none(record.get("ts"))
        is_read = ts is not None and thread.reached is not None and ts <= thread.reached
        if ts != thread.ts and record.get("subtype") != "thread_broadcast" and not is_read:
            yield record
