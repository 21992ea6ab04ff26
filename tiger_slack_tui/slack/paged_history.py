"""Reads Slack's history at the pace that Slack allows, and notices where it allows little."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tiger_slack_tui.base.errors import SlackUnavailable
from tiger_slack_tui.slack.pages import pages
from tiger_slack_tui.slack.ts import slack_ts
from tiger_slack_tui.slack.web import Page, SlackWeb

log = logging.getLogger(__name__)

_RESTRICTED_PAGE = 15
"""Messages of a page where Slack restricts the app, however many are asked for."""
_LONG_WAIT = 30
"""Seconds to wait after nearly each call: no tier but the restricted one asks for that."""
RESTRICTED = (
    "Slack restricts this app to one call a minute with 15 messages (apps that are distributed outside of its"
    " Marketplace): an app of the workspace's own is not restricted"
)


@dataclass(frozen=True, slots=True)
class HistoryPace:
    """Seconds between two calls of one method."""

    call: float = 1.2
    """Tier 3: 50 a minute."""
    restricted: float = 60


class HistoryReader:
    """The calls of a backfill. Each waits for its turn, and as long as Slack asks to.

    Raises SlackAbsent for a channel or thread that Slack does not show, SlackUnavailable where it stumbles for
    minutes, SlackRefused where a person must act.
    """

    def __init__(self, web: SlackWeb, pace: HistoryPace | None = None) -> None:
        self._web = web
        self._pace = pace or HistoryPace()
        self._turns: dict[str, float] = {}
        self._served: dict[str, int] = {}
        self._long_waits = 0
        self.is_restricted = False

    async def conversations(self, kinds: Collection[str]) -> list[dict[str, Any]]:
        """Those that the app is a member of."""
        found = []
        async for page in self._pages(
            "users.conversations", lambda cursor: self._web.own_conversations_page(kinds, cursor)
        ):
            found += page.items
        return found

    def history(self, channel: str, oldest: datetime, latest: datetime) -> AsyncIterator[Page]:
        """Pages of messages, the newest first, without the replies of threads."""
        return self._pages(
            "conversations.history",
            lambda cursor: self._web.history_page(
                channel, oldest=slack_ts(oldest), latest=slack_ts(latest), cursor=cursor
            ),
        )

    def replies(
        self, channel: str, thread: datetime, oldest: datetime, latest: datetime
    ) -> AsyncIterator[Page]:
        """Pages of a thread's replies in the time given; its parent may stand among them."""
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

    async def has(self, channel: str, ts: datetime) -> bool:
        """Whether the channel's history holds the message, or may hold it."""
        async for page in self.history(channel, ts, ts):
            if page.is_limited or any(item.get("ts") == slack_ts(ts) for item in page.items):
                return True
        return False

    def _pages(
        self, method: str, fetch: Callable[[str | None], Awaitable[Page]]
    ) -> AsyncIterator[Page]:
        async def paced(cursor: str | None) -> Page:
            await self._turn(method)
            try:
                page = await fetch(cursor)
            except SlackUnavailable as error:
                self._judge_wait(method, error.retry_after)
                raise
            self._served[method] = self._served.get(method, 0) + 1
            self._judge_page(page)
            return page

        return pages(paced)

    async def _turn(self, method: str) -> None:
        wait = self._turns.get(method, 0) - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        pause = self._pace.restricted if self.is_restricted else self._pace.call
        self._turns[method] = time.monotonic() + pause

    def _judge_page(self, page: Page) -> None:
        if len(page.items) > _RESTRICTED_PAGE:
            self.is_restricted = False  # the page that seemed to be restricted was just a short one
        elif page.items and page.has_more:
            self._restrict()

    def _judge_wait(self, method: str, seconds: float | None) -> None:
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
