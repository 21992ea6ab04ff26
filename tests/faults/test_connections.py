"""Connections whose server is silent: no statement waits for ever, and none ends while the server works on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.faults.proxy import Proxy, postgres_target, through
from tests.support import encoded
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.connection import BlockingConnection, Connection
from tiger_slack_tui.postgres.locks import try_lock
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect, make_pool
from tiger_slack_tui.postgres.silence import BackendState, SilenceLimits, check_backend
from tiger_slack_tui.store.events import EventStore

EVENT = json.dumps(
    {
        "event_id": "Ev1",
        "event_ts": "1700000000.000100",
        "received_at": "2026-01-01T00:00:00Z",
        "type": "emoji_changed",
        "effects": [],
        "outcome": "unrouted",
        "event": {"type": "emoji_changed"},
    }
).encode()
_BOUND = 30
"""Seconds after which a wait counts as endless."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "silence_limits", SilenceLimits(silence=0.3, unknown=0.5))


@pytest.fixture
async def proxy(conninfo: str) -> AsyncIterator[Proxy]:
    async with Proxy(postgres_target(conninfo)) as proxy:
        yield proxy


async def test_a_statement_on_a_silent_connection_ends(conninfo: str, proxy: Proxy) -> None:
    connection = await connect(through(proxy, conninfo))
    proxy.freeze()
    async with asyncio.timeout(_BOUND):
        with pytest.raises(psycopg.OperationalError, match="nothing came from the server for"):
            await connection.execute("select 1")
    assert connection.closed


async def test_a_statement_that_the_server_never_got_ends(conninfo: str, proxy: Proxy) -> None:
    connection = await connect(through(proxy, conninfo))
    proxy.freeze()
    await proxy.refuse()  # a second connection gets no answer either
    async with asyncio.timeout(_BOUND):
        with pytest.raises(psycopg.OperationalError, match="nothing came from the server for"):
            await connection.execute("select 1")


async def test_an_answer_that_stops_half_way_ends(conninfo: str, proxy: Proxy) -> None:
    connection = await connect(through(proxy, conninfo))
    reading = asyncio.ensure_future(
        connection.execute("select repeat('x', 1000) from generate_series(1, 200000)")
    )
    while connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.ACTIVE:
        await asyncio.sleep(0)
    proxy.freeze()
    async with asyncio.timeout(_BOUND):
        with pytest.raises(psycopg.OperationalError, match="nothing came from the server for"):
            await reading


@pytest.mark.parametrize("way", ["of a pool", "with", "close"])
async def test_a_lost_connection_gives_its_socket_back_at_once(conninfo: str, way: str) -> None:
    """Also while the stack of an error still holds it."""

    async def lose(connection: Connection) -> None:
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select pg_terminate_backend(pg_backend_pid())")

    if way == "of a pool":
        async with make_pool(conninfo, minimum=0, maximum=1) as pool:
            async with pool.connection() as connection:
                await lose(connection)
            async with pool.connection() as other:
                await other.execute("select 1")
    else:
        connection = await connect(conninfo)
        if way == "with":
            async with connection:
                await lose(connection)
        else:
            await lose(connection)
            await connection.close()
    with pytest.raises(psycopg.OperationalError, match="the connection is closed"):
        _ = connection.pgconn.socket


async def test_a_long_statement_is_not_ended(conninfo: str) -> None:
    async with await connect(conninfo) as connection:
        row = await (await connection.execute("select 7 from pg_sleep(1.5)")).fetchone()
    assert row == (7,)


async def test_a_statement_that_waits_for_a_lock_is_not_ended(conninfo: str) -> None:
    async with await connect(conninfo) as holder, await connect(conninfo) as connection:
        assert await try_lock(holder, 5)
        waiting = asyncio.ensure_future(connection.execute("select pg_advisory_lock(5)"))
        await asyncio.wait({waiting}, timeout=1.5)
        assert not waiting.done()
        await holder.execute("select pg_advisory_unlock(5)")
        async with asyncio.timeout(_BOUND):
            await waiting


async def test_a_cancelled_statement_does_not_wait_for_the_server(
    conninfo: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "silence_limits", SilenceLimits(silence=3600))
    connection = await connect(through(proxy, conninfo))
    waiting = asyncio.ensure_future(connection.execute("select pg_sleep(3600)"))
    while connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.ACTIVE:
        await asyncio.sleep(0)
    proxy.freeze(new=True)
    waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=4)
    assert done
    assert waiting.cancelled()
    assert connection.closed


async def test_a_blocking_connection_is_watched_too(conninfo: str, proxy: Proxy) -> None:
    async def work() -> int:
        # It runs in a thread with its own loop, because the proxy needs this one.
        async with await connect(through(proxy, conninfo), BlockingConnection) as connection:
            row = await (await connection.execute("select 7 from pg_sleep(1)")).fetchone()
            assert row == (7,)
            asyncio.run_coroutine_threadsafe(frozen(), loop).result()
            with pytest.raises(psycopg.OperationalError, match="nothing came from the server for"):
                await connection.execute("select 1")
            return 1

    async def frozen() -> None:
        proxy.freeze()

    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_BOUND):
        assert await asyncio.to_thread(asyncio.run, work()) == 1


async def test_a_write_on_a_silent_connection_can_be_retried(conninfo: str, proxy: Proxy) -> None:
    async with make_pool(through(proxy, conninfo), minimum=1, maximum=2) as pool:
        store = EventStore(pool)
        async with asyncio.timeout(_BOUND):
            await store.ingest(encoded([EVENT]))
            proxy.freeze()
            with pytest.raises(DatabaseUnavailable):
                await store.ingest(encoded([EVENT]))
            while True:  # the pool's other connections can be silent as well
                try:
                    await store.ingest(encoded([EVENT]))
                except DatabaseUnavailable:
                    continue
                break


async def test_a_job_ends_when_its_connection_is_silent(conninfo: str, proxy: Proxy) -> None:
    async def work(run: ActiveRun) -> None:
        proxy.freeze()
        await run.connection.execute("select 1")

    runner = Runner(through(proxy, conninfo), instance="test", timeout=3600)
    async with asyncio.timeout(_BOUND):
        with pytest.raises(DatabaseUnavailable):
            await runner.run(Job("users", 7, work), reason="by hand")


async def test_a_migration_ends_when_its_connection_is_silent(conninfo: str, proxy: Proxy) -> None:
    notes: list[str] = []

    def tell(note: Any) -> None:
        notes.append(note.text)
        proxy.freeze()

    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("update slack.migration set body = '' where file_name like 'idem%'")
    async with asyncio.timeout(_BOUND):
        with pytest.raises(DatabaseUnavailable):
            await migrate(through(proxy, conninfo), report=tell)
    assert notes


async def test_the_monitor_says_that_the_server_is_silent_and_goes_on(
    conninfo: str, proxy: Proxy
) -> None:
    monitor = Monitor(through(proxy, conninfo), JobSettings())
    run = asyncio.create_task(monitor.run())
    try:
        async with asyncio.timeout(_BOUND):
            while monitor.state.at is None:
                await asyncio.sleep(0.01)
            proxy.freeze()
            while monitor.state.problem is None:
                monitor.refresh_now()
                await asyncio.sleep(0.01)
            assert "nothing came from the server" in monitor.state.problem
            while monitor.state.problem is not None:
                monitor.refresh_now()
                await asyncio.sleep(0.01)
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def test_a_second_connection_finds_out_what_the_backend_does(conninfo: str) -> None:
    async with await connect(conninfo) as connection:
        backend = connection.info.backend_pid
        assert (
            await asyncio.to_thread(check_backend, conninfo, backend) is BackendState.WORKING
        )  # just ended
        sleeping = asyncio.ensure_future(connection.execute("select pg_sleep(30)"))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(check_backend, conninfo, backend) is BackendState.WORKING
        sleeping.cancel()
        await asyncio.wait({sleeping})
    assert await asyncio.to_thread(check_backend, conninfo, 2**22 + 1) is BackendState.GONE
    assert await asyncio.to_thread(check_backend, conninfo, None) is BackendState.UNKNOWN
    nobody = make_conninfo(conninfo, host="127.0.0.1", port=1)
    assert await asyncio.to_thread(check_backend, nobody, backend) is BackendState.GONE
    refused = make_conninfo(conninfo, dbname="missing")
    assert await asyncio.to_thread(check_backend, refused, backend) is BackendState.BUSY


async def test_of_several_servers_the_connected_one_is_asked(conninfo: str) -> None:
    host = conninfo_to_dict(conninfo)["host"]
    several = make_conninfo(conninfo, host=f"127.0.0.1,{host}", port="1,5432")
    async with await connect(several) as connection:
        assert conninfo_to_dict(connection._conninfo)["host"] == host
        assert await value_of(connection, "select 7 from pg_sleep(1)") == 7


async def value_of(connection: Connection, query: str) -> Any:
    row = await (await connection.execute(query.encode())).fetchone()
    assert row is not None
    return row[0]


async def test_a_statement_whose_backend_is_unknown_ends_in_time(
    conninfo: str, proxy: Proxy
) -> None:
    connection = await connect(through(proxy, conninfo))
    connection._backend = None
    proxy.freeze()
    async with asyncio.timeout(_BOUND):
        with pytest.raises(psycopg.OperationalError, match="nothing came from the server for"):
            await connection.execute("select 1")


@pytest.mark.parametrize("is_direct", [True, False])
async def test_a_working_statement_is_not_ended_while_the_server_is_full(
    conninfo: str, is_direct: bool
) -> None:
    """A full server is no reason to end a long index build. Behind a pooler, the backend is not known."""
    async with await connect(conninfo) as connection:
        if not is_direct:
            connection._backend = None
        allow_new_connections(conninfo, allowed=False)
        try:
            working = asyncio.create_task(value_of(connection, "select 7 from pg_sleep(4)"))
            if is_direct:
                assert await working == 7
            else:
                with pytest.raises(psycopg.OperationalError, match="nothing came from the server"):
                    await working
        finally:
            allow_new_connections(conninfo, allowed=True)


def allow_new_connections(conninfo: str, *, allowed: bool) -> None:
    """Behave as a full server: answer each client, and refuse it."""
    name = str(conninfo_to_dict(conninfo)["dbname"])
    with psycopg.connect(make_conninfo(conninfo, dbname="postgres"), autocommit=True) as admin:
        admin.execute(f"alter database {name} allow_connections {str(allowed).lower()}".encode())
