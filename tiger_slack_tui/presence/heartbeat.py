"""Writes down that this instance lives and is connected; what no instance covers shows as a gap by that.

An instance that is killed says no goodbye. So each writes every few seconds until when it was connected
(slack.connection), and whoever connects next finds the span since the last such moment. While the database is away,
spans wait here: a connection that lived on closes what seemed to be a gap.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

import psycopg
from psycopg_pool import PoolTimeout

from tiger_slack_tui import __version__
from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.snapshot import Snapshot
from tiger_slack_tui.ingest.pipeline import Pipeline
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.pool import Pool, end_within
from tiger_slack_tui.slack.socket import ConnectedPeriod, SocketMode
from tiger_slack_tui.store import gaps, instances
from tiger_slack_tui.store.gaps import Standing
from tiger_slack_tui.store.instances import STALE_SECONDS, ConnectionSpan, Heartbeat, InstanceState

log = logging.getLogger(__name__)


_TEAM_PAUSE = 300.0
"""The longest pause, in seconds, between two questions for the workspace."""


@dataclass(frozen=True, slots=True)
class WatchTiming:
    """Seconds."""

    beat: float = 5
    stale: float = STALE_SECONDS
    """An instance not seen for so long is dead, or has lost the database."""
    least_gap: float = 1
    """A shorter break of the connection is no gap: Slack delivers again after 3 s what it could not."""
    write: float = 5
    """How long a heartbeat may take."""
    farewell: float = 1


class Watch:
    """`run` until cancelled, then `farewell` once the socket is no longer read. Never raises what is passing."""

    def __init__(
        self,
        pool: Pool,
        slack: SocketMode,
        pipeline: Pipeline,
        snapshot: Callable[[], Snapshot],
        *,
        instance: str,
        team_id: Callable[[], Awaitable[str]],
        gap_is_due: Callable[[], None],
        timing: WatchTiming | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`team_id` asks Slack; `gap_is_due` hears of gaps that a backfill should close."""
        self._pool = pool
        self._slack = slack
        self._pipeline = pipeline
        self._snapshot = snapshot
        self._instance = instance
        self._ask_team = team_id
        self._gap_is_due = gap_is_due
        self._timing = timing or WatchTiming()
        self._clock = clock or SystemClock()
        self._team: str | None = None
        self._team_failures = 0
        self._team_due = 0.0
        self._start_id = uuid4()
        self._has_tried = False
        self._is_failing = False
        # Nor is it known whether others have seen the database before we came.
        self._unsteady_at: float | None = self._clock.elapsed()
        self._gaps = Standing()
        self._last = (self._clock.elapsed(), 0)
        self.gaps_open: int | None = None
        """Gaps that no backfill has closed; None until the database has told."""

    async def run(self) -> None:
        """Beat every few seconds, and whenever a connection begins or ends."""
        while True:
            self._slack.state.changed.clear()
            await self._beat(self._timing.write)
            try:
                async with asyncio.timeout(self._timing.beat):
                    await self._slack.state.changed.wait()
            except TimeoutError:
                pass

    async def farewell(self) -> None:
        """Say that the instance was stopped in good order, so that nobody has to guess when. Takes about a second."""
        if self._has_tried and self._pipeline.database_problem is None:
            await self._beat(self._timing.farewell, stopped=True)

    async def _beat(self, seconds: float, *, stopped: bool = False) -> None:
        if not stopped:  # a stop does not wait for Slack
            await self._find_team()
        try:
            async with self._pool.connection(timeout=min(seconds, 2)) as connection:
                await self._write_within(seconds, connection, stopped=stopped)
        except (psycopg.Error, PoolTimeout, TimeoutError) as error:
            if not self._is_failing:
                what = describe(error) if isinstance(error, psycopg.Error) else "it took too long"
                log.warning("the heartbeat was not written: %s", what)
            self._is_failing = True
            self._unsteady_at = self._clock.elapsed()

    async def _find_team(self) -> None:
        """Ask Slack for the workspace, once connected; after failures with growing pauses."""
        if self._team is not None or not self._slack.state.periods:
            return
        if self._clock.elapsed() < self._team_due:
            return
        try:
            self._team = await self._ask_team()
        except TigerSlackError as error:
            self._team_failures += 1
            pause = backoff(self._team_failures, first=self._timing.beat, most=_TEAM_PAUSE)
            self._team_due = self._clock.elapsed() + pause
            if self._team_failures == 1:
                log.warning("gaps cannot be found until Slack names the workspace: %s", error)

    async def _write_within(self, seconds: float, connection: Connection, *, stopped: bool) -> None:
        """Write it; a server that neither answers nor closes holds up neither this nor a stop."""
        work = asyncio.ensure_future(self._write(connection, stopped=stopped))
        try:
            done, _ = await asyncio.wait({work}, timeout=seconds)
        finally:
            work.cancel()
            await end_within(0.2, work, connection)
        if not done:
            raise TimeoutError
        work.result()

    async def _write(self, connection: Connection, *, stopped: bool) -> None:
        self._has_tried = True
        timing, began = self._timing, self._clock.elapsed()
        periods, stops = self._slack.periods(), self._pipeline.stops()
        over = [period for period in periods if period.is_over]  # another may end meanwhile
        received, ready = self._snapshot().received, self._is_steady()

        def look() -> Heartbeat:
            now = self._clock.elapsed()
            return Heartbeat(
                self._state(now, stopped=stopped),
                [self._span(period, now) for period in periods],
                [(max(now - stop.began, 0), max(now - stop.ended, 0)) for stop in stops],
            )

        await instances.beat(
            connection,
            look,
            stale=timing.stale,
            is_steady=ready,
            least_gap=timing.least_gap,
        )
        self._slack.forget_periods(over)
        self._pipeline.forget_stops(stops)
        self._is_failing = False
        if ready:
            self._unsteady_at = None
        self._last = (began, received)
        await self._look_at_gaps(connection)

    async def _look_at_gaps(self, connection: Connection) -> None:
        before, now = self._gaps, await gaps.standing(connection, self._team)
        self._gaps, self.gaps_open = now, now.count
        if now.newest is not None and now.newest > (before.newest or 0):
            for gap in await gaps.get(connection, [now.newest]):
                log.warning(
                    "gap %d: events since %s may be missing: %s",
                    *(gap.id, gap.started_at.isoformat(timespec="seconds"), gap.reason),
                    extra={"gap": gap.id, "gaps_open": now.count},
                )
        if now.is_due and not before.is_due:
            self._gap_is_due()

    def _is_steady(self) -> bool:
        """Whether the database has been seen for so long that others must have seen it, too."""
        unsteady_at = self._unsteady_at
        return unsteady_at is None or self._clock.elapsed() - unsteady_at > self._timing.stale

    def _span(self, period: ConnectedPeriod, now: float) -> ConnectionSpan:
        # While nothing is taken, being connected is of no use; if we die, that is all that counts.
        stopped_since = self._pipeline.stopped_since
        heard = period.heard if stopped_since is None else min(period.heard, stopped_since)
        began = min(period.began, now)
        return ConnectionSpan(
            period.number,
            now - began,
            now - min(max(heard, began), now),
            period.is_over,
        )

    def _state(self, now: float, *, stopped: bool) -> InstanceState:
        found = self._snapshot()
        since, before = self._last
        return InstanceState(
            start_id=self._start_id,
            instance=self._instance,
            version=__version__,
            host=socket.gethostname(),
            pid=os.getpid(),
            age=max(found.at - found.started, 0),
            team_id=self._team,
            stopped=stopped,
            status="stopped" if stopped else found.slack_status,
            status_age=0 if stopped else max(found.at - found.slack_since, 0),
            reason=found.slack_reason,
            database_problem=found.database_problem,
            queue=found.queue,
            queue_limit=found.queue_limit,
            spool_events=found.spool_events,
            spool_bytes=found.spool_bytes,
            spool_problem=found.spool_problem,
            received=found.received,
            acked=found.acked,
            events_per_second=round((found.received - before) / max(now - since, 0.001), 1),
            ack_p99=found.ack_p99,
        )
