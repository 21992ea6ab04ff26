"""What several tests need to run the engine against a local Slack."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.base.settings import JobSettings, Settings, SlackSettings
from tiger_slack_tui.demo.check import differences
from tiger_slack_tui.demo.expected import Expected
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.ingest.pipeline import PipelineLimits
from tiger_slack_tui.ingest.spool.segments import peek
from tiger_slack_tui.presence.heartbeat import HeartbeatTiming
from tiger_slack_tui.slack.events import Route
from tiger_slack_tui.slack.paged_history import HistoryPace
from tiger_slack_tui.slack.socket_connection import SocketTiming
from tiger_slack_tui.store.events import EncodedEvent
from tiger_slack_tui.store.search_index import WRONG_DOCUMENTS

SCALE = int(os.environ.get("TIGER_SLACK_TEST_SCALE", "1"))
"""How many times as much random and property tests try: more examples, more seeds, more days."""
QUICK = SocketTiming(
    hello=5, ping=0.2, dead=4, backoff_first=0.05, backoff_most=0.5, blocked_first=60
)
"""The socket's timing, shortened for tests. `dead` is long enough for an event loop on a busy machine."""
PATIENT = PipelineLimits(commit_seconds=60, append_seconds=60)
"""For a test that counts deliveries: no batch goes to the spool, or is refused, because the machine is busy."""
AT_ONCE = HistoryPace(call=0, restricted=0, pause=0.01)
ADVISORY_LOCKS = (
    b"select from pg_locks where locktype = 'advisory'"
    b" and database = (select oid from pg_database where datname = current_database())"
)
"""Selects the advisory locks of this database. Other tests run on the same server."""


def encoded(records: Iterable[bytes]) -> list[EncodedEvent]:
    """The events of these records, as the pipeline hands them to the store."""

    def one(record: bytes) -> EncodedEvent:
        fields = orjson.loads(record)
        routed = Route(None, None, (), fields.get("outcome"), message_ts=fields.get("message_ts"))
        return EncodedEvent(record, fields["event_id"], routed)

    return [one(record) for record in records]


def make_engine(
    slack: LocalSlack,
    conninfo: str,
    home: Path,
    *,
    limits: PipelineLimits | None = None,
    timing: SocketTiming = QUICK,
    spool_limit: int = 1 << 30,
    heartbeat: HeartbeatTiming | None = None,
    jobs: JobSettings | None = None,
    clock: Clock | None = None,
    direct: str | None = None,
) -> Engine:
    settings = Settings(
        home=home,
        conninfo=conninfo,
        direct_conninfo=direct,
        pool_min=2,
        pool_max=4,
        spool_limit=spool_limit,
        jobs=jobs or JobSettings(),
    )
    tokens = SlackSettings(slack.bot_token, slack.app_token, slack.url)
    return Engine(
        settings,
        tokens,
        conninfo,
        limits=limits,
        timing=timing,
        heartbeat=heartbeat,
        pace=AT_ONCE,
        clock=clock,
    )


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[Engine]:
    """The engine, once it is connected. It is stopped at the end. Raises the error that ends it."""
    run = asyncio.create_task(engine.run())
    try:
        await until(lambda: run.done() or engine.snapshot().slack_status == "connected")
        if run.done():
            run.result()
        yield engine
    finally:
        engine.stop()
        await asyncio.wait_for(run, 60)


@contextmanager
def slack_in_a_thread(**options: Any) -> Iterator[LocalSlack]:
    """A local Slack in a thread of its own, for a test whose commands run an event loop in this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(30)

    slack = LocalSlack(**options)
    try:
        run(slack.start())
        yield slack
    finally:
        run(slack.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until the condition holds. Raises TimeoutError after `seconds`.

    A condition that takes long is asked less often: what it waits for needs the processor.
    """
    async with asyncio.timeout(seconds):
        began = time.monotonic()
        while not condition():
            await asyncio.sleep(max(0.01, 4 * (time.monotonic() - began)))
            began = time.monotonic()


async def steady(value: Callable[[], object], seconds: float = 1) -> None:
    """Wait until the value has not changed for `seconds`. Raises TimeoutError after a minute."""
    last, since = value(), time.monotonic()
    async with asyncio.timeout(60):
        while time.monotonic() - since < seconds:
            await asyncio.sleep(0.05)
            if (now := value()) != last:
                last, since = now, time.monotonic()


async def delivered(slack: LocalSlack, engine: Engine, seconds: float = 60) -> None:
    """Wait until everything sent is acknowledged and nothing is left in the spool."""
    async with asyncio.timeout(seconds):
        await slack.flush()
        await slack.wait_acked()
    await until(lambda: engine.snapshot().spool_events == 0)


def spooled_ids(home: Path) -> set[str]:
    """The ids of the events in the spool: of batches that a slow database would have acknowledged too late."""
    return {orjson.loads(record)["event_id"] for record in peek(home / "spool")}


async def check(conninfo: str, payloads: Iterable[dict[str, Any]], **options: Any) -> None:
    """Fail unless the tables are what the events lead to."""
    expected = Expected(**options)
    for payload in payloads:
        expected.apply(payload)
    assert await differences(conninfo, expected) == []


def allow_connections(conninfo: str, *, allowed: bool) -> None:
    """Let the database accept connections again; or refuse new ones, and end the present ones."""
    name = str(conninfo_to_dict(conninfo)["dbname"])
    with psycopg.connect(make_conninfo(conninfo, dbname="postgres"), autocommit=True) as connection:
        connection.execute(
            "update pg_database set datallowconn = %s where datname = %s", (allowed, name)
        )
        if not allowed:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
            )


def count(conninfo: str, query: str) -> int:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def wrong_documents(connection: psycopg.Connection[Any]) -> list[Any]:
    """The messages whose search document is not what their row gives."""
    return connection.execute(WRONG_DOCUMENTS).fetchall()
