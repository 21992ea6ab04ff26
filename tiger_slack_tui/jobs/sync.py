"""Merges a list of Slack's Web API into its table, page by page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tiger_slack_tui.jobs.job import ActiveRun
from tiger_slack_tui.slack.pages import pages
from tiger_slack_tui.store.directory import DirectoryKind, upsert

if TYPE_CHECKING:
    from tiger_slack_tui.slack.web import Page


async def sync(
    run: ActiveRun,
    fetch: Callable[[str | None], Awaitable[Page]],
    kind: DirectoryKind,
) -> None:
    """Merge every page into the table. No transaction is open while a page is requested.

    Raises SlackRefused, SlackUnavailable, psycopg.Error.
    """
    async for page in pages(fetch, cursor=run.cursor):
        result = await upsert(run.connection, kind, page.items)
        await run.advance(
            seen=len(page.items),
            changed=result.changed,
            bad_rows=result.bad_rows,
            cursor=page.next_cursor,
        )
