"""A stop takes a few seconds even if Slack or the database is silent; the drain replaces silent connections."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.proxy import Proxy, postgres_target, through
from tests.support import check, count, make_engine, running, until
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.ingest.pipeline import PipelineLimits

STOP_SECONDS = 10.0
"""A guard against a stop that waits for a server. 4.5 s are promised, on a machine that is not busy."""


def workspace(events: int) -> list[dict[str, Any]]:
    return list(Workspace(1, 1_700_000_000.0, 100, nasty=True).events(events))


async def stopped(engine: Engine, run: asyncio.Task[None]) -> None:
    """Stop the engine. Fails if that takes too long, and prints the stacks."""
    engine.stop()
    done, _ = await asyncio.wait({run}, timeout=STOP_SECONDS)
    if not done:
        stacks = "\n".join(str(task.get_stack()) for task in asyncio.all_tasks())
        run.cancel()
        pytest.fail(f"the stop takes longer than {STOP_SECONDS:g} s: {stacks}")
    run.result()


def _counted(engine: Engine) -> int:
    now = engine.snapshot()
    return sum(now.outcomes.values()) + now.duplicates


@pytest.mark.parametrize("when", ["busy", "idle", "starting", "in a job"])
async def test_a_silent_database_does_not_delay_a_stop(
    conninfo: str, tmp_path: Path, when: str
) -> None:
    async with LocalSlack(in_flight=10_000) as slack, Proxy(postgres_target(conninfo)) as proxy:
        if when == "starting":
            proxy.freeze(new=True)
        engine = make_engine(slack, through(proxy, conninfo), tmp_path)
        run = asyncio.create_task(engine.run())
        if when == "starting":
            await until(lambda: proxy.open > 0)
        else:
            await until(lambda: engine.snapshot().gaps_open is not None)
        tasks: list[asyncio.Task[Any]] = []
        if when == "busy":
            tasks.append(asyncio.create_task(slack.send_all(workspace(500))))
            await until(lambda: engine.snapshot().acked > 50)
        if when == "in a job":
            tasks.append(asyncio.create_task(engine.run_job("users")))
            await until(
                lambda: any(job.running_since for job in engine.snapshot().jobs) or tasks[0].done()
            )
        proxy.freeze(new=True)
        if when == "busy":
            received = engine.snapshot().received
            await until(lambda: engine.snapshot().received > received or tasks[0].done())
        await stopped(engine, run)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_silent_slack_does_not_delay_a_stop(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack:
        engine = make_engine(slack, conninfo, tmp_path)
        run = asyncio.create_task(engine.run())
        await until(lambda: engine.snapshot().slack_status == "connected")
        await slack.send_all(workspace(50))
        slack.freeze()
        await stopped(engine, run)


async def test_the_spool_is_drained_after_connections_fall_silent(
    conninfo: str, tmp_path: Path
) -> None:
    sent = workspace(300)
    limits = PipelineLimits(commit_seconds=0.3, write_seconds=1)
    async with (
        LocalSlack() as slack,
        Proxy(postgres_target(conninfo)) as proxy,
        running(make_engine(slack, through(proxy, conninfo), tmp_path, limits=limits)) as engine,
    ):
        await slack.send_all(sent[:100])
        await until(lambda: engine.snapshot().acked >= 100)
        proxy.freeze()  # as after a failover behind a proxy: no end, no answer; new ones work
        await slack.send_all(sent[100:])
        await asyncio.wait_for(slack.wait_acked(), 30)
        await until(lambda: engine.snapshot().spool_events == 0)
        await until(lambda: engine.snapshot().database_problem is None)
        now = engine.snapshot()
        assert (sum(now.outcomes.values()), now.duplicates) == (300, 0)
    await check(conninfo, sent)


async def test_an_answer_that_is_lost_counts_its_events_once(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """The commit succeeds, but its answer never comes; the events go through the spool, too."""
    rule = "insert into slack.message_discard (match) values ('$.channel == \"C0000000001\"')"
    database.execute(rule.encode())
    sent = workspace(100)
    limits = PipelineLimits(commit_seconds=0.3, write_seconds=1)
    async with (
        LocalSlack() as slack,
        Proxy(postgres_target(conninfo)) as proxy,
        running(make_engine(slack, through(proxy, conninfo), tmp_path, limits=limits)) as engine,
    ):
        with database.transaction():  # so that the statement is there, and waits
            database.execute("lock table slack.delivery in exclusive mode")
            await slack.send_all(sent)
            await until(lambda: engine.snapshot().database_problem is not None)
            proxy.freeze()
        await until(lambda: engine.snapshot().spool_events == 0)
        await until(lambda: engine.snapshot().database_problem is None)
        await asyncio.wait_for(slack.wait_acked(), 30)
        await until(lambda: _counted(engine) >= 100)
        now = engine.snapshot()
        assert (sum(now.outcomes.values()), now.duplicates) == (100, 0)
        found = dict(
            database.execute("select outcome, count(*) from slack.event group by 1").fetchall()
        )
        assert now.by_outcome() == found
    assert count(conninfo, "select count(*) from slack.event") == 100
