"""A disk that hangs does not stop events to the database, and events that are not durable show as a stall."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from tests.console.canned import snapshot
from tests.faults.clock import ManualClock
from tests.faults.pipelines import FakeConnection, FakeStore, envelope, tasks, working
from tests.faults.spools import opened
from tests.support import until
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.base.snapshot import Stats
from tiger_slack_tui.headless.health import readiness
from tiger_slack_tui.ingest.pipeline import Pipeline, PipelineLimits
from tiger_slack_tui.ingest.spool.file_system import FileSystem


class HangingFiles(FileSystem):
    """Once `hangs`, a sync waits until the test ends, or `answers`."""

    def __init__(self) -> None:
        self.hangs = False
        self.waits = threading.Event()
        self.answers = threading.Event()

    def sync(self, file: int) -> None:
        if self.hangs:
            self.waits.set()
            self.answers.wait(60)
        super().sync(file)


async def test_events_go_to_the_database_while_the_disk_hangs(tmp_path: Path) -> None:
    files, store, stats = HangingFiles(), FakeStore(), Stats()
    spool, connection = await opened(tmp_path, files=files), FakeConnection()
    pipeline = Pipeline(store.as_store(), spool, stats, limits=PipelineLimits(append_seconds=0.02))
    files.hangs = True
    store.errors = [DatabaseUnavailable("away once")]
    try:
        async with working(pipeline):
            await pipeline.receive(envelope(1), connection.as_connection())
            await until(lambda: connection.acked == ["e1"])
            assert pipeline.spool_problem is not None
            assert "has not answered" in pipeline.spool_problem
            store.errors = [DatabaseUnavailable("away again")]
            await pipeline.receive(envelope(2), connection.as_connection())
            await until(lambda: connection.acked == ["e1", "e2"])
            files.answers.set()
            await until(lambda: pipeline.spool_problem is None and stats.duplicates == 1)
            assert sum(stats.outcomes.values()) == 2
    finally:
        files.answers.set()


async def test_a_slow_commit_is_waited_for_while_the_disk_hangs(tmp_path: Path) -> None:
    files, store, stats = HangingFiles(), FakeStore(), Stats()
    spool, connection = await opened(tmp_path, files=files), FakeConnection()
    limits = PipelineLimits(append_seconds=0.02, commit_seconds=0.01)
    pipeline = Pipeline(store.as_store(), spool, stats, limits=limits)
    files.hangs = True
    store.gate.clear()
    try:
        async with working(pipeline):
            await pipeline.receive(envelope(1), connection.as_connection())
            await until(lambda: pipeline.spool_problem is not None)
            store.gate.set()
            await until(lambda: connection.acked == ["e1"])
            assert store.calls == 1  # its own commit was enough
            files.answers.set()
            await until(lambda: stats.duplicates == 1)
            assert sum(stats.outcomes.values()) == 1
    finally:
        files.answers.set()


async def test_an_event_that_is_not_durable_shows_as_a_stall(tmp_path: Path) -> None:
    store, connection, clock = FakeStore(), FakeConnection(), ManualClock()
    pipeline = Pipeline(
        store.as_store(), await opened(tmp_path), Stats(), limits=PipelineLimits(), clock=clock
    )
    began = clock.elapsed()
    await pipeline.receive(envelope(1), connection.as_connection())  # and nobody writes
    assert pipeline.stalled_since is None
    clock.advance(10)
    assert pipeline.stalled_since == began
    pipeline.mark_database_ready()
    store.gate.clear()
    async with tasks(pipeline.write()):
        await until(lambda: pipeline.queued == 0)
        assert pipeline.stalled_since == began
        store.gate.set()
        await until(lambda: pipeline.stalled_since is None)


def test_a_stall_is_not_ready() -> None:
    now = snapshot()
    assert readiness(now)["ready"]
    found = readiness(replace(now, stalled_since=now.at - 12))
    assert (found["ready"], found["problems"]) == (False, ["events: not stored for 12 s"])
    found = readiness(replace(now, database_problem="it is frozen", spool_problem=None))
    assert found["ready"]
    assert found["problems"] == ["database: it is frozen; events go to the spool"]
