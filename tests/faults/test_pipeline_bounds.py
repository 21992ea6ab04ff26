"""The queue has limits on events and bytes, and each stall is recorded with the right duration."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.clock import ManualClock
from tests.faults.pipelines import FakeConnection, FakeStore, envelope, tasks, working
from tests.faults.spools import opened
from tests.support import until
from tiger_slack_tui.base.snapshot import Stats
from tiger_slack_tui.ingest.pipeline import Pipeline, PipelineLimits


async def make(
    directory: Path,
    store: FakeStore,
    clock: ManualClock | None = None,
    stats: Stats | None = None,
    **limits: float,
) -> Pipeline:
    spool = await opened(directory, limit_bytes=1)  # takes nothing
    return Pipeline(
        store.as_store(),
        spool,
        stats or Stats(),
        limits=PipelineLimits(**({"commit_seconds": 600} | limits)),  # type: ignore[arg-type]
        clock=clock,
    )


async def test_large_events_fill_the_queue_by_their_bytes(tmp_path: Path) -> None:
    store, connection = FakeStore(), FakeConnection()
    pipeline = await make(tmp_path, store, queue_bytes=1 << 20, batch_bytes=1 << 16)
    store.gate.clear()
    async with working(pipeline):
        async with tasks(
            *(
                pipeline.receive(envelope(n, text="x" * 100_000), connection.as_connection())
                for n in range(50)
            )
        ) as receiving:
            await until(lambda: pipeline.queued >= 10)
            for _ in range(100):
                await asyncio.sleep(0)
            assert pipeline.queued_bytes < (1 << 20) + 110_000
            assert pipeline.queued < 15
            assert sum(task.done() for task in receiving) == pipeline.queued + 1
            store.gate.set()
            await asyncio.gather(*receiving)
            await pipeline.flush()
    assert sorted(connection.acked) == sorted(f"e{n}" for n in range(50))
    assert (pipeline.queued, pipeline.queued_bytes) == (0, 0)


async def test_records_are_freed_before_their_acks(tmp_path: Path) -> None:
    store, connection = FakeStore(), FakeConnection()
    pipeline = await make(tmp_path, store, batch_events=1)
    pipeline.mark_database_ready()
    async with tasks(pipeline.write()):  # and nobody sends acks
        for n in range(20):
            await pipeline.receive(envelope(n, text="x" * 10_000), connection.as_connection())
        await until(lambda: pipeline.queued == 20 - pipeline.limits.ack_batches - 1)
        waiting = list(pipeline.acks._batches._queue)  # type: ignore[attr-defined]
        assert len(waiting) == pipeline.limits.ack_batches
        assert "x" * 100 not in repr(waiting)


@pytest.mark.parametrize("step", [0, -86_400, 86_400])
@pytest.mark.parametrize("is_cut_off", [False, True])
async def test_a_stall_is_recorded_however_it_ends(
    tmp_path: Path, step: float, is_cut_off: bool
) -> None:
    store, connection, clock = FakeStore(), FakeConnection(), ManualClock()
    pipeline = await make(tmp_path, store, clock, queue=1, batch_events=1)
    store.gate.clear()
    async with working(pipeline):
        for n in range(2):
            await pipeline.receive(envelope(n), connection.as_connection())
            await until(lambda n=n: pipeline.queued == n)  # type: ignore[misc]
        began = clock.elapsed()
        async with tasks(pipeline.receive(envelope(2), connection.as_connection())) as receiving:
            for _ in range(10):
                await asyncio.sleep(0)
            clock.advance(10)
            clock.step(step)
            assert pipeline.stalled_since == began
            if is_cut_off:  # the connection breaks; its event is never taken
                receiving[0].cancel()
                await asyncio.wait(receiving)
                assert pipeline.stalled_since == began
            store.gate.set()
            await until(lambda: pipeline.queued == 0)
        await pipeline.flush()
        (stall,) = pipeline.stalled_periods.all()
        assert (stall.began, stall.ended) == (began, began + 10)
        clock.advance(1000)
        assert pipeline.stalled_since is None
        assert len(pipeline.stalled_periods) == 1
        pipeline.stalled_periods.forget([stall])
        assert pipeline.stalled_periods.all() == []


async def test_two_connections_that_wait_make_one_stall(tmp_path: Path) -> None:
    store, connection, clock = FakeStore(), FakeConnection(), ManualClock()
    pipeline = await make(tmp_path, store, clock, queue=1, batch_events=1)
    store.gate.clear()
    async with working(pipeline):
        for n in range(2):
            await pipeline.receive(envelope(n), connection.as_connection())
            await until(lambda n=n: pipeline.queued == n)  # type: ignore[misc]
        async with tasks(
            *(pipeline.receive(envelope(n), connection.as_connection()) for n in (2, 3))
        ) as receiving:
            for _ in range(10):
                await asyncio.sleep(0)
            clock.advance(10)
            store.gate.set()
            await asyncio.gather(*receiving)
            await pipeline.flush()
    assert [stall.ended - stall.began for stall in pipeline.stalled_periods.all()] == [10]
    assert pipeline.stalled_since is None


async def test_only_acks_that_were_sent_count_as_sent(tmp_path: Path) -> None:
    store, lost, sound = FakeStore(), FakeConnection(), FakeConnection()
    lost.takes = 1
    stats = Stats()
    pipeline = await make(tmp_path, store, stats=stats)
    async with working(pipeline):
        for n in range(3):
            await pipeline.receive(envelope(n), lost.as_connection())
        for n in range(3, 5):
            await pipeline.receive(envelope(n), sound.as_connection())
        await pipeline.flush()
    sent = len(lost.acked) + len(sound.acked)
    assert (stats.received, stats.acked, len(stats.newest_acks)) == (5, sent, sent)
    assert sent < 5
