"""Behind a pooler in transaction mode, ingestion, reading and migrations work; what needs a session says so.

The tests use pgbouncer if it is installed (apt-get install pgbouncer), and a small pooler in every case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.acceptance.test_cli import tiger_slack
from tests.archives import export, run_import, write_folder
from tests.archives import message as exported
from tests.auditing import message, record
from tests.faults.pooler import PGBOUNCER, pgbouncer, transaction_pooler
from tests.support import check, count, delivered, encoded, make_engine, running, until
from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.postgres import session_settings
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.locks import try_lock
from tiger_slack_tui.postgres.migrate.files import shipped_migrations
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect, connect_session, make_pool
from tiger_slack_tui.postgres.session_settings import SessionState
from tiger_slack_tui.postgres.silence import SilenceLimits
from tiger_slack_tui.store.events import EventStore

needs_pgbouncer = pytest.mark.skipif(
    PGBOUNCER is None, reason="no pgbouncer: apt-get install pgbouncer"
)
POOLERS = [
    "ours",
    pytest.param("transaction", marks=needs_pgbouncer),
    pytest.param("round robin", marks=needs_pgbouncer),
]


@asynccontextmanager
async def behind(kind: str, conninfo: str) -> AsyncIterator[str]:
    """The conninfo through a pooler of this kind."""
    if kind == "ours":
        async with transaction_pooler(conninfo, size=4) as pooled:
            yield pooled
    elif kind == "round robin":
        with pgbouncer(conninfo, "transaction", server_round_robin=1, min_pool_size=3) as pooled:
            yield pooled
    else:
        with pgbouncer(conninfo, kind) as pooled:
            yield pooled


@pytest.fixture(params=POOLERS)
async def pooled(conninfo: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    async with behind(request.param, conninfo) as pooled:
        yield pooled


async def value(connection: Connection, query: str) -> Any:
    row = await (await connection.execute(query.encode())).fetchone()
    assert row is not None
    return row[0]


async def test_events_are_stored(conninfo: str, pooled: str, tmp_path: Path) -> None:
    sent = list(Workspace(1, 1_700_000_000.0, 100, nasty=True).events(600))
    async with LocalSlack() as slack, running(make_engine(slack, pooled, tmp_path)) as engine:
        await slack.send_all(sent)
        await delivered(slack, engine)
        assert engine.snapshot().database_problem is None
    await check(conninfo, sent)


async def test_a_commit_is_durable_whatever_others_leave_in_the_session(
    conninfo: str, pooled: str, database: psycopg.Connection[Any]
) -> None:
    database.execute("create table public.seen (name text)")
    database.execute(
        "create function public.see() returns trigger language plpgsql as"
        " $$begin insert into public.seen select current_setting('synchronous_commit'); return new; end$$"
    )
    database.execute(
        "create trigger see before insert on slack.delivery for each row execute function public.see()"
    )
    spoiling = [await psycopg.AsyncConnection.connect(pooled) for _ in range(3)]
    for other in spoiling:  # all are open at the same time, so each has another session
        await other.execute("set synchronous_commit = off")
        await other.execute("set default_transaction_isolation = serializable")
        await other.execute("set default_transaction_read_only = on")
    for other in spoiling:
        await other.commit()
    async with make_pool(pooled, minimum=1, maximum=2) as pool:
        for number in range(6):
            await EventStore(pool).ingest(encoded([record(f"Ev{number}", message(number))]))
        async with pool.connection() as connection:
            assert await value(connection, "select current_setting('transaction_isolation')") == (
                "read committed"
            )
    for other in spoiling:
        await other.close()
    assert count(conninfo, "select count(*) from public.seen where name = 'on'") == 6
    assert count(conninfo, "select count(*) from public.seen") == 6


async def test_nothing_is_left_in_the_session_for_others(conninfo: str, pooled: str) -> None:
    async with await connect(pooled) as connection:
        assert connection.is_pooled
        assert connection.prepare_threshold is None
        assert await value(connection, "select current_setting('search_path')") == "pg_catalog"
        for _ in range(10):
            await connection.execute("select 1", prepare=True)
        await connection.execute("select %s::text", ("x",), prepare=True)
    async with await psycopg.AsyncConnection.connect(
        pooled, autocommit=True, prepare_threshold=None
    ) as other:
        for _ in range(6):
            row = await (await other.execute("select current_setting('search_path')")).fetchone()
            assert row == ('"$user", public',)
            row = await (
                await other.execute("select count(*) from pg_prepared_statements")
            ).fetchone()
            assert row == (0,)


async def test_a_limit_on_statements_applies(pooled: str) -> None:
    async with await connect(pooled, statement_seconds=0.1) as connection:
        with pytest.raises(psycopg.errors.QueryCanceled):
            await connection.execute("select pg_sleep(30)")
        assert await value(connection, "select 7") == 7


async def test_a_limit_of_the_database_ends_nothing(
    conninfo: str, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute(
        SQL("alter database {} set statement_timeout = 5").format(Identifier(database.info.dbname))
    )
    cancelled = 0

    async def cancelled_at_first(one: Connection, found: SessionState, *, is_local: bool) -> int:
        nonlocal cancelled
        if cancelled < 3:
            cancelled += 1
            await one.execute("set local statement_timeout = 5")
            await one.execute("select pg_sleep(60)")
        return await session_settings.apply(one, found, is_local=is_local)

    monkeypatch.setattr("tiger_slack_tui.postgres.connection.apply", cancelled_at_first)
    async with behind("ours", conninfo) as fresh, await connect(fresh) as connection:
        assert cancelled == 3
        for _ in range(20):
            assert await value(connection, "select 7 from pg_sleep(0.02)") == 7


async def test_a_limit_of_the_session_does_not_end_the_statement_that_sets_the_settings(
    conninfo: str, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That statement has no limit."""
    database.execute(
        "create function public.slow() returns text language sql as $$select '0' from pg_sleep(0.1)$$"
    )
    async with await connect(conninfo) as connection:
        slow = replace(connection.session, wanted={"statement_timeout": "0"})
        await connection.execute("set statement_timeout = 20")
        query = session_settings._SET.replace("s.value,", "public.slow(),")
        assert "public.slow()" in query
        monkeypatch.setattr(session_settings, "_SET", query)
        async with connection.transaction():
            await session_settings.apply(connection, slow, is_local=True)


async def test_the_schema_is_migrated(empty_conninfo: str) -> None:
    async with transaction_pooler(empty_conninfo, size=4) as pooled:
        ran = await asyncio.gather(*(migrate(pooled) for _ in range(2)))
    assert sorted(map(len, ran)) == [0, len(shipped_migrations())]


async def test_a_long_statement_is_watched(pooled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "silence_limits", SilenceLimits(silence=0.3, unknown=0.5))
    async with await connect(pooled) as connection:
        assert await value(connection, "select 7 from pg_sleep(2)") == 7


async def test_the_console_reads(pooled: str) -> None:
    monitor = Monitor(pooled, JobSettings(), is_observing=True)
    run = asyncio.create_task(monitor.run())
    try:
        async with asyncio.timeout(30):
            while monitor.state.observed is None and monitor.state.problem is None:
                await asyncio.sleep(0.01)
        assert monitor.state.problem is None
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def test_what_needs_a_session_is_refused(pooled: str) -> None:
    for _ in range(5):
        with pytest.raises(DatabaseRefused, match="DATABASE_DIRECT_URL"):
            await connect_session(pooled)


async def test_jobs_run_over_the_direct_address(conninfo: str, pooled: str, tmp_path: Path) -> None:
    async with (
        LocalSlack() as slack,
        running(make_engine(slack, pooled, tmp_path, direct=conninfo)) as engine,
    ):
        await until(lambda: all(job.last_outcome == "done" for job in engine.snapshot().jobs))
        assert (await engine.run_job("retention")).outcome == "done"


async def test_jobs_without_a_direct_address_say_what_is_missing(
    pooled: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with LocalSlack() as slack, running(make_engine(slack, pooled, tmp_path)) as engine:
        await until(lambda: "DATABASE_DIRECT_URL" in caplog.text)
        with pytest.raises(DatabaseRefused, match="DATABASE_DIRECT_URL"):
            await engine.run_job("retention")


async def test_the_status_of_jobs_says_that_they_cannot_run(
    conninfo: str, pooled: str, tmp_path: Path
) -> None:
    async def said(**environ: str) -> str:
        shown = await asyncio.to_thread(
            tiger_slack, "jobs", "--status", cwd=tmp_path, DATABASE_URL=pooled, **environ
        )
        assert shown.returncode == 0
        assert "next run" in shown.stdout
        return shown.stderr

    shown = await said()
    assert "The jobs cannot run." in shown
    assert "Set DATABASE_DIRECT_URL" in shown
    assert "cannot run" not in await said(DATABASE_DIRECT_URL=conninfo)


async def test_an_import_says_what_is_missing(conninfo: str, pooled: str, tmp_path: Path) -> None:
    path = write_folder(
        tmp_path / "one", export({"general": {"2023-11-14": [exported(1, "hello")]}})
    )
    with pytest.raises(DatabaseRefused, match="DATABASE_DIRECT_URL"):
        await run_import(pooled, path)
    assert (await run_import(conninfo, path)).result.total.inserted == 1


@needs_pgbouncer
async def test_a_pooler_in_session_mode_keeps_sessions(conninfo: str) -> None:
    async with behind("session", conninfo) as pooled:
        async with await connect_session(pooled) as connection:
            assert not connection.is_pooled  # it is used as a direct connection from now on
            assert await try_lock(connection, 77)
            assert await value(connection, "select current_setting('search_path')") == "pg_catalog"
            async with await connect(conninfo) as other:
                assert not await try_lock(other, 77)


@needs_pgbouncer
@pytest.mark.parametrize(("size", "clients"), [(2, 1), (3, 1), (4, 4), (8, 4)])
async def test_a_small_pooler_in_session_mode_keeps_sessions(
    conninfo: str, size: int, clients: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe must not need more sessions than the pooler has."""
    monkeypatch.setattr("tiger_slack_tui.postgres.pooler.PROBE_SECONDS", 0.5)
    with pgbouncer(conninfo, "session", default_pool_size=size) as pooled:
        async with asyncio.timeout(60):
            found = await asyncio.gather(*(connect_session(pooled) for _ in range(clients)))
        for number, connection in enumerate(found):
            assert await try_lock(connection, number)
            await connection.close()


@needs_pgbouncer
async def test_a_small_pooler_in_transaction_mode_is_refused_to_several_clients(
    conninfo: str,
) -> None:
    with pgbouncer(conninfo, "transaction", default_pool_size=2) as pooled:
        async with asyncio.timeout(60):
            found = await asyncio.gather(
                *(connect_session(pooled) for _ in range(4)), return_exceptions=True
            )
    assert [type(each) for each in found] == [DatabaseRefused] * 4


@needs_pgbouncer
async def test_a_full_pooler_is_named(conninfo: str) -> None:
    options = {"default_pool_size": 1, "query_wait_timeout": 1}
    with pgbouncer(conninfo, "session", **options) as pooled:
        async with await connect(pooled):
            with pytest.raises(DatabaseUnavailable, match="default_pool_size"):
                await connect(pooled)


@needs_pgbouncer
async def test_a_pooler_in_statement_mode_is_refused_with_a_reason(conninfo: str) -> None:
    async with behind("statement", conninfo) as pooled:
        with pytest.raises(DatabaseRefused, match="statement mode"):
            await connect(pooled)
        async with make_pool(pooled, minimum=1, maximum=1) as pool:
            with pytest.raises(DatabaseUnavailable):
                await EventStore(pool).ingest(encoded([record("Ev1", message(1))]))


async def test_a_direct_connection_is_not_pooled(conninfo: str) -> None:
    async with await connect_session(conninfo) as connection:
        assert not connection.is_pooled
