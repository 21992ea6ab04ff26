"""Reads a list of the Web API page by page, however often Slack stumbles."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tiger_slack_tui.errors import SlackUnavailable

if TYPE_CHECKING:
    from tiger_slack_tui.slack.web import Page

log = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_FAILURES = 8
"""Failures in a row, of one call, that are no rate limit: about four minutes."""


async def pages(
    fetch: Callable[[str | None], Awaitable[Page]],
    *,
    cursor: str | None = None,
    pause_first: float = 1.0,
    pause_most: float = 60.0,
) -> AsyncIterator[Page]:
    """The pages from the cursor to the end. Our own cursor is kept, so that a failed page is all that is asked again.

    Waits and raises as `patiently`.
    """
    while True:
        page = await patiently(
            partial(fetch, cursor), pause_first=pause_first, pause_most=pause_most
        )
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


async def patiently(
    call: Callable[[], Awaitable[T]], *, pause_first: float = 1.0, pause_most: float = 60.0
) -> T:
    """What the call answers, however often Slack stumbles.

    Waits as long as Slack asks to (429, Retry-After); after other failures with growing pauses. Raises
    SlackUnavailable when it fails too often, SlackRefused at once.
    """
    failures, pause = 0, pause_first
    while True:
        try:
            return await call()
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
