"""An event that the database always refuses waits in the spool and delays no other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.clock import ManualClock
from tests.faults.pipelines import FakeConnection, FakeStore, envelope, working
from tests.faults.spools import opened
from tests.support import encoded, until
from tiger_slack_tui.base.errors import DatabaseUnavailable, EventsRefused
from tiger_slack_tui.base.snapshot import Stats
from tiger_slack_tui.ingest.database_writer import DatabaseWriter
from tiger_slack_tui.ingest.pipeline import Pipeline, PipelineLimits
from tiger_slack_tui.ingest.record import encode_record
from tiger_slack_tui.postgres.pool import make_pool
from tiger_slack_tui.slack.events import route
from tiger_slack_tui.store.events import BatchResult, EventStore


def record(number: int) -> bytes:
    one = envelope(number)
    return encode_record(one, route(one))


async def test_a_refused_event_gets_its_own_frame_and_is_retried(tmp_path: Path) -> None:
    store, stats, clock = FakeStore(), Stats(), ManualClock()
    spool = await opened(tmp_path, clock=clock)
    await spool.append([record(n) for n in range(20)], oldest=1)
    await spool.append([record(99)], oldest=2)
    store.poison = lambda data: EventsRefused("58030") if b'"Ev7"' in data else None
    pipeline = Pipeline(store.as_store(), spool, stats)
    async with working(pipeline):
        await until(lambda: spool.depth == 1 and spool.problems != (), 60)
        assert sorted(store.stored) == sorted(f"Ev{n}" for n in (*range(20), 99) if n != 7)
        assert "1 event in it cannot be written: 58030" in spool.problems[0]
        assert pipeline.database_problem is None
        calls = store.calls
        clock.advance(3)  # it is refused again
        await until(lambda: store.calls > calls)
        await until(lambda: spool.oldest is None)
        store.poison = lambda _: None
        clock.advance(300)
        await until(lambda: spool.depth == 0)
    assert len(store.stored) == 21
    assert (spool.problems, stats.duplicates) == ((), 0)


async def test_a_database_that_refuses_all_events_gets_them_later(tmp_path: Path) -> None:
    store, stats, clock = FakeStore(), Stats(), ManualClock()
    spool = await opened(tmp_path, clock=clock)
    await spool.append([record(1), record(2)], oldest=1)
    store.poison = lambda _: EventsRefused("53100")
    async with working(Pipeline(store.as_store(), spool, stats)):
        await until(lambda: spool.problems != (), 60)
        assert spool.depth == 2
        store.poison = lambda _: None
        clock.advance(10)
        await until(lambda: spool.depth == 0)
    assert sorted(store.stored) == ["Ev1", "Ev2"]
    assert stats.duplicates == 0


async def test_a_batch_that_always_takes_too_long_is_split(tmp_path: Path) -> None:
    class Slow(FakeStore):
        async def ingest(self, events: Any, *, seconds: float = 60, unconfirmed: Any = ()) -> Any:
            if len(events) > 1:
                clock.advance(seconds)
                raise DatabaseUnavailable("the database did not answer in time")
            return await super().ingest(events, seconds=seconds, unconfirmed=unconfirmed)

    store, clock = Slow(), ManualClock()
    spool = await opened(tmp_path)
    await spool.append([record(n) for n in range(4)], oldest=1)
    async with working(Pipeline(store.as_store(), spool, Stats(), clock=clock)) as pipeline:
        await until(lambda: spool.depth == 0, 60)
        assert pipeline.database_problem is None
    assert len(store.stored) == 4


async def test_a_real_error_that_looks_passing(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    database.execute(
        "create function public.bad_block() returns trigger language plpgsql as $$ begin"
        " if new.text = 'bad' then raise exception using errcode = '58030'; end if;"
        " return new; end $$"
    )
    database.execute(
        "create trigger bad_block before insert on slack.message"
        " for each row execute function public.bad_block()"
    )
    connection, spool = FakeConnection(), await opened(tmp_path)
    async with make_pool(conninfo, minimum=1, maximum=2) as pool:
        store = EventStore(pool)
        one = envelope(1, text="bad")
        with pytest.raises(EventsRefused, match="58030"):
            await store.ingest(encoded([encode_record(one, route(one))]))
        pipeline = Pipeline(store, spool, Stats(), limits=PipelineLimits())
        async with working(pipeline):
            for n in range(20):
                text = "bad" if n == 5 else "good"
                await pipeline.receive(envelope(n, text=text), connection.as_connection())
            await pipeline.flush()
            await until(lambda: spool.problems != () and pipeline.database_problem is None, 60)
            await pipeline.receive(envelope(99), connection.as_connection())
            await pipeline.flush()
            assert pipeline.database_problem is None
    assert spool.depth == 1
    (stored,) = database.execute("select count(*) from slack.event").fetchone() or (0,)
    assert stored == 20


async def test_slow_commits_of_an_outage_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def write() -> BatchResult:
        raise DatabaseUnavailable("The database is frozen.")

    writer = DatabaseWriter(FakeStore().as_store(), ManualClock())
    for _ in range(5):
        task = asyncio.create_task(write())
        await asyncio.wait({task})
        writer.log_slow_failure(task)
    (line,) = caplog.records
    assert line.getMessage() == "the slow commit failed: The database is frozen."
    assert "exception.stacktrace" not in line.__dict__
