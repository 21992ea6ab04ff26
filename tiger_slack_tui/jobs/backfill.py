"""Closes gaps with what Slack's history holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from tiger_slack_tui.backfill.backfill import Backfill, BackfillProgress, GapResult
from tiger_slack_tui.jobs.job import Job, Run
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.lock_keys import BACKFILL_LOCK_KEY
from tiger_slack_tui.slack.paged_history import HistoryReader, Pace
from tiger_slack_tui.slack.pages import patiently
from tiger_slack_tui.slack.web import SlackWeb
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.gaps import Gap

Find = Callable[[Connection, str], Awaitable[list[Gap]]]
"""The gaps to close, of a workspace (team id)."""


def backfill(web: SlackWeb, *, is_scheduled: bool, pace: Pace | None = None) -> Job:
    """Closes the gaps that are over: when one is found, at the start, and daily those that stayed open."""
    begun: datetime | None = None
    team: str | None = None

    async def find(connection: Connection, team: str) -> list[Gap]:
        return await gaps.due(connection, team, growing=False)

    async def is_wanted(connection: Connection) -> bool:
        nonlocal begun, team
        if begun is None:
            begun = await gaps.database_time(connection)
        if not (await gaps.standing(connection, team)).count:
            return False
        if team is None:
            team = (await web.identity()).team_id
        return await gaps.has_due(connection, team, begun)

    job = close_gaps(web, find, pace=pace)
    return Job(job.name, job.lock_key, job.work, is_wanted, is_scheduled)


def close_gaps(
    web: SlackWeb,
    find: Find,
    *,
    pace: Pace | None = None,
    progress: Callable[[BackfillProgress], None] = lambda _: None,
    tell: Callable[[GapResult], None] = lambda _: None,
) -> Job:
    """Closes the gaps that `find` names, one after another. `progress` hears how it goes, `tell` how each ended.

    One that fails ends the run: the next would meet the same Slack.
    """

    async def work(run: Run) -> None:
        async def told(now: BackfillProgress) -> None:
            progress(now)
            account = now.account
            await run.advance(seen=account.read, changed=account.inserted + account.updated)

        identity = await patiently(web.identity)
        reader = HistoryReader(web, pace)
        closing = Backfill(run.connection, reader, scopes=identity.scopes, told=told)
        for gap in await find(run.connection, identity.team_id):
            tell(await closing.close(gap))

    return Job("backfill", BACKFILL_LOCK_KEY, work)
