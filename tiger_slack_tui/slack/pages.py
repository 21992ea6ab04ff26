"""Reads a list of the Web API page by page, however often Slack stumbles."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from tiger_slack_tui.errors import SlackUnavailable

if TYPE_CHECKING:
    from tiger_slack_tui.slack.web import Page

log = logging.getLogger(__name__)

_MOST_FAILURES = 8
"""Failures in a row, of one page, that are no rate limit: about four minutes."""


async def pages(
    fetch: Callable[[str | None], Awaitable[Page]],
    *,
    cursor: str | None = None,
    pause_first: float = 1.0,
    pause_most: float = 60.0,
) -> AsyncIterator[Page]:
    """The pages from the cursor to the end. Our own cursor is kept, so that a failed page is all that is asked again.

    Waits as long as Slack asks to (429, Retry-After); after other failures with growing pauses. Raises
    SlackUnavailable when one page fails too often, SlackRefused at once.
    """
    while True:
        page = await _fetch(fetch, cursor, pause_first, pause_most)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


async def _fetch(
    fetch: Callable[[str | None], Awaitable[Page]],
    cursor: str | None,
    pause: float,
    pause_most: float,
) -> Page:
    failures = 0
    while True:
        try:
            return await fetch(cursor)
        except SlackUnavailable as error:
            if error.retry_after is not None:
                log.info("Slack asks to wait", extra={"seconds": error.retry_after})
                await asyncio.sleep(error.retry_after)
                continue
            failures += 1
            if failures == _MOST_FAILURES:
                raise
            log.warning("%s; trying again", error)
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 only spreads tries
        pause = min(pause * 2, pause_most)
