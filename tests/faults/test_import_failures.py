"""A failed import leaves its account, a report, and a log line with a stack that holds no data."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tests.damaged_export import write_damaged_export
from tests.faults.proxy import Proxy, postgres_target, through
from tests.integration.test_import_manager import at_rest
from tests.support import count, until
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.manager import ImportManager
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.state import ImportState, Phase
from tiger_slack_tui.imports.workers import protocol
from tiger_slack_tui.imports.workers.handle import WorkerProcess


def make_manager(conninfo: str, reports: Path) -> ImportManager:
    limits = ArchiveLimits(500, 1 << 40)
    return ImportManager(
        conninfo, instance="test", limits=limits, reports=reports, reason_to_wait=lambda _: None
    )


async def failed(manager: ImportManager) -> ImportState:
    await manager.wait()
    assert manager.run is not None
    assert manager.run.phase is Phase.FAILED
    return manager.run


async def test_a_crash_of_a_worker_is_logged_with_its_stack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = await WorkerProcess.start(30)
    worker.send(protocol.Permit())  # what it must not be given first
    report = await worker.receive()
    await worker.close()
    assert isinstance(report, protocol.Crashed)
    assert report.where.startswith("AssertionError at child.py:")
    (record,) = [each for each in caplog.records if "crashed" in each.message]
    assert record.levelno == logging.ERROR
    assert record.__dict__["exception.type"] == "AssertionError"
    stack = record.__dict__["exception.stacktrace"]
    assert "workers/child.py" in stack
    assert "in Worker.run" in stack
    assert "isinstance(" not in stack  # no source lines


@pytest.mark.parametrize("is_lost", [False, True], ids=["cut off", "lost"])
async def test_an_import_that_loses_the_database_saves_its_report(
    conninfo: str, tmp_path: Path, is_lost: bool
) -> None:
    archive = write_damaged_export(tmp_path / "archive")
    async with Proxy(postgres_target(conninfo)) as proxy:
        manager = make_manager(through(proxy, conninfo), tmp_path / "reports")
        manager.start(ImportRequest(archive, workers=1))
        state = manager.run
        assert state is not None
        await until(lambda: state.num_bad > 0 and state.ledger.records > 0)
        manager.pause()
        await at_rest(state)
        if is_lost:
            await proxy.refuse()
        proxy.cut()
        manager.resume()
        await failed(manager)
        await manager.close()
    assert state.report is not None
    report = json.loads(state.report.read_text())
    assert state.error is not None
    assert (report["outcome"], report["error"]) == ("failed", state.error.args[0])
    assert (
        0 < report["messages"]["inserted"] == count(conninfo, "select count(*) from slack.message")
    )
    assert ("bad_records_of_earlier_runs" in report) is is_lost
    lines = Path(report["bad_records"]).read_text().splitlines()
    assert len(lines) == state.ledger.problems > 0


async def test_an_internal_error_names_its_place_and_is_logged(
    conninfo: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(self: Import, tell: object) -> None:
        {}["a secret"]

    monkeypatch.setattr(Import, "run", fail)
    manager = make_manager(conninfo, tmp_path)
    manager.start(ImportRequest(write_damaged_export(tmp_path / "archive")))
    state = await failed(manager)
    assert state.error is not None
    assert "KeyError at manager.py:" in str(state.error)
    assert any(
        each.exc_info
        for each in caplog.records
        if each.message == "an internal error ended an import"
    )
    assert "secret" not in str(state.error)
