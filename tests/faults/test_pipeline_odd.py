"""An unexpected error loses no event, and an event whose write has no answer counts once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.faults.pipelines import FakeConnection, FakeStore, envelope, working
from tests.faults.spools import drain, opened, segments
from tests.support import until
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.base.snapshot import RecentEvent, Stats
from tiger_slack_tui.ingest.pipeline import Pipeline, PipelineLimits
from tiger_slack_tui.ingest.record import decode_record, encode_record
from tiger_slack_tui.ingest.spool.spool import Spool
from tiger_slack_tui.slack.events import route


def record(number: int, **fields: Any) -> bytes:
    one = envelope(number)
    return orjson.dumps(orjson.loads(encode_record(one, route(one))) | fields)


def make(store: FakeStore, spool: Spool, stats: Stats | None = None, **limits: float) -> Pipeline:
    given = PipelineLimits(**limits)  # type: ignore[arg-type]
    return Pipeline(store.as_store(), spool, stats or Stats(), limits=given)


def drained(store: FakeStore, spool: Spool) -> Callable[[], bool]:
    return lambda: spool.depth == 0 and not store.busy


@pytest.mark.parametrize("error", [KeyError("first"), RecursionError(), DatabaseUnavailable("x")])
async def test_after_an_unexpected_error_the_batch_goes_to_the_spool(
    tmp_path: Path, error: Exception
) -> None:
    store, connection, stats = FakeStore(), FakeConnection(), Stats()
    spool = await opened(tmp_path)
    store.errors = [error]
    async with working(make(store, spool, stats)) as pipeline:
        for n in range(20):
            await pipeline.receive(envelope(n), connection.as_connection())
        await pipeline.flush()
        await until(drained(store, spool))
        await until(lambda: sum(stats.outcomes.values()) == 20)
    assert len(connection.acked) == len(store.stored) == 20
    assert (pipeline.database_problem, stats.duplicates) == (None, 0)


async def test_a_record_that_cannot_be_written_stays_and_delays_no_other(tmp_path: Path) -> None:
    store, spool, stats = FakeStore(), await opened(tmp_path), Stats()
    await spool.append([record(n) for n in range(5)], oldest=1)
    await spool.append([record(9)], oldest=2)
    store.poison = lambda data: KeyError() if b'"Ev3"' in data else None
    async with working(make(store, spool, stats)):
        await until(lambda: "Ev9" in store.stored, 60)
        await until(lambda: spool.problems != ())
    assert sorted(store.stored) == ["Ev0", "Ev1", "Ev2", "Ev4", "Ev9"]
    assert "cannot be written: KeyError" in spool.problems[0]
    await spool.close()
    again = await opened(tmp_path)
    assert record(3) in await drain(again)  # for the next start


STRANGE = {
    "a newer version": record(3, version=2),
    "an unknown effect": record(3, effects=["message", "huddle"]),
    "an unknown outcome": record(3, outcome="postponed"),
    "no event_id": record(3, event_id=None),
    "a time of another form": record(3, received_at=1.5),
    "no time": record(3, event_ts={}),
    "no event": record(3, event=None),
    "a list": b"[]",
    "no JSON": b"\xff\x00",
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE.keys())
async def test_records_of_another_version_wait_for_that_version(
    tmp_path: Path, strange: bytes
) -> None:
    assert decode_record(record(3)) is not None
    assert decode_record(strange) is None
    store, spool = FakeStore(), await opened(tmp_path)
    await spool.append([record(1), strange, record(2)], oldest=1)
    async with working(make(store, spool)):
        await until(lambda: spool.problems != ())
    assert sorted(store.stored) == ["Ev1", "Ev2"]
    assert "another version" in spool.problems[0]
    await spool.close()
    after = await opened(tmp_path)  # the other version's start
    assert strange in await drain(after)


async def test_a_segment_in_another_format_waits_for_that_version(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.append([record(1)], oldest=1)
    await spool.close()
    (path,) = segments(tmp_path)
    other = path.read_bytes().replace(b"TSS1", b"TSS2")
    path.write_bytes(other)
    spool = await opened(tmp_path)
    assert await drain(spool) == []
    assert "another version" in spool.problems[0]
    await spool.close()
    assert path.read_bytes() == other


async def test_a_slow_commit_counts_its_events_once_and_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, connection, stats = FakeStore(), FakeConnection(), Stats()
    spool = await opened(tmp_path)
    store.gate.clear()
    caplog.set_level(logging.WARNING)
    async with working(make(store, spool, stats, commit_seconds=0.01)) as pipeline:
        sent = [envelope(1), envelope(2, type_="app_rate_limited")]
        for one in sent:
            await pipeline.receive(one, connection.as_connection())
        await until(lambda: len(connection.acked) == 2)
        assert spool.depth == 2
        store.gate.set()
        await until(lambda: sum(stats.outcomes.values()) + stats.duplicates == 2)
        # A second delivery is one all the same.
        await pipeline.receive(envelope(2, type_="app_rate_limited"), connection.as_connection())
        await pipeline.flush()
        await until(lambda: stats.duplicates == 1)
    assert stats.outcomes == {("message", "stored"): 1, ("app_rate_limited", "audit"): 1}
    assert caplog.text.count("more than 30,000 events") == 1


async def test_an_unexpected_error_of_an_ack_delays_neither_a_flush_nor_other_acks(
    tmp_path: Path,
) -> None:
    store, connection = FakeStore(), FakeConnection()
    connection.errors = [KeyError()]
    async with working(make(store, await opened(tmp_path))) as pipeline:
        for n in range(2):
            await pipeline.receive(envelope(n), connection.as_connection())
            await asyncio.wait_for(pipeline.flush(), 10)
    assert connection.acked == ["e1"]


async def test_a_lost_connection_delays_no_acks_of_another(tmp_path: Path) -> None:
    class Dead(FakeConnection):
        async def ack(self, envelope_ids: Sequence[str]) -> int:
            await lost.wait()
            return 0

    store, dead, live, lost = FakeStore(), Dead(), FakeConnection(), asyncio.Event()
    async with working(make(store, await opened(tmp_path), batch_events=1)) as pipeline:
        for n in range(8):
            for number, connection in ((n, dead), (100 + n, live)):
                await pipeline.receive(envelope(number), connection.as_connection())
            await until(lambda n=n: f"e{100 + n}" in live.acked, 10)  # type: ignore[misc]
        flush = asyncio.create_task(pipeline.flush())
        await asyncio.sleep(0)
        assert not flush.done()
        lost.set()
        await asyncio.wait_for(flush, 10)


async def test_after_a_restart_the_same_batch_is_written(tmp_path: Path) -> None:
    class FailsOnce(Stats):
        fails = True

        def count(self, event: RecentEvent) -> None:
            if self.fails:
                self.fails = False
                raise ZeroDivisionError
            super().count(event)

    store, connection = FakeStore(), FakeConnection()
    pipeline = make(store, await opened(tmp_path), FailsOnce())
    pipeline.mark_database_ready()
    await pipeline.receive(envelope(1), connection.as_connection())
    with pytest.raises(ZeroDivisionError):
        await pipeline.write()
    async with working(pipeline):
        await pipeline.flush()
    assert connection.acked == ["e1"]
