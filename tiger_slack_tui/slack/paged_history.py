"""Reads messages and threads from Slack's history, at the rate that Slack allows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tiger_slack_tui.base.errors import SlackUnavailable
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.slack.pages import MOST_TRIES, OnWait, pages, retry
from tiger_slack_tui.slack.ts import slack_ts
from tiger_slack_tui.slack.web import Page, SlackWeb

log = logging.getLogger(__name__)

RESTRICTED_PAGE = 15
"""Most messages in a page if Slack restricts the app, whatever limit is requested."""
_LONG_WAIT = 30
"""Seconds. Only for a restricted app does Slack ask for such a wait after nearly each call."""
_NOTED_WAIT = 5.0
"""Seconds. Shorter waits are not worth a word in the progress of the run."""
_RETRY_AFTER_MOST = 86_400.0
"""Seconds. A backfill waits as long as Slack asks, a day at most."""
RESTRICTED = (
    "Slack restricts this app to one call a minute with 15 messages, as all apps that are distributed outside of its"
    " Marketplace. An app that the workspace created itself is not restricted"
)


@dataclass(frozen=True, slots=True)
class HistoryPace:
    """How fast the history is read, in seconds."""

    call: float = 1.2
    """Between two calls of one method. Slack's tier 3 allows 50 calls a minute."""
    restricted: float = 60
    pause: float = 1.0
    """The first pause after a failure. Further pauses grow."""


class SlackHistory:
    """Slack's history, for a backfill. Each call keeps to the rate limit, and waits as long as Slack asks for.

    A call raises SlackAbsent for a channel or thread that Slack does not show, SlackUnavailable after failures for
    minutes, and SlackRefused if an operator must act.
    """

    def __init__(
        self, web: SlackWeb, pace: HistoryPace | None = None, on_wait: OnWait | None = None
    ) -> None:
        self._web = web
        self.on_wait = on_wait
        self.on_long_wait: Callable[[str], Awaitable[None]] | None = None
        """Is told once, in words, until when Slack asks to wait, for those who look at the progress elsewhere."""
        self.pace = pace or HistoryPace()
        self.tries = MOST_TRIES
        """How often a call is tried before it raises SlackUnavailable, apart from rate limits."""
        self._turns: dict[str, float] = {}
        self._served: dict[str, int] = {}
        self._long_waits = 0
        self._signs = 0
        """Signs of a restriction, in a row."""
        self.is_restricted = False

    @property
    def time(self) -> float:
        """Slack's clock, in seconds since 1970."""
        return self._web.time.wall()

    async def is_reachable(self) -> bool:
        """Whether Slack answers a call that concerns no channel. Raises SlackRefused."""
        try:
            await self._web.identity()
        except SlackUnavailable as error:
            return error.is_rate_limit
        return True

    async def conversations(self, kinds: Collection[str]) -> list[dict[str, Any]]:
        """The conversations of these kinds that the app is a member of, each once."""
        method = "users.conversations"

        async def fetch(cursor: str | None) -> Page:
            call = partial(self._web.own_conversations_page, kinds, cursor)
            return await self._try_once(method, call)

        found: dict[str, dict[str, Any]] = {}
        async for page in pages(fetch, pause_first=self.pace.pause, on_wait=self.on_wait):
            found |= {id_: item for item in page.items if isinstance(id_ := item.get("id"), str)}
        return list(found.values())

    async def history_page(
        self, channel: ChannelId, oldest: datetime, latest: datetime, cursor: str | None = None
    ) -> Page:
        """The newest messages from `oldest` to `latest`, the newest first, without replies in threads.

        A page that is empty and has a cursor is not the last one. Raises SlackCursorExpired.
        """
        return await self._call(
            "conversations.history",
            partial(
                self._web.history_page,
                channel,
                oldest=slack_ts(oldest),
                latest=slack_ts(latest),
                cursor=cursor,
            ),
        )

    async def replies_page(
        self,
        channel: ChannelId,
        thread: datetime,
        oldest: datetime,
        latest: datetime,
        cursor: str | None = None,
    ) -> Page:
        """The oldest replies to a thread from `oldest` to `latest`. The parent can be among them.

        Raises SlackCursorExpired.
        """
        return await self._call(
            "conversations.replies",
            partial(
                self._web.replies_page,
                channel,
                slack_ts(thread),
                oldest=slack_ts(oldest),
                latest=slack_ts(latest),
                cursor=cursor,
            ),
        )

    async def has(self, channel: ChannelId, ts: datetime) -> bool:
        """Whether the channel's history contains the message. True, too, if Slack hides older messages."""
        cursor = None
        while True:
            page = await self.history_page(channel, ts, ts, cursor)
            if page.is_limited or any(item.get("ts") == slack_ts(ts) for item in page.items):
                return True
            if (cursor := page.next_cursor) is None:
                return False

    async def _call(self, method: str, call: Callable[[], Awaitable[Page]]) -> Page:
        page = await retry(
            partial(self._try_once, method, call),
            pause_first=self.pace.pause,
            retry_after_most=_RETRY_AFTER_MOST,
            tries=self.tries,
            on_wait=self.on_wait,
        )
        self._check_page(page)
        return page

    async def _try_once(self, method: str, call: Callable[[], Awaitable[Page]]) -> Page:
        await self._wait_for_turn(method)
        try:
            page = await call()
        except SlackUnavailable as error:
            self._check_wait(method, error.retry_after)
            await self._note_long_wait(error.retry_after)
            raise
        self._served[method] = self._served.get(method, 0) + 1
        return page

    async def _wait_for_turn(self, method: str) -> None:
        wait = self._turns.get(method, 0) - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        pause = self.pace.restricted if self.is_restricted else self.pace.call
        self._turns[method] = time.monotonic() + pause

    async def _note_long_wait(self, seconds: float | None) -> None:
        if self.on_long_wait is None or seconds is None or seconds < _NOTED_WAIT:
            return
        until = datetime.now(UTC) + timedelta(seconds=min(seconds, _RETRY_AFTER_MOST))
        await self.on_long_wait(f"waits until {until:%H:%M:%S} UTC as Slack asks")

    def _check_page(self, page: Page) -> None:
        if len(page.items) > RESTRICTED_PAGE:
            self.is_restricted, self._signs = False, 0
        elif page.items and page.has_more:
            self._count_sign()

    def _check_wait(self, method: str, seconds: float | None) -> None:
        if seconds is None:
            return
        if seconds >= _LONG_WAIT and self._signs:
            self._count_sign()
        is_usual = seconds < _LONG_WAIT or self._served.get(method, 0) > 1
        self._long_waits = 0 if is_usual else self._long_waits + 1
        self._served[method] = 0
        if self._long_waits > 1:
            self._restrict()

    def _count_sign(self) -> None:
        """Count a sign of a restriction. Slack can make one page short for other reasons."""
        self._signs += 1
        if self._signs > 1:
            self._restrict()

    def _restrict(self) -> None:
        if not self.is_restricted:
            log.warning("%s", RESTRICTED)
        self.is_restricted = True
