"""Gaps and ages stay right when the wall clock is set, during an outage or without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.clock import ManualClock
from tests.faults.sockets import ShiftedClock
from tests.support import allow_connections, delivered, make_engine, running, until
from tiger_slack_tui.base.clock import PeerClock, SystemClock
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.ingest.pipeline import PipelineLimits
from tiger_slack_tui.presence.heartbeat import HeartbeatTiming

HOUR = 3600.0
STEPS = [-HOUR, HOUR]
HEARTBEAT = HeartbeatTiming(interval=0.1, stale=3, least_gap=0.3)
SECONDS = "select reason, extract(epoch from ended_at - started_at)::float8 from slack.gap"
SPANS = """
select extract(epoch from now() - connected_at)::float8, extract(epoch from now() - seen_at)::float8
from slack.connection
"""
AGES = """
select extract(epoch from now() - started_at)::float8, extract(epoch from now() - status_since)::float8
from slack.instance
"""

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def ask(conninfo: str) -> Ask:
    """Asks the database again each time: tests switch it off."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(conninfo) as connection:
            return connection.execute(query.encode()).fetchall()

    return rows


def engine(slack: LocalSlack, conninfo: str, home: Path, clock: ShiftedClock, **more: Any) -> Any:
    jobs = JobSettings(backfill=False)
    return make_engine(slack, conninfo, home, heartbeat=HEARTBEAT, jobs=jobs, clock=clock, **more)


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_while_slack_is_away_neither_hides_nor_lengthens_the_gap(
    conninfo: str, tmp_path: Path, ask: Ask, step: float
) -> None:
    clock = ShiftedClock()
    async with (
        LocalSlack() as slack,
        running(engine(slack, conninfo, tmp_path, clock)) as one,
    ):
        await until(lambda: one.snapshot().gaps_open == 0)
        slack.refuse_opening = "internal_error"
        began = clock.elapsed()
        await slack.drop()
        await until(lambda: one.snapshot().gaps_open)
        clock.shift(step)
        slack.refuse_opening = None
        await until(lambda: one.snapshot().slack_status == "connected")
        most = clock.elapsed() - began + 1
        await until(lambda: ask("select from slack.gap where ended_at is not null") != [])
    # A busy machine can lose a connection for itself: that is a gap of its own.
    found = ask(SECONDS)
    assert {reason for reason, _ in found} == {"not connected"}
    assert HEARTBEAT.least_gap <= max(seconds for _, seconds in found) < most


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_during_a_stall_neither_hides_nor_lengthens_the_gap(
    conninfo: str, tmp_path: Path, ask: Ask, step: float
) -> None:
    clock = ShiftedClock()
    limits = PipelineLimits(stall_seconds=0.5)
    async with LocalSlack(retry_seconds=(0.2,)) as slack:
        one = engine(slack, conninfo, tmp_path, clock, limits=limits, spool_limit=1)
        async with running(one):
            await until(lambda: one.snapshot().gaps_open == 0)
            allow_connections(conninfo, allowed=False)
            began = clock.elapsed()
            await slack.send({"event_id": "Ev1", "event": {"type": "star_added"}})
            await until(lambda: one.snapshot().spool_problem is not None)
            clock.shift(step)
            await until(lambda: clock.elapsed() - began > 2)
            allow_connections(conninfo, allowed=True)
            await delivered(slack, one)
            most = clock.elapsed() - began + 1
            await until(lambda: ask(SECONDS) != [])
    ((reason, seconds),) = ask(SECONDS)
    assert reason == "queue stopped"
    assert limits.stall_seconds < seconds < most


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_without_an_outage_changes_no_age(
    conninfo: str, tmp_path: Path, ask: Ask, step: float
) -> None:
    clock = ShiftedClock()
    began = clock.elapsed()
    async with (
        LocalSlack() as slack,
        running(engine(slack, conninfo, tmp_path, clock)) as one,
    ):
        await until(lambda: one.snapshot().gaps_open == 0)
        clock.shift(step)
        beats = ask("select last_seen_at from slack.instance")
        await until(lambda: ask("select last_seen_at from slack.instance") != beats)
        most = clock.elapsed() - began + 1
        now = one.snapshot()
        found = [now.at - now.started, now.at - now.slack_since, now.at - now.database_since]
        found += [*ask(SPANS)[0], *ask(AGES)[0]]
        assert all(-1 < age < most for age in found)
        assert len(ask(SPANS)) == 1
        assert one.snapshot().gaps_open == 0
        assert ask(SECONDS) == []  # before the stop, which may take longer than the least gap


@pytest.mark.parametrize("step", [-3 * HOUR, 3 * HOUR])
@pytest.mark.parametrize("is_spooled", [False, True], ids=["stored", "spooled"])
async def test_late_deliveries_are_told_from_a_wrong_clock(
    conninfo: str, tmp_path: Path, ask: Ask, step: float, is_spooled: bool
) -> None:
    """Only the event that is two and a half hours late makes a gap, whatever the machine's clock shows."""
    clock = ShiftedClock()
    clock.shift(step / 2)
    now = SystemClock().wall()
    async with (
        LocalSlack() as slack,
        running(engine(slack, conninfo, tmp_path, clock)) as one,
    ):
        await until(lambda: one.snapshot().gaps_open == 0)
        clock.shift(step / 2)
        if is_spooled:
            allow_connections(conninfo, allowed=False)
        for number, ts in enumerate((now, now - 2.5 * HOUR)):
            event = {"type": "message", "channel": "C1", "user": "U1", "text": "x"}
            event |= {"ts": f"{ts:.6f}", "event_ts": f"{ts:.6f}"}
            await slack.send({"team_id": "T1", "event_id": f"Ev{number}", "event": event})
        await slack.flush()
        await asyncio.wait_for(slack.wait_acked(), 60)
        if is_spooled:
            assert one.snapshot().spool_events == 2
            allow_connections(conninfo, allowed=True)
        await until(
            lambda: ask("select from slack.event") != [] and not one.snapshot().spool_events
        )
        lateness = one.snapshot().lateness_p99
        assert lateness is not None
        assert abs(lateness - 2.5 * HOUR) < 300
    rows = ask(
        "select extract(epoch from started_at)::float8 from slack.gap where reason = 'late deliveries'"
    )
    assert [round(began) for (began,) in rows] == [round(now - 2.5 * HOUR)]


def test_impossible_times_of_a_peer_are_ignored() -> None:
    clock = ManualClock()
    peer = PeerClock(clock)
    for nonsense in (0, 1e12, float("inf"), float("nan"), -1.0):
        peer.observe(nonsense)
        assert (peer.wall(), peer.skew) == (clock.wall(), 0)
    peer.observe(clock.wall() - 59)
    assert peer.wall() == clock.wall()
    peer.observe(clock.wall() + 7200)
    clock.advance(100)
    assert peer.skew == -7200
    clock.step(-86_400)
    assert peer.wall() == 1_800_000_000 + 7300
