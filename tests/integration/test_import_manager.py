"""Imports beside other work: started, watched, held up, stopped, gone on with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from tests.exports import BAD, BROKEN, FILES, NAMELESS, mend, write_archive
from tests.support import count, until
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.manager import ImportManager
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.state import FileStep, ImportState, Phase
from tiger_slack_tui.store.imports import ImportRunning
from tiger_slack_tui.store.past_imports import recent_imports


class Live:
    """Live events that may be in trouble."""

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
async def desk(conninfo: str, tmp_path: Path, live: Live) -> AsyncIterator[ImportManager]:
    desk = ImportManager(
        conninfo,
        instance="test",
        limits=ArchiveLimits(500, 1 << 40),
        reports=tmp_path / "reports",
        live=live,
    )
    yield desk
    async with asyncio.timeout(30):
        await desk.close()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "archive")


async def ended(desk: ImportManager) -> ImportState:
    async with asyncio.timeout(60):
        await desk.wait()
    assert desk.run is not None
    return desk.run


async def at_rest(state: ImportState) -> None:
    """Wait until the batches under way have ended."""
    before = -1
    while before != state.ledger.records:
        before = state.ledger.records
        await asyncio.sleep(1)


def messages(conninfo: str) -> int:
    return count(conninfo, "select count(*) from slack.message")


async def test_a_whole_import_is_told_file_by_file(
    desk: ImportManager, archive: Path, conninfo: str
) -> None:
    desk.start(ImportRequest(archive))
    assert desk.run is not None
    assert desk.run.phase is Phase.LISTING
    with pytest.raises(ImportRunning):
        desk.start(ImportRequest(archive))
    state = await ended(desk)
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
    modes = {path.stat().st_mode & 0o777 for path in desk.reports.iterdir()}
    assert (modes, desk.reports.stat().st_mode & 0o777) == ({0o600}, 0o700)
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("select outcome from slack.import").fetchone()
    assert row == ("done",)


async def test_an_import_goes_on_when_it_is_not_known_whether_live_events_are_late(
    desk: ImportManager, archive: Path, live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody let it go on: the task that does had ended, without a word."""
    live.trouble = "late"
    desk.start(ImportRequest(archive, workers=1))
    await until(lambda: desk.run is not None and desk.run.waits_for is not None)
    live.error = ZeroDivisionError()
    state = await ended(desk)
    assert state.phase is Phase.DONE
    [record] = [r for r in caplog.records if "live events" in r.getMessage()]
    assert record.exc_info is not None


async def test_paused_it_commits_nothing_more_until_it_goes_on(
    desk: ImportManager, archive: Path, conninfo: str
) -> None:
    desk.start(ImportRequest(archive, workers=1))
    state = desk.run
    assert state is not None
    await until(lambda: state.ledger.records > 0)
    desk.pause()
    assert state.phase is Phase.PAUSED
    await at_rest(state)
    before = messages(conninfo)
    assert state.ledger.files_done < FILES
    await asyncio.sleep(1)
    assert messages(conninfo) == before > 0
    assert state.phase is Phase.PAUSED
    assert state.seconds_left is None
    desk.resume()
    assert (await ended(desk)).phase is Phase.DONE
    assert messages(conninfo) == state.total.inserted > before


async def test_stopped_it_goes_on_where_it_was(
    desk: ImportManager, archive: Path, conninfo: str
) -> None:
    desk.start(ImportRequest(archive, workers=1))
    state = desk.run
    assert state is not None
    await until(lambda: state.num_bad > 0 and state.ledger.records > 0)
    desk.pause()  # a paused one can be stopped, too
    desk.stop()
    assert state.phase is Phase.STOPPING
    assert (await ended(desk)).phase is Phase.STOPPED
    stored = messages(conninfo)
    assert 0 < state.ledger.files_done < FILES
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        past = (await recent_imports(connection, 5))[0]
    assert (past.outcome, past.can_continue, past.is_running) == ("cancelled", True, False)
    assert past.account.inserted == stored
    desk.start(ImportRequest(archive, workers=2))
    again = await ended(desk)
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


async def test_what_was_bad_is_read_again_once_it_is_mended(
    desk: ImportManager, archive: Path, conninfo: str
) -> None:
    desk.start(ImportRequest(archive))
    first = await ended(desk)
    mend(archive)
    desk.start(first.request)
    again = await ended(desk)
    assert again.phase is Phase.DONE
    assert again.num_failed == 0
    assert again.total.inserted == 1
    assert again.num_bad == BAD - 1
    assert messages(conninfo) == first.total.inserted + 1


async def test_a_check_writes_nothing_and_ends_when_an_import_starts(
    desk: ImportManager, archive: Path, conninfo: str
) -> None:
    desk.start_check(ImportRequest(archive))
    check = desk.check
    assert check is not None
    await until(lambda: check.phase.is_over)
    assert (check.phase, check.num_bad) == (Phase.DONE, BAD)
    assert check.total.inserted > 0
    assert count(conninfo, "select count(*) from slack.message") == 0
    assert count(conninfo, "select count(*) from slack.import") == 0
    desk.start_check(ImportRequest(archive))
    second = desk.check
    assert second is not None
    await until(lambda: second.is_planned)
    desk.start(ImportRequest(archive))
    state = await ended(desk)
    assert second.phase is Phase.STOPPED or second.phase is Phase.DONE
    assert state.phase is Phase.DONE
    assert state.total.inserted == check.total.inserted


async def test_it_waits_for_live_events(desk: ImportManager, archive: Path, live: Live) -> None:
    live.trouble = "live events take 400 ms (p95)"
    desk.start(ImportRequest(archive, workers=1))
    state = desk.run
    assert state is not None
    await until(lambda: state.phase is Phase.WAITING and state.ledger.records > 0)
    await at_rest(state)
    assert state.ledger.files_done < FILES
    assert max(live.asked) == desk.live_limit
    assert min(live.asked) < 0.2  # it goes on only when they are well below
    desk.pause()
    live.trouble = None
    await until(lambda: state.waits_for is None)
    assert state.phase is Phase.PAUSED  # what the operator said holds
    desk.resume()
    assert (await ended(desk)).phase is Phase.DONE


async def test_without_live_first_it_does_not_ask(
    desk: ImportManager, archive: Path, live: Live
) -> None:
    live.trouble = "much"
    desk.live_limit = None
    desk.start(ImportRequest(archive))
    assert (await ended(desk)).phase is Phase.DONE
    assert live.asked == []


async def test_errors_are_the_states(desk: ImportManager, tmp_path: Path) -> None:
    desk.start(ImportRequest(tmp_path / "nowhere"))
    state = await ended(desk)
    assert state.phase is Phase.FAILED
    assert "There is no folder and no file" in str(state.error)
    with pytest.raises(SettingsError):
        desk.start(ImportRequest(tmp_path, since="yesterday"))
    assert desk.run is state


async def test_the_end_of_the_program_stops_it_cleanly(
    desk: ImportManager, archive: Path, conninfo: str
) -> None:
    desk.start(ImportRequest(archive, workers=1))
    state = desk.run
    assert state is not None
    await until(lambda: state.ledger.records > 0)
    async with asyncio.timeout(30):
        await desk.close()
    assert state.phase is Phase.STOPPED
    assert not desk.is_running
    assert count(conninfo, "select count(*) from slack.import where outcome = 'cancelled'") == 1
    assert messages(conninfo) == state.total.inserted


async def test_channel_ids_for_folders_without_one(
    desk: ImportManager, archive: Path, conninfo: str
) -> None:
    request = ImportRequest(archive, channels=(NAMELESS,), channel_map={NAMELESS: "C0OPS"})
    desk.save_map(request)
    command = desk.command(request).split()
    assert command[:5] == ["tiger-slack", "import", str(archive), "--channel", NAMELESS]
    assert json.loads(Path(command[-1]).read_text()) == {NAMELESS: "C0OPS"}
    desk.start(request)
    state = await ended(desk)
    assert (state.phase, state.total.inserted) == (Phase.DONE, 1)
    assert count(conninfo, "select count(*) from slack.message where channel_id = 'C0OPS'") == 1
