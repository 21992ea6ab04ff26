"""The job that closes gaps with messages from Slack's history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from tiger_slack_tui.backfill.gap_backfill import Backfill, BackfillProgress, GapResult
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.ids import TeamId
from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.lock_keys import BACKFILL_LOCK_KEY
from tiger_slack_tui.slack.paged_history import HistoryPace, SlackHistory
from tiger_slack_tui.slack.pages import retry
from tiger_slack_tui.slack.web import SlackWeb
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.gaps import Gap

BACKFILL = "backfill"
"""The name of the job (slack.job_run.job)."""

FindGaps = Callable[[Connection, TeamId], Awaitable[list[Gap]]]
"""Returns the gaps to close in a workspace (team id)."""


def make_due_gaps_job(web: SlackWeb, *, is_scheduled: bool, pace: HistoryPace | None = None) -> Job:
    """The job that closes gaps that have ended: at the start, when one is found, and daily."""
    began: datetime | None = None
    team: TeamId | None = None

    async def find(connection: Connection, team: TeamId) -> list[Gap]:
        return await gaps.due(connection, team, growing=False)

    async def is_wanted(connection: Connection) -> bool:
        nonlocal began, team
        if began is None:
            began = await gaps.database_time(connection)
        open_ones = await gaps.summarize(connection, team)
        if not open_ones.count and not open_ones.is_due:
            return False
        if team is None:
            team = (await web.identity()).team_id
        return await gaps.has_due(connection, team, began)

    job = make_chosen_gaps_job(web, find, pace=pace)
    return replace(job, is_wanted=is_wanted, is_scheduled=is_scheduled)


def make_chosen_gaps_job(
    web: SlackWeb,
    find: FindGaps,
    *,
    pace: HistoryPace | None = None,
    is_by_operator: bool = False,
    on_progress: Callable[[BackfillProgress], None] = lambda _: None,
    on_result: Callable[[GapResult], None] = lambda _: None,
) -> Job:
    """The job that closes the gaps of `find`, one after another.

    `is_by_operator` is as in `Backfill`. It calls `on_progress` during the backfill, and `on_result` after each gap.
    A gap that fails ends the run, because the next one would fail for the same reason.
    """

    async def work(run: ActiveRun) -> None:
        async def advance(now: BackfillProgress) -> None:
            on_progress(now)
            account = now.account
            await run.advance(seen=account.read, changed=account.inserted + account.updated)

        identity = await retry(web.identity)
        reader = SlackHistory(web, pace)
        closing = Backfill(
            run.connection,
            reader,
            scopes=identity.scopes,
            on_progress=advance,
            is_by_operator=is_by_operator,
        )
        found = await find(run.connection, identity.team_id)
        for done, gap in enumerate(found, start=1):
            try:
                on_result(await closing.close_gap(gap))
            except (asyncio.CancelledError, TigerSlackError):
                await closing.leave(found[done:])
                raise

    return Job(BACKFILL, BACKFILL_LOCK_KEY, work)
