"""The engine's jobs use the engine's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.faults.clock import ManualClock
from tests.support import make_engine, running
from tiger_slack_tui.demo.slack import LocalSlack


async def test_the_next_run_is_after_the_engines_time(conninfo: str, tmp_path: Path) -> None:
    clock = ManualClock(wall=datetime(2100, 1, 1, tzinfo=UTC).timestamp())
    async with (
        LocalSlack() as slack,
        running(make_engine(slack, conninfo, tmp_path, clock=clock)) as engine,
    ):
        jobs = engine.snapshot().jobs
        assert jobs
        assert all(job.next_run > clock.wall() for job in jobs)
