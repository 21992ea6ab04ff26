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

Of the history that an operator asked for, or that is owed since the app joined a channel, it reads all replies of
each thread, also late ones. A thread that has not grown since a backfill read it is left out.

Messages are merged by the rules of imports: they never beat newer live state, deletions and removals of reactions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import psycopg

from tiger_slack_tui.backfill.channel_reader import ChannelReader
from tiger_slack_tui.backfill.newest_first import NewestFirst, OwedHistory
from tiger_slack_tui.backfill.plan import created_at
from tiger_slack_tui.backfill.result import STOPPED, BackfillProgress, GapResult
from tiger_slack_tui.backfill.window import Window
from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.errors import (
    SlackCursorExpired,
    SlackDenied,
    SlackRestricted,
    SlackUnavailable,
    TigerSlackError,
)
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.imports.merge.merger import Merger
from tiger_slack_tui.imports.merge.targets import TablesTarget
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.paged_history import RESTRICTED, SlackHistory
from tiger_slack_tui.slack.pages import MOST_TRIES
from tiger_slack_tui.slack.web import CHANNEL_TYPES, CONVERSATION_TYPES
from tiger_slack_tui.store import gap_progress, gaps
from tiger_slack_tui.store.directory import list_time, upsert
from tiger_slack_tui.store.gaps import BY_HAND, Gap
from tiger_slack_tui.store.import_account import Account
from tiger_slack_tui.store.import_messages import Channel

log = logging.getLogger(__name__)

_DATABASE = "the database ended it"
_GONE = "it is gone, or has not ended"
_DELETED = (
    "Slack has the channel no longer: it was deleted or made private before its history was read"
)
_MANY_FAILURES = 3
"""After so many channels in a row that Slack does not serve, the next ones get one try, and not two minutes each."""
_LONGEST_PAUSE = 60.0
"""Seconds between two looks whether Slack can be reached again."""

OnProgress = Callable[[BackfillProgress], Awaitable[None]]
OnResult = Callable[[GapResult], None]
OnWait = Callable[[str], Awaitable[None]]
"""Is told what the backfill waits for, in words."""


async def _ignore_wait(_: str) -> None: ...


class Backfill:
    """Reads the history of gaps, over the connection that holds the job's lock."""

    def __init__(
        self,
        connection: Connection,
        slack: SlackHistory,
        *,
        scopes: frozenset[str] | None,
        on_progress: OnProgress,
        is_by_operator: bool,
        on_result: OnResult = lambda _: None,
        on_wait: OnWait = _ignore_wait,
        history_since: datetime | None = None,
        before_step: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`scopes` has the scopes of the bot token; None if they are unknown.

        With `is_by_operator`, the job does not continue periods that an operator asked for and stopped: the operator
        decides. Without it, the job continues them. Of the history before the app joined a channel, it reads that
        from `history_since` on. It waits for `before_step` before each page.

        Calls `on_result` for each gap that was begun, however that ended.
        """
        self._is_by_operator = is_by_operator
        self._connection = connection
        self._slack = slack
        self._on_progress = on_progress
        self._on_result = on_result
        self._on_wait = on_wait
        slack.on_long_wait = on_wait
        self._history_since = history_since
        self._before_step = before_step
        self._merger = Merger(connection, TablesTarget(connection))
        self._kinds = readable_kinds(scopes)
        self._failures = 0
        """Channels in a row that Slack did not serve."""
        self._own: dict[ChannelId, dict[str, Any]] | None = None
        """The conversations that Slack lists; None before the first gap."""

    async def close_gap(self, gap: Gap) -> None:
        """Read the history of the gap, from where the last attempt ended, and record the result.

        A channel that Slack does not serve harms no other: the gap stays open with the reason. Waits as long as Slack
        cannot be reached. Raises SlackRefused, which is recorded, and psycopg.Error. However it ends, what is
        committed is accounted for, and the next attempt continues from there. If an operator stops the backfill of a
        period that was asked for, that is recorded, too: the job then leaves it to the operator to continue it.
        """
        result = self._result(gap)
        try:
            await self._read(result)
        except TigerSlackError as error:
            result.error = error.args[0]
            raise
        except asyncio.CancelledError:
            result.error = STOPPED if self._is_left(gap) else None
            raise
        finally:
            if result.error or result.is_closed:
                await self._end(result)
            self._on_result(result)

    async def read_histories(
        self,
        found: Sequence[Gap],
        *,
        is_preempted: Callable[[], Awaitable[bool]] | None = None,
        is_patient: bool = True,
    ) -> bool:
        """Read the histories of channels, one gap each, the newest messages of all channels first.

        A channel that Slack does not show or does not serve harms no other: its gap stays open with the reason. If
        `is_preempted` says that something else comes first, ends between two pages and returns False.

        Raises as `close_gap`, and SlackRestricted if Slack restricts the app and it is not `is_patient`. All gaps
        that are not read then have the reason.
        """
        order = NewestFirst()
        for gap in found:
            order.add(OwedHistory(gap))
        try:
            while (taken := order.take()) is not None:
                if is_preempted is not None and await is_preempted():
                    return False
                if self._slack.is_restricted and not is_patient:
                    raise SlackRestricted(f"{RESTRICTED}.")
                if taken.reader is None:
                    await self._begin_history(taken, order)
                else:
                    await self._read_history(taken, taken.reader, order)
        except (TigerSlackError, psycopg.Error, asyncio.CancelledError) as error:
            await self._leave_histories(order.unfinished(), error)
            raise
        return True

    async def leave(self, left: Iterable[Gap]) -> None:
        """Record that the backfill ended before these, as far as an operator asked for them. Raises psycopg.Error."""
        if self._is_by_operator:
            error = "the backfill ended before it was begun"
            await gaps.leave(self._connection, [gap.id for gap in left], error)

    # Histories

    async def _begin_history(self, history: OwedHistory, order: NewestFirst) -> None:
        """Begin with the gap of a channel's history, or continue: its next page may not be the newest one."""
        result = self._result(history.gap)
        readers = await self._begin(result)
        history.gap = result.gap
        if readers:
            history.reader = readers[0]
            await history.reader.look_up_threads()
            history.created = created_at((self._own or {}).get(readers[0].channel.id, {}))
            order.put_back(history)
        else:
            await self._end(result)
            self._on_result(result)
            order.end(history)

    async def _read_history(
        self, history: OwedHistory, reader: ChannelReader, order: NewestFirst
    ) -> None:
        """Read a page of the channel's history, or of a thread."""
        account, error = await self._step_alone(reader)
        if error or reader.state.is_done:
            await self._end_history(history, error)
            order.end(history)
        else:
            order.put_back(history)
        await self._on_progress(
            BackfillProgress(
                history.gap,
                order.channels_done,
                order.channels,
                account,
                order.share(),
                of_all=True,
            )
        )

    async def _end_history(self, history: OwedHistory, error: str | None) -> None:
        result = self._counted(history)
        if error:
            result.error = error
        else:
            result.judge()
        channel = history.gap.channel_id
        if (
            channel is not None
            and "channel_not_found" in result.skipped_channels
            and await gap_progress.is_deleted(self._connection, channel)
        ):
            result.is_closed, result.error = True, _DELETED
        await self._end(result)
        self._on_result(result)

    async def _leave_histories(self, unread: Sequence[OwedHistory], error: BaseException) -> None:
        """Record why histories were not read to their end, and what was read of them, as far as the database answers.

        The job continues after a stop that nobody asked for.
        """
        results = [self._counted(history) for history in unread]
        if isinstance(error, TigerSlackError):
            reason, left = str(error.args[0]), results
        elif isinstance(error, psycopg.Error):
            reason, left = _DATABASE, []
        else:
            reason, left = STOPPED, [each for each in results if self._is_left(each.gap)]
        if left:
            accounts = {result.gap.id: result.as_json() for result in left}
            await gaps.fail(self._connection, accounts, reason)
        for history, result in zip(unread, results, strict=True):
            result.error = reason
            if history.reader is not None:
                self._on_result(result)

    def _counted(self, history: OwedHistory) -> GapResult:
        """The result of a history as far as it is read."""
        result = self._result(history.gap)
        result.count([history.reader.state] if history.reader else [])
        result.is_restricted = self._slack.is_restricted
        return result

    # Gaps of any kind

    def _result(self, gap: Gap) -> GapResult:
        return GapResult(gap, not_allowed=[k for k in CONVERSATION_TYPES if k not in self._kinds])

    def _is_left(self, gap: Gap) -> bool:
        """Whether it is left to the operator to continue the gap's backfill."""
        return self._is_by_operator and gap.reason == BY_HAND

    async def _begin(self, result: GapResult) -> list[ChannelReader]:
        """Begin with the gap, or continue. Without channels, the result has the reason, or the gap is closed."""
        if self._own is None:
            await self._merger.prepare()
            self._own = await self._list_own()
        gap, own = result.gap, self._own
        begun = await gap_progress.begin(
            self._connection,
            gap.id,
            [gap.channel_id] if gap.channel_id else list(own),
            kinds=[
                kind
                for kind, scope in CHANNEL_TYPES.items()
                if scope in map(CONVERSATION_TYPES.get, self._kinds)
            ],
            history_since=self._history_since,
        )
        if begun is None:
            result.error = _GONE
            return []
        result.gap, states = begun
        window = Window.of(result.gap)
        return [
            ChannelReader(
                self._connection,
                self._slack,
                self._merger,
                window,
                Channel(
                    state.channel_id,
                    _kind(own[state.channel_id]) if state.channel_id in own else None,
                ),
                state,
            )
            for state in states
        ]

    async def _read(self, result: GapResult) -> None:
        """Read all channels. One that Slack does not serve harms no other: the gap stays open with the reason."""
        readers = await self._begin(result)
        if result.error:
            return
        failed: dict[ChannelId, str] = {}
        try:
            for reader in readers:
                while not reader.state.is_done:
                    account, error = await self._step_alone(reader)
                    if error:
                        failed[reader.channel.id] = error
                        break
                    if account.read or reader.state.is_done:
                        await self._report(result.gap, readers, account)
        finally:
            result.count([reader.state for reader in readers])
        if not failed:
            result.judge()
            return
        channel, error = next(iter(failed.items()))
        result.error = (
            f"{len(failed):,} of {amount(len(readers), 'channel')} not read; {channel}: {error}"
        )

    async def _step_alone(self, reader: ChannelReader) -> tuple[Account, str | None]:
        """Read a page. Returns its account, and the error if Slack does not serve this channel.

        If Slack serves none, waits until it does, and leaves the page to the next step. Raises SlackRefused, and
        SlackUnavailable if it is final.
        """
        try:
            if self._before_step is not None:
                await self._before_step()
            account = await reader.step()
        except SlackDenied as failure:
            await (
                self._slack.is_reachable()
            )  # raises SlackRefused if the token works for no channel
            return Account(), failure.args[0]
        except SlackUnavailable as failure:
            if failure.is_final and not isinstance(failure, SlackCursorExpired):
                raise
            if await self._wait_for_slack():
                return Account(), None
            self._failures += 1
            self._slack.tries = 1 if self._failures >= _MANY_FAILURES else MOST_TRIES
            return Account(), failure.args[0]
        self._failures, self._slack.tries = 0, MOST_TRIES
        return account, None

    async def _wait_for_slack(self) -> bool:
        """Wait until Slack answers a call that concerns no channel. Returns whether it did not at once."""
        waits = 0
        while not await self._slack.is_reachable():
            waits += 1
            if waits == 1:
                log.warning("the backfill waits until Slack can be reached")
                await self._on_wait("waits until Slack can be reached")
            await asyncio.sleep(backoff(waits, first=self._slack.pace.pause, most=_LONGEST_PAUSE))
        return waits > 0

    async def _report(self, gap: Gap, readers: Sequence[ChannelReader], account: Account) -> None:
        done = sum(reader.state.is_done for reader in readers)
        read = sum(
            1.0 if reader.state.is_done else reader.window.share(reader.state.reached)
            for reader in readers
        )
        await self._on_progress(
            BackfillProgress(gap, done, len(readers), account, read / len(readers))
        )

    async def _end(self, result: GapResult) -> None:
        gap = result.gap
        result.is_restricted = self._slack.is_restricted
        if result.is_restricted:
            result.error = "; ".join(filter(None, (result.error, RESTRICTED)))
        await gap_progress.end(
            self._connection,
            gap,
            is_closed=result.is_closed,
            account=result.as_json(),
            error=result.error,
        )
        messages = result.messages
        is_read = result.is_closed and not result.is_given_up
        log.log(
            logging.INFO if is_read or result.error == STOPPED else logging.WARNING,
            "%s is %s%s",
            gap.title,
            result.state,
            "" if is_read else f": {result.error}",
            extra={
                "gap": gap.id,
                "read": messages.read,
                "inserted": messages.inserted,
                "updated": messages.updated,
                "deleted": result.deleted,
            },
        )

    async def _list_own(self) -> dict[ChannelId, dict[str, Any]]:
        """List the conversations that the app is a member of, and store their names."""
        asked = self._slack.time
        listed = await self._slack.conversations(self._kinds) if self._kinds else []
        own = {ChannelId(item["id"]): item for item in listed}
        named = [item | {"is_member": True} for item in own.values() if item.get("name")]
        await upsert(self._connection, "channel", named, listed_at=list_time(asked))
        return own


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
