"""Writes the heartbeat of this instance to the database, and reports the gaps that the database finds by it.

A killed instance cannot write that it ends. So each instance writes every few seconds until when it was connected
(slack.connection), and an instance that connects later finds the time since then. Periods wait in memory while the
database is away: a period that is stored late closes what seemed to be a gap.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import psycopg
from psycopg_pool import PoolTimeout

from tiger_slack_tui import __version__
from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.ids import TeamId
from tiger_slack_tui.base.periods import ConnectedPeriod, StalledPeriods
from tiger_slack_tui.base.snapshot import SlackStatus, Snapshot
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.pool import Pool, end_within
from tiger_slack_tui.presence.channel_history import ChannelHistory
from tiger_slack_tui.slack.socket import SocketMode
from tiger_slack_tui.slack.web import Identity
from tiger_slack_tui.store import gaps, instances
from tiger_slack_tui.store.gaps import GapSummary
from tiger_slack_tui.store.instances import (
    STALE_HEARTBEAT_SECONDS,
    ConnectedAges,
    Heartbeat,
    InstanceState,
    StalledAges,
)

log = logging.getLogger(__name__)


_TEAM_PAUSE = 300.0
"""The longest pause, in seconds, before Slack is asked for the workspace again."""
_FAILURES = (psycopg.Error, PoolTimeout, TimeoutError)


@dataclass(frozen=True, slots=True)
class HeartbeatTiming:
    """Seconds."""

    interval: float = 5
    stale: float = STALE_HEARTBEAT_SECONDS
    """An instance without a heartbeat for longer is dead, or has lost the database."""
    least_gap: float = 1
    """A shorter break of the connection is not a gap: Slack repeats a failed delivery after 3 s."""
    write: float = 5
    """Most seconds of one heartbeat."""
    last_write: float = 1
    """Most seconds of the last heartbeat, at a stop."""
    history: float = 2
    """Most seconds, after a heartbeat, in which channels are brought up to date."""
    scopes: float = 600
    """Between two questions for the app's scopes."""


class Ingestion(Protocol):
    """The part of the pipeline that the heartbeat reads."""

    @property
    def database_problem(self) -> str | None: ...

    @property
    def stalled_since(self) -> float | None: ...

    @property
    def stalled_periods(self) -> StalledPeriods: ...


class HeartbeatWriter:
    """`run` until cancelled, then `write_last` when the socket is no longer read. Does not raise for an outage."""

    def __init__(
        self,
        pool: Pool,
        slack: SocketMode,
        ingestion: Ingestion,
        snapshot: Callable[[], Snapshot],
        *,
        instance: str,
        team_id: Callable[[], Awaitable[TeamId]],
        identity: Callable[[], Identity | None],
        on_gap_due: Callable[[], None],
        timing: HeartbeatTiming | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`team_id` asks Slack for the workspace; `identity` returns its answer, None before that.

        `on_gap_due` is called when a backfill should close a gap.
        """
        self._pool = pool
        self._slack = slack
        self._ingestion = ingestion
        self._snapshot = snapshot
        self._instance = instance
        self._ask_team = team_id
        self._on_gap_due = on_gap_due
        self._timing = timing or HeartbeatTiming()
        self._clock = clock or SystemClock()
        self._team: TeamId | None = None
        self._team_failures = 0
        self._team_due = 0.0
        self._start_id = uuid4()
        self._has_tried = False
        self._is_failing = False
        self._is_history_failing = False
        # At the start other instances may not have written their heartbeats yet, as after an outage.
        self._database_lost_at: float | None = self._clock.elapsed()
        self._gaps = GapSummary()
        self._history = ChannelHistory(self._clock, identity)
        self._last_received = (self._clock.elapsed(), 0)
        """`Clock.elapsed` of the last heartbeat, and the number of events received until then."""
        self.gaps_open: int | None = None
        """Gaps that no backfill has closed; None until the database has answered."""

    async def run(self) -> None:
        """Write a heartbeat every few seconds, and whenever a connected period begins or ends."""
        changed = self._slack.state.connected_periods.changed
        while True:
            changed.clear()
            await self._find_team()
            await self._try_to_write(self._timing.write)
            try:
                async with asyncio.timeout(self._timing.interval):
                    await changed.wait()
            except TimeoutError:
                pass

    async def write_last(self) -> None:
        """Write that the instance stops. Does nothing while the database is away."""
        if not self._has_tried or self._ingestion.database_problem is not None:
            return
        if self._team is None:
            # The connection can be newer than the last look for the workspace. Without the workspace, the next start
            # would not find the gap.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.last_write / 2):
                    await self._ask_for_team()
        await self._try_to_write(self._timing.last_write, stopped=True)

    async def _try_to_write(self, seconds: float, *, stopped: bool = False) -> None:
        try:
            async with self._pool.connection(timeout=min(seconds, 2)) as connection:
                await _within(seconds, connection, self._write(connection, stopped=stopped))
        except _FAILURES as error:
            if not self._is_failing:
                log.warning("the heartbeat was not written: %s", _reason(error))
            self._is_failing = True
            self._database_lost_at = self._clock.elapsed()
        else:
            if not stopped:
                await self._try_to_update_history()

    async def _try_to_update_history(self) -> None:
        """Bring channels up to date with the gaps. A lock that somebody holds does not delay heartbeats."""
        is_connected = self._slack.state.status is SlackStatus.CONNECTED
        seconds = self._timing.history
        try:
            async with self._pool.connection(timeout=seconds) as connection:
                update = self._history.update(
                    connection, self._gaps.periods, is_connected=is_connected
                )
                await _within(seconds, connection, update)
        except _FAILURES as error:
            if not self._is_history_failing:
                log.warning(
                    "it is not up to date for which time channels are complete: %s", _reason(error)
                )
            self._is_history_failing = True
        else:
            self._is_history_failing = False

    async def _find_team(self) -> None:
        """Ask Slack for the workspace, once connected; after a failure again with growing pauses."""
        if self._team is not None or not self._slack.state.connected_periods:
            return
        if self._clock.elapsed() >= self._team_due:
            await self._ask_for_team()

    async def _ask_for_team(self) -> None:
        try:
            self._team = await self._ask_team()
        except TigerSlackError as error:
            self._team_failures += 1
            pause = backoff(self._team_failures, first=self._timing.interval, most=_TEAM_PAUSE)
            self._team_due = self._clock.elapsed() + pause
            if self._team_failures == 1:
                log.warning("gaps cannot be found until Slack names the workspace: %s", error)

    async def _write(self, connection: Connection, *, stopped: bool) -> None:
        self._has_tried = True
        timing, began = self._timing, self._clock.elapsed()
        connected, stalled = self._slack.connected_periods(), self._ingestion.stalled_periods
        periods, stalls = connected.all(), stalled.all()
        if self._team is None and not self._team_failures and not stopped:
            # The socket has connected since the last question for the workspace. Leave its periods to the next
            # heartbeat, which knows the workspace: after a kill, the next start finds the gap only by workspace.
            periods = []
        over = [period for period in periods if period.is_over]  # another may end meanwhile
        received, others_are_up_to_date = self._snapshot().received, self._others_are_up_to_date()

        def make_heartbeat() -> Heartbeat:
            now = self._clock.elapsed()
            return Heartbeat(
                self._state(now, stopped=stopped),
                [self._connected_ages(period, now) for period in periods],
                [
                    StalledAges(max(now - stall.began, 0), max(now - stall.ended, 0))
                    for stall in stalls
                ],
            )

        await instances.write_heartbeat(
            connection,
            make_heartbeat,
            stale=timing.stale,
            others_are_up_to_date=others_are_up_to_date,
            least_gap=timing.least_gap,
        )
        connected.forget(over)
        stalled.forget(stalls)
        self._is_failing = False
        if others_are_up_to_date:
            self._database_lost_at = None
        self._last_received = (began, received)
        await self._report_gaps(connection)

    async def _report_gaps(self, connection: Connection) -> None:
        """Log the newest gap, and report that one is due to be closed."""
        before, now = self._gaps, await gaps.summarize(connection, self._team)
        self._gaps, self.gaps_open = now, now.count
        if now.newest is not None and now.newest > (before.newest or 0):
            for gap in await gaps.get(connection, [now.newest]):
                log.warning(
                    "gap %d: events since %s may be missing: %s",
                    *(gap.id, gap.started_at.isoformat(timespec="seconds"), gap.reason),
                    extra={"gap": gap.id, "gaps_open": now.count},
                )
        if now.is_due and now.newest_due != before.newest_due:
            self._on_gap_due()

    def _others_are_up_to_date(self) -> bool:
        """Whether the database has answered for `stale` seconds: every other instance has reached it then."""
        database_lost_at = self._database_lost_at
        return (
            database_lost_at is None
            or self._clock.elapsed() - database_lost_at > self._timing.stale
        )

    def _connected_ages(self, period: ConnectedPeriod, now: float) -> ConnectedAges:
        # While events are not taken, report the connection as last seen at the start of the stall, so that a crash
        # now leaves a gap from there.
        stalled_since = self._ingestion.stalled_since
        heard = period.heard if stalled_since is None else min(period.heard, stalled_since)
        began = min(period.began, now)
        return ConnectedAges(
            period.number,
            now - began,
            now - min(max(heard, began), now),
            period.is_over,
        )

    def _state(self, now: float, *, stopped: bool) -> InstanceState:
        found = self._snapshot()
        since, before = self._last_received
        return InstanceState(
            start_id=self._start_id,
            instance=self._instance,
            version=__version__,
            host=socket.gethostname(),
            pid=os.getpid(),
            age=max(found.at - found.started, 0),
            team_id=self._team,
            stopped=stopped,
            status=SlackStatus.STOPPED if stopped else found.slack_status,
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
            ack_p95=found.ack_p95_now,
        )


async def _within(seconds: float, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
    """Do work on the connection. Raises TimeoutError after `seconds`, also if the server stays silent."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
        await end_within(0.2, task, connection)
    if not done:
        raise TimeoutError
    task.result()


def _reason(error: Exception) -> str:
    return describe(error) if isinstance(error, psycopg.Error) else "it took too long"
