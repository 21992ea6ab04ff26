"""Runs of jobs that are cancelled or cut off, or during which the clock is set."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import psycopg
import pytest

from tests.faults.clock import ManualClock
from tests.faults.proxy import Proxy, postgres_target, through
from tests.support import until
from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.pool import connect, end_within


async def _waits(run: ActiveRun) -> None:
    await asyncio.Event().wait()


async def test_a_cancelled_run_whose_connection_is_cut_leaves_no_error_behind(
    conninfo: str, caplog: pytest.LogCaptureFixture
) -> None:
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    async with Proxy(postgres_target(conninfo)) as proxy:
        runner = Runner(through(proxy, conninfo), instance="test", timeout=60)
        task = asyncio.create_task(runner.run(Job("users", 7, _waits), reason="by hand"))
        await until(lambda: runner.running("users") is not None)
        proxy.cut()
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()
    del task
    gc.collect()
    await asyncio.sleep(0)
    assert unseen == []
    assert "the end of run 1 of job users was not recorded" in caplog.messages
    assert runner.running("users") is None


async def test_the_error_of_abandoned_work_is_retrieved(conninfo: str) -> None:
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    async with await connect(conninfo) as connection:
        work = asyncio.ensure_future(connection.execute("select 1/0"))
        await end_within(5, work, connection)
    assert work.done()
    del work
    gc.collect()
    await asyncio.sleep(0)
    assert unseen == []


async def test_the_start_of_a_run_follows_the_clock_when_it_is_set(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    clock = ManualClock()
    runner = Runner(conninfo, instance="test", timeout=60, clock=clock)
    task = asyncio.create_task(runner.run(Job("users", 7, _waits), reason="by hand"))
    await until(lambda: runner.running("users") is not None)
    clock.advance(5)
    clock.step(3600)
    assert runner.running("users") == (clock.wall() - 5, 0)
    task.cancel()
    await asyncio.wait({task})
