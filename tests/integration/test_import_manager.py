"""ImportManager: starts, pauses, holds, stops and continues imports beside other work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from tests.damaged_export import BAD, BROKEN, FILES, NAMELESS, repair, write_damaged_export
from tests.support import count, until
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.file_table import FileStep
from tiger_slack_tui.imports.manager import ImportManager
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.state import ImportState, Phase
from tiger_slack_tui.store.imports import ImportRunning
from tiger_slack_tui.store.past_imports import recent_imports

pytestmark = pytest.mark.slow


class Live:
    """Live events that may be late."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.error: Exception | None = None
        self.asked: list[float] = []

    def __call__(self, limit: float) -> str | None:
        self.asked.append(limit)
        if self.error:
            raise self.error
        return self.trouble


@pytest.fixture
def live() -> Live:
    return Live()


@pytest.fixture
async def manager(conninfo: str, tmp_path: Path, live: Live) -> AsyncIterator[ImportManager]:
    manager = ImportManager(
        conninfo,
        instance="test",
        limits=ArchiveLimits(500, 1 << 40),
        reports=tmp_path / "reports",
        reason_to_wait=live,
    )
    yield manager
    async with asyncio.timeout(30):
        await manager.close()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_damaged_export(tmp_path / "archive")


async def ended(manager: ImportManager) -> ImportState:
    async with asyncio.timeout(60):
        await manager.wait()
    assert manager.run is not None
    return manager.run


async def at_rest(state: ImportState) -> None:
    """Wait until the running batches have ended: nothing is reported for 4 s."""
    before, quiet = -1, 0
    while quiet < 4:
        quiet = quiet + 1 if before == state.ledger.records else 0
        before = state.ledger.records
        await asyncio.sleep(1)


def messages(conninfo: str) -> int:
    return count(conninfo, "select count(*) from slack.message")


async def test_a_whole_import_reports_every_file(
    manager: ImportManager, archive: Path, conninfo: str
) -> None:
    manager.start(ImportRequest(archive))
    assert manager.run is not None
    assert manager.run.phase is Phase.LISTING
    with pytest.raises(ImportRunning):
        manager.start(ImportRequest(archive))
    state = await ended(manager)
    assert state.phase is Phase.DONE
    assert (state.share, state.num_bad, state.num_failed) == (1.0, BAD, 1)
    assert len(state.files) == state.ledger.files_done == FILES
    assert state.unmapped == {NAMELESS: 1}
    assert state.total.inserted == messages(conninfo)
    assert state.result is not None
    assert state.total == state.result.total
    steps = {file.member.path: state.file(file.member.path) for file in state.files}
    assert {s.step for s in steps.values() if s} == {FileStep.DONE, FileStep.FAILED}
    failed = steps[BROKEN]
    assert failed is not None
    assert (failed.step, failed.reason) == (FileStep.FAILED, "malformed JSON")
    assert sum(folder.done for folder in state.folders.values()) == FILES
    assert not state.workers
    assert state.report is not None
    report = json.loads(state.report.read_text())
    assert report["messages"]["inserted"] == state.total.inserted
    assert report["command"] == f"tiger-slack import {archive}"
    lines = Path(report["bad_records"]).read_text().splitlines()
    assert len(lines) == BAD
    modes = {path.stat().st_mode & 0o777 for path in manager.reports.iterdir()}
    assert (modes, manager.reports.stat().st_mode & 0o777) == ({0o600}, 0o700)
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("select outcome from slack.import").fetchone()
    assert row == ("done",)


async def test_an_import_runs_if_live_events_cannot_be_judged(
    manager: ImportManager, archive: Path, live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    """It was held for ever: the task that resumes it had ended without a log line."""
    live.trouble = "late"
    manager.start(ImportRequest(archive, workers=1))
    await until(lambda: manager.run is not None and manager.run.waits_for is not None)
    live.error = ZeroDivisionError()
    state = await ended(manager)
    assert state.phase is Phase.DONE
    [record] = [r for r in caplog.records if "live events" in r.getMessage()]
    assert record.exc_info is not None


async def test_a_paused_import_commits_nothing_until_it_is_resumed(
    manager: ImportManager, archive: Path, conninfo: str
) -> None:
    manager.start(ImportRequest(archive, workers=1))
    state = manager.run
    assert state is not None
    await until(lambda: state.ledger.records > 0)
    manager.pause()
    assert state.phase is Phase.PAUSED
    await at_rest(state)
    before = messages(conninfo)
    assert state.ledger.files_done < FILES
    await asyncio.sleep(1)
    assert messages(conninfo) == before > 0
    assert state.phase is Phase.PAUSED
    assert state.seconds_left is None
    manager.resume()
    assert (await ended(manager)).phase is Phase.DONE
    assert messages(conninfo) == state.total.inserted > before


async def test_a_stopped_import_is_continued(
    manager: ImportManager, archive: Path, conninfo: str
) -> None:
    manager.start(ImportRequest(archive, workers=1))
    state = manager.run
    assert state is not None
    await until(lambda: state.num_bad > 0 and state.ledger.records > 0)
    manager.pause()  # a paused one can be stopped, too
    manager.stop()
    assert state.phase is Phase.STOPPING
    assert (await ended(manager)).phase is Phase.STOPPED
    stored = messages(conninfo)
    assert 0 < state.ledger.files_done < FILES
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        past = (await recent_imports(connection, 5))[0]
    assert (past.outcome, past.can_continue, past.is_running) == ("cancelled", True, False)
    assert past.account.inserted == stored
    manager.start(ImportRequest(archive, workers=2))
    again = await ended(manager)
    assert again.phase is Phase.DONE
    assert again.resumed is not None
    assert (again.num_bad, again.num_failed, len(again.problems)) == (BAD, 1, BAD)
    assert len(again.bad_files) == 2
    assert again.total.inserted == messages(conninfo)
    known = [again.file(file.member.path) for file in again.files]
    assert (
        sum(f is not None and f.step is FileStep.KNOWN for f in known)
        >= state.ledger.files_done - 1
    )


async def test_a_repaired_file_is_read_again(
    manager: ImportManager, archive: Path, conninfo: str
) -> None:
    manager.start(ImportRequest(archive))
    first = await ended(manager)
    repair(archive)
    manager.start(first.request)
    again = await ended(manager)
    assert again.phase is Phase.DONE
    assert again.num_failed == 0
    assert again.total.inserted == 1
    assert again.num_bad == BAD - 1
    assert messages(conninfo) == first.total.inserted + 1


async def test_a_check_writes_nothing_and_ends_when_an_import_starts(
    manager: ImportManager, archive: Path, conninfo: str
) -> None:
    manager.start_check(ImportRequest(archive))
    check = manager.check
    assert check is not None
    await until(lambda: check.phase.is_over)
    assert (check.phase, check.num_bad) == (Phase.DONE, BAD)
    assert check.total.inserted > 0
    assert count(conninfo, "select count(*) from slack.message") == 0
    assert count(conninfo, "select count(*) from slack.import") == 0
    manager.start_check(ImportRequest(archive))
    second = manager.check
    assert second is not None
    await until(lambda: second.is_planned)
    manager.start(ImportRequest(archive))
    state = await ended(manager)
    assert second.phase is Phase.STOPPED or second.phase is Phase.DONE
    assert state.phase is Phase.DONE
    assert state.total.inserted == check.total.inserted


async def test_an_import_waits_for_live_events(
    manager: ImportManager, archive: Path, live: Live
) -> None:
    live.trouble = "live events take 400 ms (p95)"
    manager.start(ImportRequest(archive, workers=1))
    state = manager.run
    assert state is not None
    await until(lambda: state.phase is Phase.WAITING and state.ledger.records > 0)
    await at_rest(state)
    assert state.ledger.files_done < FILES
    assert max(live.asked) == manager.live_limit
    assert min(live.asked) < 0.2  # it goes on only when they are well below
    manager.pause()
    live.trouble = None
    await until(lambda: state.waits_for is None)
    assert state.phase is Phase.PAUSED  # what the operator said holds
    manager.resume()
    assert (await ended(manager)).phase is Phase.DONE


async def test_without_a_limit_an_import_does_not_look_at_live_events(
    manager: ImportManager, archive: Path, live: Live
) -> None:
    live.trouble = "much"
    manager.live_limit = None
    manager.start(ImportRequest(archive))
    assert (await ended(manager)).phase is Phase.DONE
    assert live.asked == []


async def test_errors_go_to_the_state(manager: ImportManager, tmp_path: Path) -> None:
    manager.start(ImportRequest(tmp_path / "nowhere"))
    state = await ended(manager)
    assert state.phase is Phase.FAILED
    assert "There is no folder and no file" in str(state.error)
    with pytest.raises(SettingsError):
        manager.start(ImportRequest(tmp_path, since="yesterday"))
    assert manager.run is state


async def test_closing_the_manager_stops_the_import_cleanly(
    manager: ImportManager, archive: Path, conninfo: str
) -> None:
    manager.start(ImportRequest(archive, workers=1))
    state = manager.run
    assert state is not None
    await until(lambda: state.ledger.records > 0)
    async with asyncio.timeout(30):
        await manager.close()
    assert state.phase is Phase.STOPPED
    assert not manager.is_running
    assert count(conninfo, "select count(*) from slack.import where outcome = 'cancelled'") == 1
    assert messages(conninfo) == state.total.inserted


async def test_channel_ids_for_folders_without_one(
    manager: ImportManager, archive: Path, conninfo: str
) -> None:
    request = ImportRequest(archive, channels=(NAMELESS,), channel_map={NAMELESS: "C0OPS"})
    manager.save_map(request)
    command = manager.command(request).split()
    assert command[:5] == ["tiger-slack", "import", str(archive), "--channel", NAMELESS]
    assert json.loads(Path(command[-1]).read_text()) == {NAMELESS: "C0OPS"}
    manager.start(request)
    state = await ended(manager)
    assert (state.phase, state.total.inserted) == (Phase.DONE, 1)
    assert count(conninfo, "select count(*) from slack.message where channel_id = 'C0OPS'") == 1
