"""Reads messages and threads from Slack's history, at the rate that Slack allows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tiger_slack_tui.base.errors import SlackUnavailable
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.slack.pages import pages
from tiger_slack_tui.slack.ts import slack_ts
from tiger_slack_tui.slack.web import Page, SlackWeb

log = logging.getLogger(__name__)

_RESTRICTED_PAGE = 15
"""Most messages in a page if Slack restricts the app, whatever limit is requested."""
_LONG_WAIT = 30
"""Seconds. Only for a restricted app does Slack ask for such a wait after nearly each call."""
RESTRICTED = (
    "Slack restricts this app to one call a minute with 15 messages, as all apps that are distributed outside of its"
    " Marketplace. An app that the workspace created itself is not restricted"
)


@dataclass(frozen=True, slots=True)
class HistoryPace:
    """Seconds between two calls of one method."""

    call: float = 1.2
    """Slack's tier 3 allows 50 calls a minute."""
    restricted: float = 60


class SlackHistory:
    """Slack's history, for a backfill. Each call keeps to the rate limit, and waits as long as Slack asks for.

    A call raises SlackAbsent for a channel or thread that Slack does not show, SlackUnavailable after failures for
    minutes, and SlackRefused if an operator must act.
    """

    def __init__(self, web: SlackWeb, pace: HistoryPace | None = None) -> None:
        self._web = web
        self._pace = pace or HistoryPace()
        self._turns: dict[str, float] = {}
        self._served: dict[str, int] = {}
        self._long_waits = 0
        self.is_restricted = False

    async def conversations(self, kinds: Collection[str]) -> list[dict[str, Any]]:
        """The conversations of these kinds that the app is a member of."""
        found = []
        async for page in self._pages(
            "users.conversations", lambda cursor: self._web.own_conversations_page(kinds, cursor)
        ):
            found += page.items
        return found

    def history(
        self, channel: ChannelId, oldest: datetime, latest: datetime
    ) -> AsyncIterator[Page]:
        """Pages of messages, the newest first, without replies in threads."""
        return self._pages(
            "conversations.history",
            lambda cursor: self._web.history_page(
                channel, oldest=slack_ts(oldest), latest=slack_ts(latest), cursor=cursor
            ),
        )

    def replies(
        self, channel: ChannelId, thread: datetime, oldest: datetime, latest: datetime
    ) -> AsyncIterator[Page]:
        """Pages of a thread's replies from `oldest` to `latest`. The parent can be among them."""
        return self._pages(
            "conversations.replies",
            lambda cursor: self._web.replies_page(
                channel,
                slack_ts(thread),
                oldest=slack_ts(oldest),
                latest=slack_ts(latest),
                cursor=cursor,
            ),
        )

    async def has(self, channel: ChannelId, ts: datetime) -> bool:
        """Whether the channel's history contains the message. True, too, if Slack hides older messages."""
        async for page in self.history(channel, ts, ts):
            if page.is_limited or any(item.get("ts") == slack_ts(ts) for item in page.items):
                return True
        return False

    def _pages(
        self, method: str, fetch: Callable[[str | None], Awaitable[Page]]
    ) -> AsyncIterator[Page]:
        async def paced(cursor: str | None) -> Page:
            await self._wait_for_turn(method)
            try:
                page = await fetch(cursor)
            except SlackUnavailable as error:
                self._check_wait(method, error.retry_after)
                raise
            self._served[method] = self._served.get(method, 0) + 1
            self._check_page(page)
            return page

        return pages(paced)

    async def _wait_for_turn(self, method: str) -> None:
        wait = self._turns.get(method, 0) - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        pause = self._pace.restricted if self.is_restricted else self._pace.call
        self._turns[method] = time.monotonic() + pause

    def _check_page(self, page: Page) -> None:
        if len(page.items) > _RESTRICTED_PAGE:
            self.is_restricted = False  # the earlier page was only short
        elif page.items and page.has_more:
            self._restrict()

    def _check_wait(self, method: str, seconds: float | None) -> None:
        if seconds is None:
            return
        is_usual = seconds < _LONG_WAIT or self._served.get(method, 0) > 1
        self._long_waits = 0 if is_usual else self._long_waits + 1
        self._served[method] = 0
        if self._long_waits > 1:
            self._restrict()

    def _restrict(self) -> None:
        if not self.is_restricted:
            log.warning("%s", RESTRICTED)
        self.is_restricted = True
