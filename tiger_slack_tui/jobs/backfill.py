"""The job that closes gaps with messages from Slack's history."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from tiger_slack_tui.backfill.gap_backfill import Backfill
from tiger_slack_tui.backfill.live_events import LiveEvents
from tiger_slack_tui.backfill.result import BackfillProgress, GapResult
from tiger_slack_tui.base.errors import (
    SlackRefused,
    SlackRestricted,
    SlackUnavailable,
    TigerSlackError,
)
from tiger_slack_tui.base.ids import TeamId
from tiger_slack_tui.base.times import duration, parse_time
from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.jobs.users import USERS
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.lock_keys import BACKFILL_LOCK_KEY
from tiger_slack_tui.slack.paged_history import HistoryPace, SlackHistory
from tiger_slack_tui.slack.pages import pages, retry
from tiger_slack_tui.slack.web import Identity, SlackWeb
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.directory import upsert
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.job_runs import last_done
from tiger_slack_tui.store.workspaces import save_workspace

log = logging.getLogger(__name__)

BACKFILL = "backfill"
"""The name of the job (slack.job_run.job)."""

FindGaps = Callable[[Connection, TeamId], Awaitable[list[Gap]]]
"""Returns the gaps to close in a workspace (team id)."""


class _RunWatch:
    """Saves how far a run is, in words, and keeps what became of each gap."""

    def __init__(
        self,
        run: ActiveRun,
        on_progress: Callable[[BackfillProgress], None],
        on_result: Callable[[GapResult], None],
        on_wait: Callable[[str], None],
    ) -> None:
        self._run = run
        self._on_progress = on_progress
        self._on_result = on_result
        self._on_wait = on_wait
        self._began = time.monotonic()
        self._first_share: float | None = None
        self._words = "0 %"
        self.results: dict[int, GapResult] = {}
        """The results of the gaps that were tried, by id."""

    def note(self, result: GapResult) -> None:
        """Keep what became of a gap."""
        self.results[result.gap.id] = result
        self._on_result(result)

    def incomplete(self) -> str | None:
        """Why gaps are not closed that were tried; None if all are."""
        left = [result for result in self.results.values() if not result.is_closed]
        if not left:
            return None
        found = f"{len(left):,} of {len(self.results):,} gaps and histories are not finished"
        return f"{found}; {left[0].gap.title}: {left[0].error}"

    async def advance(self, now: BackfillProgress) -> None:
        """Save what was read."""
        self._on_progress(now)
        self._words = self._describe(now)
        account = now.account
        await self._run.advance(
            seen=account.read,
            changed=account.inserted + account.updated,
            progress=self._words,
        )

    async def wait(self, what: str) -> None:
        """Save for what the backfill waits."""
        self._on_wait(what)
        await self._run.advance(seen=0, changed=0, progress=f"{self._words}, {what}")

    def _describe(self, now: BackfillProgress) -> str:
        """The percentage comes first, up to a comma."""
        if self._first_share is None or now.share < self._first_share:
            self._began, self._first_share = time.monotonic(), now.share
        done, seconds = now.share - self._first_share, time.monotonic() - self._began
        left = (
            f", {duration(timedelta(seconds=(1 - now.share) * seconds / done))} left"
            if done
            else ""
        )
        what = "" if now.of_all else f"{now.gap.title}, "
        channels = f"{now.channels_done:,} of {now.channels:,} channels"
        return f"{now.share * 100:.0f} %, {what}{channels}{left}"


@dataclass(frozen=True, slots=True)
class _ClosingRun:
    """Closes the gaps that are found: one after another, and then the histories of channels at once."""

    closing: Backfill
    watch: _RunWatch
    find: Callable[[], Awaitable[list[Gap]]]
    is_preempted: Callable[[], Awaitable[bool]] | None
    """Whether a gap was found that comes before histories. Without it, gaps are looked for only once."""
    is_patient: bool
    is_by_operator: bool

    async def close_all(self, run: ActiveRun) -> None:
        """Close gaps until there are no more that were not tried, and note in `run` if some stay open.

        Raises as `Backfill`, but SlackRestricted only to an operator.
        """
        try:
            while await self._close_found() and self.is_preempted is not None:
                pass
            run.incomplete = self.watch.incomplete()
        except SlackRestricted as error:
            if self.is_by_operator:
                raise
            run.incomplete = str(error)  # the gaps say it, too: an operator must decide

    async def _close_found(self) -> bool:
        """Look for gaps, and close them, until something else comes first. Returns whether there were any."""
        found = [gap for gap in await self.find() if gap.id not in self.watch.results]
        histories = [gap for gap in found if gap.is_history]
        others = [gap for gap in found if not gap.is_history]
        for done, gap in enumerate(others, start=1):
            try:
                await self.closing.close_gap(gap)
            except (asyncio.CancelledError, TigerSlackError):
                await self.closing.leave([*others[done:], *histories])
                raise
        await self.closing.read_histories(
            histories, is_preempted=self.is_preempted, is_patient=self.is_patient
        )
        return bool(found)


def make_due_gaps_job(
    web: SlackWeb,
    *,
    is_scheduled: bool,
    history_since: str | None = None,
    pace: HistoryPace | None = None,
) -> Job:
    """The job that closes gaps that have ended: at the start, when one is found, and daily.

    It also reads what is owed of the histories of channels, from `history_since` on (as `parse_time` reads it; None
    for all). Gaps in which events are missing come first, also if they are found meanwhile. It does not read
    histories at the pace of a restricted app.
    """
    began: datetime | None = None
    team: TeamId | None = None

    async def find(connection: Connection, team: TeamId) -> list[Gap]:
        return await gaps.due(connection, team, growing=False)

    async def is_wanted(connection: Connection) -> bool:
        nonlocal began, team
        if began is None:
            began = await gaps.database_time(connection)
        is_due = await gaps.has_due(connection, team, began)
        if is_due and team is None:
            team = (await web.identity()).team_id
            is_due = await gaps.has_due(connection, team, began)
        return is_due

    job = make_chosen_gaps_job(
        web, find, pace=pace, history_since=history_since, is_patient=False, repeats=True
    )
    return replace(job, is_wanted=is_wanted, is_scheduled=is_scheduled)


def make_chosen_gaps_job(
    web: SlackWeb,
    find: FindGaps,
    *,
    pace: HistoryPace | None = None,
    history: SlackHistory | None = None,
    history_since: str | None = None,
    is_by_operator: bool = False,
    is_patient: bool = True,
    repeats: bool = False,
    on_progress: Callable[[BackfillProgress], None] = lambda _: None,
    on_result: Callable[[GapResult], None] = lambda _: None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> Job:
    """The job that closes the gaps of `find`, one after another, and then reads the histories of channels at once.

    `is_by_operator` and `is_patient` are as in `Backfill`. With `repeats`, it looks for gaps again, until there are
    no more: a gap in which events are missing is closed before the histories are read on. It calls `on_progress`
    during the backfill, `on_result` for each gap that was begun, and `on_wait` with the words for what it waits. A
    run that leaves gaps open is incomplete.
    """

    async def work(run: ActiveRun) -> None:
        identity = await _identify(run.connection, web)
        if is_by_operator:
            await _store_people(run.connection, web)
        team, watch = identity.team_id, _RunWatch(run, on_progress, on_result, on_wait)
        closing = Backfill(
            run.connection,
            history or SlackHistory(web, pace),
            scopes=identity.scopes,
            on_progress=watch.advance,
            on_result=watch.note,
            on_wait=watch.wait,
            is_by_operator=is_by_operator,
            history_since=_begin(history_since),
            before_step=LiveEvents(run.connection, on_wait=watch.wait).wait,
        )
        closing_run = _ClosingRun(
            closing,
            watch,
            partial(find, run.connection, team),
            partial(gaps.has_new_loss, run.connection, team) if repeats else None,
            is_patient,
            is_by_operator,
        )
        await closing_run.close_all(run)

    # A history of years takes days. Each request has a time limit of its own.
    return Job(BACKFILL, BACKFILL_LOCK_KEY, work, has_time_limit=False)


async def _identify(connection: Connection, web: SlackWeb) -> Identity:
    """Ask Slack for the workspace, and store its address. From then on, no call is given up: the work takes hours."""
    found = await retry(web.identity)
    web.never_give_up()
    await save_workspace(connection, found.team_id, found.team, found.url)
    return found


async def _store_people(connection: Connection, web: SlackWeb) -> None:
    """Store the names of people, unless the job "users" has done so. A failure is logged. Raises psycopg.Error."""
    if await last_done(connection, USERS) is not None:
        return
    try:
        async for page in pages(web.users_page):
            await upsert(connection, "user", page.items)
    except (SlackRefused, SlackUnavailable) as error:
        log.warning("the names of people were not stored: %s", error)


def _begin(history_since: str | None) -> datetime | None:
    """When the history of a channel begins that is owed; None for all of it."""
    if not history_since:
        return None
    return parse_time(history_since, datetime.now(UTC), "history") or None
