"""Closes gaps with what Slack's history holds.

What it can find, and what not:

- Messages of the gap, in the channels that the app is a member of, and replies of the gap to threads whose parent is
  in the history that is read: that of the gap and LOOK_BACK before it, where `latest_reply` tells; and to older
  threads with a reply since then that we know of. A first reply to an older message is not found: no method lists it.
- Edits, of all messages in that history: by `edited.ts`. Changes without it (unfurled links) are not told apart.
- Reactions that nothing is known of. One removed in the gap stays: what Slack lists need not be complete.
- Deletions, which are final here, with care: of a message that stands between two that Slack shows and that Slack
  does not show when asked for it alone, either. Those of replies and of older messages are not found.

By the rules of imports, what Slack lists never beats newer live state, a deletion or the removal of a reaction.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tiger_slack_tui.base.errors import SlackAbsent, TigerSlackError
from tiger_slack_tui.base.times import shift
from tiger_slack_tui.imports.merge.decisions import FileRecord, MergeItem
from tiger_slack_tui.imports.merge.merger import Merger
from tiger_slack_tui.imports.merge.rows import DeletionRow, MessageRow, read_row, time_or_none
from tiger_slack_tui.imports.merge.targets import TablesTarget
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import past_deadlocks
from tiger_slack_tui.slack.paged_history import RESTRICTED, HistoryReader
from tiger_slack_tui.slack.ts import to_micros
from tiger_slack_tui.slack.web import CONVERSATION_TYPES
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.gaps import ChannelState, Gap
from tiger_slack_tui.store.import_account import Account
from tiger_slack_tui.store.import_ledger import FileCheckpoint
from tiger_slack_tui.store.import_messages import Channel

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=3)
"""How much of the history before a gap is read, for what happened in the gap to older messages."""
MARGIN = timedelta(minutes=1)
"""Read on either side of a gap: its ends are by the database's clock, messages by Slack's."""
_TICK = timedelta(microseconds=1)
"""The distance of two times of Slack."""
_FIRST = datetime.fromtimestamp(0, UTC)
"""Slack counts seconds from then, and refuses a time before."""
_MOST_MISSING = 20
"""Messages of a page that deletions explain; where more are missing, something else is the matter."""


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """A page or thread was merged."""

    gap: Gap
    channels_done: int
    channels: int
    account: Account
    """Of this page or thread."""


Told = Callable[[BackfillProgress], Awaitable[None]]


@dataclass(slots=True)
class GapResult:
    """What became of a gap."""

    gap: Gap
    """As it was when the backfill began: from then on it does not grow."""
    is_closed: bool = False
    error: str | None = None
    channels: int = 0
    """Channels that were read."""
    skipped_channels: dict[str, int] = field(default_factory=dict)
    """Channels that Slack does not show, by its reason."""
    not_allowed: list[str] = field(default_factory=list)
    """Kinds of channels for which the app lacks a scope."""
    threads: int = 0
    deleted: int = 0
    messages: Account = field(default_factory=Account)
    is_restricted: bool = False

    @property
    def account(self) -> dict[str, Any]:
        return {
            "channels": self.channels,
            "skipped_channels": self.skipped_channels,
            "not_allowed": self.not_allowed,
            "threads": self.threads,
            "deleted": self.deleted,
            "messages": self.messages.as_json(),
        }

    def add(self, state: ChannelState) -> None:
        """Count a channel."""
        self.threads += state.threads
        self.deleted += state.deleted
        self.messages.add(Account.from_json(state.account))
        if state.skipped:
            self.skipped_channels[state.skipped] = self.skipped_channels.get(state.skipped, 0) + 1
        elif state.is_done:
            self.channels += 1


class Backfill:
    """Closes gaps, one after another, over the connection that holds the lock of the job."""

    def __init__(
        self,
        connection: Connection,
        reader: HistoryReader,
        *,
        scopes: frozenset[str] | None,
        told: Told,
    ) -> None:
        """`scopes` is what the bot token may do, None where Slack did not say."""
        self._connection = connection
        self._reader = reader
        self._told = told
        self._merger = Merger(connection, TablesTarget(connection))
        self._kinds = readable_kinds(scopes)
        self._channels: dict[str, Channel] | None = None
        self._states: list[ChannelState] = []

    async def close(self, gap: Gap) -> GapResult:
        """Read all that the gap may hold, from where the last try stopped, and record how it ended.

        Raises SlackRefused, SlackUnavailable (recorded, too), psycopg.Error. Cut off anywhere, what was committed is
        accounted for, and the next try goes on there.
        """
        result = GapResult(gap, not_allowed=[k for k in CONVERSATION_TYPES if k not in self._kinds])
        try:
            await self._read(gap, result)
        except TigerSlackError as error:
            result.error = error.args[0]
            raise
        finally:
            result.is_restricted = self._reader.is_restricted
            if result.error or result.is_closed:
                await self._end(result)
        return result

    async def _read(self, gap: Gap, result: GapResult) -> None:
        await self._merger.prepare()
        channels = await self._own_channels()
        wanted = [gap.channel_id] if gap.channel_id else list(channels)
        begun = await gaps.begin(self._connection, gap.id, wanted)
        if begun is None:
            result.error = "the gap is gone, or goes on"
            return
        result.gap, self._states = begun
        gap, states = begun
        try:
            for state in states:
                if not state.is_done:
                    channel = channels.get(state.channel_id) or Channel(state.channel_id, None)
                    await self._read_channel(_Span.of(gap), channel, state)
        finally:
            for state in states:
                result.add(state)
        lacks = f"not read for want of a scope: {', '.join(result.not_allowed)}"
        result.error = lacks if result.not_allowed and not gap.channel_id else None
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
            account=result.account,
            error=result.error,
        )
        messages = result.messages
        log.log(
            logging.INFO if result.is_closed else logging.WARNING,
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

    async def _own_channels(self) -> dict[str, Channel]:
        if self._channels is None:
            found = await self._reader.conversations(self._kinds) if self._kinds else []
            self._channels = {
                item["id"]: Channel(item["id"], _kind(item))
                for item in found
                if isinstance(item.get("id"), str)
            }
        return self._channels

    async def _read_channel(self, span: _Span, channel: Channel, state: ChannelState) -> None:
        try:
            await self._read_history(span, channel, state)
            for thread in await gaps.threads(self._connection, span.gap, channel.id):
                await self._read_thread(span, channel, state, thread)
        except SlackAbsent as error:
            state.skipped = error.reason
        state.is_done = True
        await gaps.save(self._connection, span.gap, state)

    async def _read_history(self, span: _Span, channel: Channel, state: ChannelState) -> None:
        """Read page after page, each committed with how far that is."""
        before = state.reached or span.latest + _TICK
        if before <= span.oldest:
            return
        async for page in self._reader.history(channel.id, span.oldest, before - _TICK):
            items = list(_entries(page.items, channel))
            times = [
                item.content.ts
                for item in items
                if isinstance(item.content, MessageRow | DeletionRow)
            ]
            threads = list(_threads(page.items, span))
            is_last = page.next_cursor is None
            if is_last:
                threads += await gaps.old_threads(self._connection, channel.id, span.oldest)
            gone = [] if page.is_limited else await self._gone(span, channel, times, before)
            reached = span.oldest if is_last else min(times, default=state.reached)
            account = await past_deadlocks(
                partial(
                    self._keep_page, span.gap, channel, state, _Read(items, gone, threads, reached)
                )
            )
            await self._tell(span.gap, account)
            before = min(times, default=before)

    async def _keep_page(
        self, gap: Gap, channel: Channel, state: ChannelState, read: _Read
    ) -> Account:
        """Commit a page, and how far the channel is read. Where it raises, `state` is as before."""
        after = replace(state, reached=read.reached, deleted=state.deleted + len(read.gone))
        async with self._connection.transaction():
            await self._merger.lock([*read.gone, *read.items])
            await gaps.add_threads(self._connection, gap, channel.id, read.threads)
            await self._merge_items(channel, read.gone)
            account = await self._merge(gap, after, channel, read.items)
        state.reached, state.deleted, state.account = after.reached, after.deleted, after.account
        return account

    async def _read_thread(
        self, span: _Span, channel: Channel, state: ChannelState, thread: datetime
    ) -> None:
        """Read the replies of the gap to a thread; as one, because Slack's cursor would not outlive us."""
        found: list[dict[str, Any]] = []
        try:
            async for page in self._reader.replies(channel.id, thread, span.begun, span.latest):
                found += page.items
        except SlackAbsent as error:
            if error.reason != "thread_not_found":
                raise
        replies = list(_entries(_hidden_replies(found, thread), channel))
        account = await past_deadlocks(
            partial(self._keep_thread, span.gap, channel, state, thread, replies)
        )
        await self._tell(span.gap, account)

    async def _keep_thread(
        self,
        gap: Gap,
        channel: Channel,
        state: ChannelState,
        thread: datetime,
        replies: Sequence[MergeItem],
    ) -> Account:
        """Commit a thread. Where it raises, `state` is as before."""
        after = replace(state, threads=state.threads + 1)
        async with self._connection.transaction():
            await self._merger.lock(replies)
            await gaps.end_thread(self._connection, gap, channel.id, thread)
            account = await self._merge(gap, after, channel, replies)
        state.threads, state.account = after.threads, after.account
        return account

    async def _tell(self, gap: Gap, account: Account) -> None:
        done = sum(state.is_done for state in self._states)
        await self._told(BackfillProgress(gap, done, len(self._states), account))

    async def _merge(
        self, gap: Gap, state: ChannelState, channel: Channel, items: Sequence[MergeItem]
    ) -> Account:
        """Merge the records in the transaction at hand, with the account of the channel."""
        account = Account.from_json(state.account)
        merged = await self._merge_items(channel, items)
        account.add(merged)
        state.account = account.as_json()
        await gaps.save(self._connection, gap, state)
        return merged

    async def _merge_items(self, channel: Channel, items: Sequence[MergeItem]) -> Account:
        if not items:
            return Account()
        states = {0: FileCheckpoint(channel.id, 0, 0, channel.id)}
        has_rules = await self._merger.has_rules()
        merged = await self._merger.merge(items, states, has_rules=has_rules)
        return merged.accounts[0]

    async def _gone(
        self, span: _Span, channel: Channel, times: Sequence[datetime], before: datetime
    ) -> list[FileRecord]:
        """The deletion of what Slack does not show any more, newer than the oldest of the times of a page."""
        if not times:
            return []
        ours = await gaps.messages(
            self._connection, channel.id, oldest=min(times), before=before, ended=span.ended
        )
        missing = sorted(set(ours) - set(times))
        if len(missing) > _MOST_MISSING:
            log.warning(
                "more messages are missing in Slack than deletions explain; they stay",
                extra={"gap": span.gap.id, "channel": channel.id, "missing": len(missing)},
            )
            return []
        gone = [ts for ts in missing if not await self._reader.has(channel.id, ts)]
        return [
            FileRecord(0, n, DeletionRow(channel, to_micros(ts)))
            for n, ts in enumerate(gone, start=1)
        ]


@dataclass(frozen=True, slots=True)
class _Read:
    """A page of a channel's history, and what follows from it."""

    items: Sequence[MergeItem]
    gone: Sequence[FileRecord]
    threads: Sequence[datetime]
    reached: datetime | None


@dataclass(frozen=True, slots=True)
class _Span:
    """What is read for a gap: its replies from `begun`, its channels' history from `oldest`, all until `latest`."""

    gap: Gap
    oldest: datetime
    begun: datetime
    ended: datetime
    latest: datetime

    @classmethod
    def of(cls, gap: Gap) -> _Span:
        assert gap.ended_at is not None  # noqa: S101 one that goes on is not backfilled
        begun = max(shift(gap.started_at, -MARGIN), _FIRST)
        oldest = max(shift(begun, -LOOK_BACK), _FIRST)
        return cls(gap, oldest, begun, gap.ended_at, shift(gap.ended_at, MARGIN))


def readable_kinds(scopes: frozenset[str] | None) -> list[str]:
    """The kinds of conversations that may be listed and read with these scopes; None: unknown ones."""
    return [
        kind
        for kind, name in CONVERSATION_TYPES.items()
        if scopes is None or {f"{name}:read", f"{name}:history"} <= scopes
    ]


def _kind(conversation: dict[str, Any]) -> str:
    """As in slack.message.channel_type."""
    for flag, kind in (("is_im", "im"), ("is_mpim", "mpim"), ("is_private", "group")):
        if conversation.get(flag):
            return kind
    return "channel"


def _entries(records: Iterable[dict[str, Any]], channel: Channel) -> Iterable[FileRecord]:
    for position, record in enumerate(records, start=1):
        yield FileRecord(0, position, read_row(record, channel))


def _threads(records: Iterable[dict[str, Any]], span: _Span) -> Iterable[datetime]:
    """The threads that may have replies of the gap."""
    for record in records:
        ts, thread = time_or_none(record.get("ts")), time_or_none(record.get("thread_ts"))
        if ts is None or thread is None:
            continue
        replied = ts if ts != thread else time_or_none(record.get("latest_reply"))
        if replied is None or replied >= span.begun:
            yield thread


def _hidden_replies(
    records: Iterable[dict[str, Any]], thread: datetime
) -> Iterable[dict[str, Any]]:
    """Without what the channel's history shows: the parent, and what was sent to the channel, too."""
    for record in records:
        if time_or_none(record.get("ts")) != thread and record.get("subtype") != "thread_broadcast":
            yield record
