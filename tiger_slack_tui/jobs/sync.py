"""Merges a list of Slack's Web API into its table, page by page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tiger_slack_tui.jobs.job import ActiveRun
from tiger_slack_tui.slack.pages import pages
from tiger_slack_tui.store.directory import DirectoryKind, list_time, upsert

if TYPE_CHECKING:
    from tiger_slack_tui.slack.web import Page


async def sync(
    run: ActiveRun,
    fetch: Callable[[str | None], Awaitable[Page]],
    kind: DirectoryKind,
    *,
    time: Callable[[], float],
) -> None:
    """Merge every page into the table. No transaction is open while a page is requested.

    `time` is Slack's clock, in seconds since 1970.

    Raises SlackRefused, SlackUnavailable, psycopg.Error.
    """
    asked_at = 0.0

    async def timed(cursor: str | None) -> Page:
        nonlocal asked_at
        asked_at = time()
        return await fetch(cursor)

    async for page in pages(timed, cursor=run.cursor):
        result = await upsert(run.connection, kind, page.items, listed_at=list_time(asked_at))
        await run.advance(
            seen=len(page.items),
            changed=result.changed,
            bad_rows=result.bad_rows,
            cursor=page.next_cursor,
        )
