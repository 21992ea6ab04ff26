"""An unexpected error in a task of the engine restarts that task and affects nothing else."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support import delivered, make_engine, running, until
from tiger_slack_tui.base.errors import MigrationError
from tiger_slack_tui.base.metrics import METRICS, prometheus_text
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.headless.health import readiness
from tiger_slack_tui.ingest.ack_sender import AckSender
from tiger_slack_tui.ingest.pipeline import Pipeline
from tiger_slack_tui.ingest.spool.spool import Spool
from tiger_slack_tui.ingest.spool_drain import SpoolDrain
from tiger_slack_tui.jobs.schedule import Scheduler
from tiger_slack_tui.presence.heartbeat import HeartbeatWriter
from tiger_slack_tui.slack.socket import SocketMode
from tiger_slack_tui.store import instances

PARTS = {
    "the heartbeat": (HeartbeatWriter, "run"),
    "the schedule of the jobs": (Scheduler, "run"),
    "the connection to Slack": (SocketMode, "run"),
    "the writing of events": (Pipeline, "write"),
    "the sending of acks": (AckSender, "run"),
    "the drain of the spool": (SpoolDrain, "run"),
    "the preparation of the database": (Engine, "_prepare_database"),
    "the snapshot": (Engine, "_publish"),
    "the look for new scopes": (Engine, "_look_for_scopes"),
}


@pytest.mark.parametrize("name", PARTS)
async def test_an_unexpected_error_restarts_only_its_task(
    conninfo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind, method = PARTS[name]
    real, failures = getattr(kind, method), [KeyError("x"), ValueError("y")]

    async def fails(self: Any, *arguments: Any) -> None:
        if failures:
            raise failures.pop()
        await real(self, *arguments)

    monkeypatch.setattr(kind, method, fails)
    sent = list(Workspace(1, 1_700_000_000.0, 100).events(100))
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        await slack.send_all(sent)
        await delivered(slack, engine)
        await until(lambda: not failures)
        now = engine.snapshot()
        assert sum(now.outcomes.values()) == 100
        assert now.restarts == {name: 2}
        (fault,) = now.faults
        assert fault.startswith(f"{name} failed and was started again: KeyError at")
        assert readiness(now)["faults"] == [fault]
        assert f'tiger_slack_restarts_total{{task="{name}"}} 2.0' in prometheus_text(now).decode()


async def test_a_failing_snapshot_affects_nothing_else(
    conninfo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = instances.write_heartbeat, [ZeroDivisionError()]

    async def beat(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await real(*arguments, **options)

    monkeypatch.setattr(instances, "write_heartbeat", beat)
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        await until(lambda: engine.snapshot().gaps_open is not None)
        assert engine.snapshot().restarts == {"the heartbeat": 1}


async def test_an_error_that_needs_a_person_ends_the_engine(
    conninfo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: Any, **__: Any) -> None:
        raise MigrationError("the schema is newer")

    monkeypatch.setattr("tiger_slack_tui.engine.migrate", refuses)
    async with LocalSlack() as slack:
        with pytest.raises(MigrationError, match="newer"):
            await asyncio.wait_for(make_engine(slack, conninfo, tmp_path).run(), 20)


async def test_events_reach_the_database_if_the_spool_cannot_be_used(
    conninfo: str, tmp_path: Path
) -> None:
    (tmp_path / "spool").touch()  # no directory
    sent = list(Workspace(1, 1_700_000_000.0, 100).events(100))
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        await slack.send_all(sent)
        await delivered(slack, engine)
        now = engine.snapshot()
        assert sum(now.outcomes.values()) == 100
        assert str(tmp_path / "spool") in str(now.spool_problem)
        assert now.spool_errors > 0
        assert readiness(now)["ready"]
        (tmp_path / "spool").unlink()
        await until(lambda: engine.snapshot().spool_problem is None)


async def test_another_thread_reads_only_what_the_loop_published(
    conninfo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop_thread, called = threading.current_thread(), []
    real: Any = vars(Spool)["depth"].fget

    def depth(self: Spool) -> int:
        called.append(threading.current_thread())
        return int(real(self))

    monkeypatch.setattr(Spool, "depth", property(depth))
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        first = engine.published()

        def export() -> list[Any]:
            return [list(metric.read(engine.published())) for metric in METRICS]

        assert any(await asyncio.to_thread(export))
        await until(lambda: engine.published() is not first)
    assert engine.published().slack_status == "stopped"
    assert set(called) == {loop_thread}
