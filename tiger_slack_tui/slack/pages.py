"""Reads a list of the Web API page by page, with retries."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.errors import SlackCursorExpired, SlackUnavailable
from tiger_slack_tui.base.times import duration

if TYPE_CHECKING:
    from tiger_slack_tui.slack.web import Page

log = logging.getLogger(__name__)

T = TypeVar("T")
OnWait = Callable[[float], None]
"""Called every second while a call waits because Slack asks for it, with the seconds that are left."""

MOST_TRIES = 8
"""Most failures in a row of one call, except rate limits. They take up to two minutes."""
_MOST_RESTARTS = 8
"""Most times that a list is read again because its cursor has expired."""
RETRY_AFTER_MOST = 600.0
"""The longest wait, in seconds, that Slack can ask for. If it asks for more, the next try is after this time."""


async def pages(
    fetch: Callable[[str | None], Awaitable[Page]],
    *,
    cursor: str | None = None,
    pause_first: float = 1.0,
    pause_most: float = 60.0,
    on_wait: OnWait | None = None,
) -> AsyncIterator[Page]:
    """Yield the pages from the cursor to the end. Only a failed page is retried, not the list.

    If the cursor expires, starts from the beginning, 8 times at most, so pages can come again. Waits and raises as
    `retry`. Also raises SlackUnavailable if a page names itself as the next one.
    """
    restarts = 0
    while True:
        try:
            page = await retry(
                partial(fetch, cursor),
                pause_first=pause_first,
                pause_most=pause_most,
                on_wait=on_wait,
            )
        except SlackCursorExpired:
            restarts += 1
            if cursor is None or restarts > _MOST_RESTARTS:
                raise
            cursor = None
            continue
        yield page
        if page.next_cursor is None:
            return
        if page.next_cursor == cursor:
            raise SlackUnavailable("Slack's list does not end: a page names itself as the next one")
        cursor = page.next_cursor


async def retry(
    call: Callable[[], Awaitable[T]],
    *,
    pause_first: float = 1.0,
    pause_most: float = 60.0,
    retry_after_most: float = RETRY_AFTER_MOST,
    on_wait: OnWait | None = None,
    tries: int = MOST_TRIES,
) -> T:
    """Call until it succeeds, and return the result.

    Waits as long as Slack asks for (429, Retry-After), at most `retry_after_most` seconds. After other failures, and
    if Slack does not say how long to wait, the pauses grow. Raises SlackRefused at once, and SlackUnavailable if it
    is final, or after `tries` failures in a row. A rate limit counts as a failure only if Slack asked for a longer
    wait.
    """
    failures, limits = 0, 0
    while True:
        try:
            return await call()
        except SlackUnavailable as error:
            asked = error.retry_after
            if asked is None and error.is_rate_limit:
                limits += 1
            elif asked is None or asked > retry_after_most:
                failures += 1
            if error.is_final or failures == tries:
                raise
            if asked is None and error.is_rate_limit:
                log.info("Slack asks to wait, and does not say how long")
                pause = backoff(limits, first=pause_first, most=pause_most)
            elif asked is None:
                log.warning("trying again: %s", error)
                pause = backoff(failures, first=pause_first, most=pause_most)
            else:
                log.info("Slack asks to wait", extra={"seconds": round(asked, 1)})
                pause = max(min(asked, retry_after_most), pause_first / 2)
                if asked > pause:
                    log.warning("Slack asks to wait %.0f s; trying again in %.0f s", asked, pause)
            is_asked = asked is not None or error.is_rate_limit
        await wait(pause, on_wait if is_asked else None)


async def wait(seconds: float, on_wait: OnWait | None = None) -> None:
    """Wait so many seconds, and call `on_wait` at the start of each."""
    while on_wait is not None and seconds > 1:
        on_wait(seconds)
        await asyncio.sleep(1)
        seconds -= 1
    if on_wait is not None:
        on_wait(seconds)
    await asyncio.sleep(seconds)


def wait_words(seconds: float) -> str:
    """What to tell a person while it waits."""
    return f"Slack asks to wait, goes on in {duration(timedelta(seconds=math.ceil(seconds)))}"
