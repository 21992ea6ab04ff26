"""DATABASE_DIRECT_URL is checked: jobs and imports never use another database than the events."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from tests.support import count, make_engine, running, until
from tiger_slack_tui.base.errors import DatabaseUnavailable, OtherDatabase
from tiger_slack_tui.base.settings import JobSettings, Settings
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.postgres.database import database
from tiger_slack_tui.postgres.pool import require_same_database


def settings(conninfo: str, direct: str, home: Path) -> Settings:
    return Settings(
        home=home,
        conninfo=conninfo,
        direct_conninfo=direct,
        pool_min=2,
        pool_max=4,
        spool_limit=1 << 30,
        jobs=JobSettings(),
    )


async def test_another_database_is_refused(conninfo: str, empty_conninfo: str) -> None:
    await require_same_database(conninfo, conninfo)
    with pytest.raises(OtherDatabase, match="DATABASE_DIRECT_URL leads to another"):
        await require_same_database(conninfo, empty_conninfo)


async def test_the_engine_ends_with_a_reason(
    conninfo: str, empty_conninfo: str, tmp_path: Path
) -> None:
    async with LocalSlack() as slack:
        engine = make_engine(slack, conninfo, tmp_path, direct=empty_conninfo)
        with pytest.raises(OtherDatabase):
            await asyncio.wait_for(engine.run(), 30)
    assert count(empty_conninfo, "select count(*) from pg_namespace where nspname = 'slack'") == 0


async def test_an_unavailable_direct_address_does_not_stop_the_ingestion(
    conninfo: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = make_conninfo(conninfo, host="127.0.0.1", port=1)
    async with LocalSlack() as slack:
        async with running(make_engine(slack, conninfo, tmp_path, direct=away)) as engine:
            await until(
                lambda: "jobs wait: 127.0.0.1:1 (DATABASE_DIRECT_URL) refused" in caplog.text
            )
            with pytest.raises(DatabaseUnavailable):
                await engine.run_job("retention")
            assert engine.snapshot().restarts == {}


def test_commands_that_need_a_session_are_refused(
    conninfo: str, empty_conninfo: str, tmp_path: Path
) -> None:
    wrong = settings(conninfo, empty_conninfo, tmp_path)
    with pytest.raises(OtherDatabase), database(wrong, session=True):
        pass
    with database(wrong) as found:
        assert found.startswith(conninfo)
    with database(settings(conninfo, conninfo, tmp_path), session=True) as found:
        assert found.startswith(conninfo)
