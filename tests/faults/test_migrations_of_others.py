"""While another instance migrates, an engine spools events and waits, without a limit of time."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support import check, delivered, make_engine, until
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.postgres.lock_keys import MIGRATION_LOCK_KEY


async def test_an_engine_waits_for_a_migration_of_another(
    conninfo: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    holder = make_conninfo(conninfo, application_name="the-other@host")
    payloads = list(Workspace(3, 1_700_000_000.0, 10).events(50))
    async with LocalSlack() as slack:
        engine = make_engine(slack, conninfo, tmp_path)
        run = asyncio.create_task(engine.run())
        try:
            with psycopg.connect(holder) as connection:
                connection.execute("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK_KEY,))
                # Longer than several attempts to take the lock.
                await until(lambda: "the-other@host" in (engine.snapshot().database_problem or ""))
                await slack.send_all(payloads)
                await asyncio.wait_for(slack.wait_acked(), 30)
                assert engine.snapshot().spool_events == len(payloads)
                assert not run.done()
            await delivered(slack, engine)
        finally:
            engine.stop()
            await asyncio.wait_for(run, 10)
    await check(conninfo, payloads)
    said = [r.message for r in caplog.records if "waiting for another migration" in r.message]
    assert len(said) == 1
