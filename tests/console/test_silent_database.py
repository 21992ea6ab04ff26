"""What an observer says while the database hangs, and of instances that report no more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.console.canned import NOW, CannedBackend, database_state, instance, snapshot
from tests.faults.clock import ManualClock
from tests.support import until
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.base.snapshot import SlackStatus
from tiger_slack_tui.console.model import monitor as monitoring
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.console.panes.chrome import overall, problem_lines, status_line
from tiger_slack_tui.postgres import introspection
from tiger_slack_tui.store.arrivals import ArrivalReader, Arrivals


def observed(home: Path, **changes: object) -> Model:
    rows = (instance("x@host:1", seen_age=2.0),)
    database = replace(database_state(), instances=rows, **changes)  # type: ignore[arg-type]
    return replace(CannedBackend(home).model, engine=None, is_observing=True, database=database)


async def test_a_database_that_hangs_is_named_before_its_answer_is_given_up(
    conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, pings = asyncio.Event(), 0
    ping = introspection.ping

    async def ping_once(connection: object) -> None:
        nonlocal pings
        pings += 1
        if pings == 2:
            await hangs.wait()
        await ping(connection)  # type: ignore[arg-type]

    monkeypatch.setattr(introspection, "ping", ping_once)
    monkeypatch.setattr(monitoring, "_SECONDS", 0.05)
    clock = ManualClock()
    monitor = Monitor(conninfo, JobSettings(), clock=clock)
    running = asyncio.create_task(monitor.run())
    try:
        await until(lambda: pings == 2)
        began = clock.wall()
        clock.advance(5)
        assert monitor.state.problem is None
        clock.advance(1)
        assert monitor.state.problem == "a query has no answer yet"
        assert monitor.state.problem_since == pytest.approx(began)
        hangs.set()
        await until(lambda: monitor.state.problem is None)
    finally:
        running.cancel()


@pytest.mark.parametrize(
    ("changes", "word", "is_problem"),
    [
        ({}, "STARTING", False),
        ({"slack_reason": "HTTP 503"}, "NO SLACK", True),
        ({"slack_connects": 1}, "NO SLACK", True),
        ({"slack_status": SlackStatus.BACKING_OFF}, "NO SLACK", True),
    ],
)
def test_the_first_try_to_connect_is_no_problem(
    tmp_path: Path, changes: dict[str, Any], word: str, is_problem: bool
) -> None:
    first = {"slack_status": SlackStatus.CONNECTING, "slack_connects": 0, "slack_connections": 0}
    model = CannedBackend(tmp_path, engine=replace(snapshot(), **(first | changes))).model
    assert overall(model)[1] == word
    assert bool(problem_lines(model, 80)) == is_problem


def test_answers_that_have_grown_old_are_no_sign_that_an_instance_is_lost(tmp_path: Path) -> None:
    away = {"problem": "a query has no answer yet", "problem_since": NOW - 60, "at": NOW - 62}
    model = observed(tmp_path, **away)
    assert overall(model) == ("bad", "NO DATABASE")
    assert "db ✗ 1 min" in status_line(model, 160).plain
    [row] = model.instances
    assert (row.is_late, row.is_lost, row.silence) == (True, False, 64.0)
    assert overall(observed(tmp_path, at=NOW - 62)) == ("note", "OLD NUMBERS")


async def test_the_numbers_of_an_instance_that_reports_no_more_are_those_of_its_last_heartbeat(
    conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000

    async def fetch(*_: object) -> Arrivals:
        counts = {(second, "message", "stored"): 20 for second in range(800, 990)}
        return Arrivals(now=now, since=700, counts=counts)

    monkeypatch.setattr(ArrivalReader, "fetch", fetch)
    monitor = Monitor(conninfo, JobSettings(), is_observing=True)
    for now, seen_age in ((1000, 9.6), (1030, 40.0), (1060, 70.0)):
        rates = await monitor._observe(None, [instance("x@host:1", seen_age=seen_age)])  # type: ignore[arg-type]
        assert rates is not None
        [found] = rates.by_type
        assert (rates.now, found.per_second, found.of_minute) == (20, 20, 1200)
        assert rates.last == now - 3
    rates = await monitor._observe(None, [instance("x@host:1", seen_age=1.0)])  # type: ignore[arg-type]
    assert rates is not None
    assert rates.now == 0
