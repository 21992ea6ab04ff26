"""Closes gaps by reading Slack's history.

It reads the history of the gap, and of LOOK_BACK before it, in the channels that the app is a member of. It finds:

- Messages of the gap.
- Replies of the gap to threads whose parent is in that history: a parent has the ts of its newest reply.
- Replies of the gap to older threads that have a stored reply since then. It does not find a first reply to an older
  message: no method of Slack lists it.
- Edits of messages in that history, by `edited.ts`. It does not find changes without it, such as unfurled links.
- Reactions that are not known. It does not find removals: Slack's list of reactions need not be complete.
- Deletions of messages in that history. A deletion is final, so Slack must not return the message when asked for it
  alone, either. It does not find deletions of replies and of older messages.

Messages are merged by the rules of imports: they never beat newer live state, deletions and removals of reactions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tiger_slack_tui.base.errors import SlackAbsent, TigerSlackError
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.base.times import shift
from tiger_slack_tui.imports.merge.decisions import MergeItem, MergeRecord
from tiger_slack_tui.imports.merge.merger import Merger
from tiger_slack_tui.imports.merge.rows import DeletionRow, MessageRow, parse_row, time_or_none
from tiger_slack_tui.imports.merge.targets import TablesTarget
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.slack.paged_history import RESTRICTED, SlackHistory
from tiger_slack_tui.slack.ts import from_micros, to_micros
from tiger_slack_tui.slack.web import CONVERSATION_TYPES
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.gaps import BY_HAND, ChannelProgress, Gap
from tiger_slack_tui.store.import_account import Account
from tiger_slack_tui.store.import_messages import Channel
from tiger_slack_tui.store.lock_spans import by_lock_span, lock_spans

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=3)
"""How much of the history before a gap is read, for edits, deletions and replies of the gap to older messages."""
MARGIN = timedelta(minutes=1)
"""Read on either side of a gap, too: its ends are by the database's clock, messages by Slack's."""
_TICK = timedelta(microseconds=1)
"""The resolution of Slack's ts."""
_FIRST = datetime.fromtimestamp(0, UTC)
"""Slack refuses earlier times."""
_MOST_MISSING = 20
"""If more messages of a page are missing in Slack, none of them counts as deleted."""
_STOPPED = "it was stopped"


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """A page of a channel, or a thread, was merged."""

    gap: Gap
    channels_done: int
    channels: int
    account: Account
    """The account of this page or thread."""
    share: float
    """How much of the gap's history is read, 0 to 1: by time, and half of each channel for its threads."""


OnProgress = Callable[[BackfillProgress], Awaitable[None]]


@dataclass(slots=True)
class GapResult:
    """The result of trying to close a gap."""

    gap: Gap
    """The gap as it was when the backfill began. It does not grow after that."""
    is_closed: bool = False
    error: str | None = None
    channels: int = 0
    """The number of channels that were read."""
    skipped_channels: dict[str, int] = field(default_factory=dict)
    """The number of channels that Slack does not show, by its reason."""
    not_allowed: list[str] = field(default_factory=list)
    """The kinds of channels for which the app has no scope."""
    threads: int = 0
    deleted: int = 0
    messages: Account = field(default_factory=Account)
    is_restricted: bool = False

    def as_json(self) -> dict[str, Any]:
        """As in `--json` and slack.gap.account."""
        return {
            "channels": self.channels,
            "skipped_channels": self.skipped_channels,
            "not_allowed": self.not_allowed,
            "threads": self.threads,
            "deleted": self.deleted,
            "messages": self.messages.as_json(),
        }

    def add(self, state: ChannelProgress) -> None:
        """Add the counts of a channel."""
        self.threads += state.threads
        self.deleted += state.deleted
        self.messages.add(state.account)
        if state.skipped:
            self.skipped_channels[state.skipped] = self.skipped_channels.get(state.skipped, 0) + 1
        elif state.is_done:
            self.channels += 1


class Backfill:
    """Closes gaps, one after another, over the connection that holds the job's lock."""

    def __init__(
        self,
        connection: Connection,
        reader: SlackHistory,
        *,
        scopes: frozenset[str] | None,
        on_progress: OnProgress,
        is_by_operator: bool,
    ) -> None:
        """`scopes` has the scopes of the bot token; None if they are unknown.

        With `is_by_operator`, whoever stops it decides whether the periods that were asked for are continued. Else
        the job continues them.
        """
        self._is_by_operator = is_by_operator
        self._connection = connection
        self._reader = reader
        self._on_progress = on_progress
        self._merger = Merger(connection, TablesTarget(connection))
        self._kinds = readable_kinds(scopes)
        self._channels: dict[ChannelId, Channel] | None = None
        self._states: list[ChannelProgress] = []
        self._threads_read = 0.0
        """The share of the present channel's threads that are read."""

    async def close_gap(self, gap: Gap) -> GapResult:
        """Read the history of the gap, from where the last attempt ended, and record the result.

        Raises SlackRefused and SlackUnavailable, which are recorded, and psycopg.Error. However it ends, what is
        committed is accounted for, and the next attempt continues from there. If an operator stops the backfill of a
        period that was asked for, that is recorded, too: the job then leaves it to the operator to continue it.
        """
        result = GapResult(gap, not_allowed=[k for k in CONVERSATION_TYPES if k not in self._kinds])
        try:
            await self._read(gap, result)
        except TigerSlackError as error:
            result.error = error.args[0]
            raise
        except asyncio.CancelledError:
            is_stopped = self._is_by_operator and gap.reason == BY_HAND
            result.error = _STOPPED if is_stopped else None
            raise
        finally:
            result.is_restricted = self._reader.is_restricted
            if result.error or result.is_closed:
                await self._end(result)
        return result

    async def leave(self, left: Iterable[Gap]) -> None:
        """Record that the backfill ended before these, as far as an operator asked for them. Raises psycopg.Error."""
        if self._is_by_operator:
            error = "the backfill ended before it was begun"
            await gaps.leave(self._connection, [gap.id for gap in left], error)

    async def _read(self, gap: Gap, result: GapResult) -> None:
        await self._merger.prepare()
        channels = await self._own_channels()
        wanted = [gap.channel_id] if gap.channel_id else list(channels)
        begun = await gaps.begin(self._connection, gap.id, wanted)
        if begun is None:
            result.error = "the gap is gone, or has not ended"
            return
        result.gap, self._states = begun
        gap, states = begun
        try:
            for state in states:
                if not state.is_done:
                    channel = channels.get(state.channel_id) or Channel(state.channel_id, None)
                    await self._read_channel(_Window.of(gap), channel, state)
        finally:
            for state in states:
                result.add(state)
        unread = f"not read because a scope is missing: {', '.join(result.not_allowed)}"
        result.error = unread if result.not_allowed and not gap.channel_id else None
        if gap.channel_id and result.skipped_channels:
            result.error = f"Slack does not show the channel: {', '.join(result.skipped_channels)}"
        else:
            result.is_closed = True

    async def _end(self, result: GapResult) -> None:
        gap = result.gap
        if result.is_restricted:
            result.error = "; ".join(filter(None, (result.error, RESTRICTED)))
        await gaps.end(
            self._connection,
            gap,
            is_closed=result.is_closed,
            account=result.as_json(),
            error=result.error,
        )
        messages = result.messages
        log.log(
            logging.INFO if result.is_closed or result.error == _STOPPED else logging.WARNING,
            "gap %d %s",
            gap.id,
            "is closed" if result.is_closed else f"stays open: {result.error}",
            extra={
                "gap": gap.id,
                "read": messages.read,
                "inserted": messages.inserted,
                "updated": messages.updated,
                "deleted": result.deleted,
            },
        )

    async def _own_channels(self) -> dict[ChannelId, Channel]:
        if self._channels is None:
            found = await self._reader.conversations(self._kinds) if self._kinds else []
            self._channels = {
                item["id"]: Channel(item["id"], _kind(item))
                for item in found
                if isinstance(item.get("id"), str)
            }
        return self._channels

    async def _read_channel(
        self, window: _Window, channel: Channel, state: ChannelProgress
    ) -> None:
        try:
            await self._read_history(window, channel, state)
            threads = await gaps.threads(self._connection, window.gap, channel.id)
            for number, thread in enumerate(threads, start=1):
                self._threads_read = number / len(threads)
                await self._read_thread(window, channel, state, thread)
        except SlackAbsent as error:
            state.skipped = error.reason
        state.is_done, self._threads_read = True, 0.0
        await gaps.save(self._connection, window.gap, state)

    async def _read_history(
        self, window: _Window, channel: Channel, state: ChannelProgress
    ) -> None:
        """Merge the history page by page. Each page, or part of it, is committed with its checkpoint."""
        before = state.reached or window.latest + _TICK
        if before <= window.oldest:
            return
        async for page in self._reader.history(channel.id, window.oldest, before - _TICK):
            items = list(_merge_records(page.items, channel))
            times = [
                item.content.ts
                for item in items
                if isinstance(item.content, MessageRow | DeletionRow)
            ]
            threads = list(_threads(page.items, window))
            is_last = page.next_cursor is None
            if is_last:
                threads += await gaps.old_threads(self._connection, channel.id, window.oldest)
            gone = [] if page.is_limited else await self._gone(window, channel, times, before)
            reached = window.oldest if is_last else min(times, default=state.reached)
            for part in _Page(items, gone, threads, reached).parts():
                account = await retry_deadlocks(
                    partial(self._commit_page, window.gap, channel, state, part)
                )
                await self._report(window, account)
            before = min(times, default=before)

    async def _commit_page(
        self, gap: Gap, channel: Channel, state: ChannelProgress, page: _Page
    ) -> Account:
        """Commit a page, or a part of it, and its checkpoint. If it raises, `state` is unchanged."""
        after = replace(state, reached=page.reached, deleted=state.deleted + len(page.gone))
        async with self._connection.transaction():
            await self._merger.lock([*page.gone, *page.items])
            await gaps.add_threads(self._connection, gap, channel.id, page.threads)
            await self._merge_items(page.gone)
            account = await self._merge(gap, after, page.items)
        state.reached, state.deleted, state.account = after.reached, after.deleted, after.account
        return account

    async def _read_thread(
        self, window: _Window, channel: Channel, state: ChannelProgress, thread: datetime
    ) -> None:
        """Merge the replies of the gap to a thread, then note that it is read.

        There is no checkpoint between, because a cursor can expire.
        """
        found: list[dict[str, Any]] = []
        try:
            async for page in self._reader.replies(channel.id, thread, window.begun, window.latest):
                found += page.items
        except SlackAbsent as error:
            if error.reason != "thread_not_found":
                raise
        replies = list(_merge_records(_hidden_replies(found, thread), channel))
        parts = by_lock_span(replies, _micros) or [[]]
        for part in parts:
            read = thread if part is parts[-1] else None
            account = await retry_deadlocks(
                partial(self._commit_replies, window.gap, channel, state, part, read)
            )
            await self._report(window, account)

    async def _commit_replies(
        self,
        gap: Gap,
        channel: Channel,
        state: ChannelProgress,
        replies: Sequence[MergeRecord],
        read: datetime | None,
    ) -> Account:
        """Commit replies to a thread; `read` is the thread when they are its last.

        If it raises, `state` is unchanged.
        """
        after = replace(state, threads=state.threads + (read is not None))
        async with self._connection.transaction():
            await self._merger.lock(replies)
            if read is not None:
                await gaps.end_thread(self._connection, gap, channel.id, read)
            account = await self._merge(gap, after, replies)
        state.threads, state.account = after.threads, after.account
        return account

    async def _report(self, window: _Window, account: Account) -> None:
        states = self._states
        done = sum(state.is_done for state in states)
        read = sum(1.0 if state.is_done else window.share(state.reached) / 2 for state in states)
        share = (read + self._threads_read / 2) / len(states)
        await self._on_progress(BackfillProgress(window.gap, done, len(states), account, share))

    async def _merge(self, gap: Gap, state: ChannelProgress, items: Sequence[MergeItem]) -> Account:
        """Merge the records and save the channel's account, in the current transaction."""
        merged = await self._merge_items(items)
        state.account = state.account.copy()
        state.account.add(merged)
        await gaps.save(self._connection, gap, state)
        return merged

    async def _merge_items(self, items: Sequence[MergeItem]) -> Account:
        if not items:
            return Account()
        has_rules = await self._merger.has_rules()
        merged = await self._merger.merge(items, {}, has_rules=has_rules)
        return merged.without_file

    async def _gone(
        self, window: _Window, channel: Channel, times: Sequence[datetime], before: datetime
    ) -> list[MergeRecord]:
        """Deletions of stored messages, from the page's oldest message on, that Slack no longer returns."""
        if not times:
            return []
        ours: set[datetime] = set()
        for oldest, end in lock_spans(min(times), before):
            ours.update(
                await gaps.messages(
                    self._connection, channel.id, oldest=oldest, before=end, ended=window.ended
                )
            )
        missing = sorted(ours - set(times))
        if len(missing) > _MOST_MISSING:
            log.warning(
                "too many messages are missing in Slack to be deletions; they are kept",
                extra={"gap": window.gap.id, "channel": channel.id, "missing": len(missing)},
            )
            return []
        gone = [ts for ts in missing if not await self._reader.has(channel.id, ts)]
        return [MergeRecord(DeletionRow(channel, to_micros(ts))) for ts in gone]


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of a channel's history, and what is saved with it."""

    items: Sequence[MergeRecord]
    gone: Sequence[MergeRecord]
    threads: Sequence[datetime]
    reached: datetime | None

    def parts(self) -> Iterator[_Page]:
        """The page in parts of one lock span each, the newest first; one part if it has no messages."""
        records = [(each, False) for each in self.items] + [(each, True) for each in self.gone]
        parts = by_lock_span(records, lambda record: _micros(record[0])) or [[]]
        parts.sort(key=_oldest, reverse=True)
        for part in parts:
            is_last = part is parts[-1]
            # The threads come with the first part: no later attempt reads its messages again.
            yield _Page(
                [record for record, is_gone in part if not is_gone],
                [record for record, is_gone in part if is_gone],
                self.threads if part is parts[0] else [],
                self.reached if is_last else from_micros(_oldest(part)),
            )


@dataclass(frozen=True, slots=True)
class _Window:
    """The times that are read for a gap: replies from `begun`, history from `oldest`, both until `latest`."""

    gap: Gap
    oldest: datetime
    begun: datetime
    ended: datetime
    latest: datetime

    @classmethod
    def of(cls, gap: Gap) -> _Window:
        assert gap.ended_at is not None  # noqa: S101 an open-ended gap is not backfilled
        begun = max(shift(gap.started_at, -MARGIN), _FIRST)
        oldest = max(shift(begun, -LOOK_BACK), _FIRST)
        return cls(gap, oldest, begun, gap.ended_at, shift(gap.ended_at, MARGIN))

    def share(self, reached: datetime | None) -> float:
        """How much of the history is read, 0 to 1, if it was read back to `reached`."""
        if reached is None or self.latest <= self.oldest:
            return 0.0
        return min(max((self.latest - reached) / (self.latest - self.oldest), 0.0), 1.0)


def _micros(record: MergeRecord) -> int | None:
    content = record.content
    return content.micros if isinstance(content, MessageRow | DeletionRow) else None


def _oldest(part: Sequence[tuple[MergeRecord, bool]]) -> int:
    times = (_micros(record) for record, _ in part)
    return min((micros for micros in times if micros is not None), default=0)


def readable_kinds(scopes: frozenset[str] | None) -> list[str]:
    """The kinds of conversations that can be listed and read with these scopes; all if they are unknown (None)."""
    return [
        kind
        for kind, name in CONVERSATION_TYPES.items()
        if scopes is None or {f"{name}:read", f"{name}:history"} <= scopes
    ]


def _kind(conversation: dict[str, Any]) -> str:
    """The kind, as in slack.message.channel_type."""
    for flag, kind in (("is_im", "im"), ("is_mpim", "mpim"), ("is_private", "group")):
        if conversation.get(flag):
            return kind
    return "channel"


def _merge_records(records: Iterable[dict[str, Any]], channel: Channel) -> Iterable[MergeRecord]:
    return (MergeRecord(parse_row(record, channel)) for record in records)


def _threads(records: Iterable[dict[str, Any]], window: _Window) -> Iterable[datetime]:
    """The threads that may have replies in the gap."""
    for record in records:
        ts, thread = time_or_none(record.get("ts")), time_or_none(record.get("thread_ts"))
        if ts is None or thread is None:
            continue
        replied = ts if ts != thread else time_or_none(record.get("latest_reply"))
        if replied is None or replied >= window.begun:
            yield thread


def _hidden_replies(
    records: Iterable[dict[str, Any]], thread: datetime
) -> Iterable[dict[str, Any]]:
    """The replies that the channel's history lacks: not the parent, and not what was also sent to the channel."""
    for record in records:
        if time_or_none(record.get("ts")) != thread and record.get("subtype") != "thread_broadcast":
            yield record
