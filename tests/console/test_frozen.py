"""FROZEN keeps every view as it was, whatever comes: import, log, triage, jobs."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.archives import report
from tests.console.canned import NOW, VIEW_KEYS, CannedBackend, database_state, screen_text, shows
from tests.console.imports import CHANNELS, Clock, _account, half, past
from tests.console.test_triage import FINDINGS
from tests.support import until
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.model.findings import StoredFindings
from tiger_slack_tui.console.model.log_ring import LogLine
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.panes.pane import Pane
from tiger_slack_tui.imports.file_table import SnapshotDict
from tiger_slack_tui.imports.progress_events import (
    FileDone,
    FileResumed,
    FileStarted,
    ImportNote,
    RecordsMerged,
)
from tiger_slack_tui.imports.state import ImportState
from tiger_slack_tui.store.import_account import Account, ImportProblem

KNOWN = replace(database_state(), imports=past())


def views(app: ConsoleApp) -> str:
    """What is below the lines that stay live: the status, the tabs, what is wrong."""
    return "\n".join(screen_text(app).splitlines()[3:])


def go_on(state: ImportState, clock: Clock) -> None:
    """Much happens."""
    clock.now += 40
    for file in state.files[128:160]:
        report(state, FileStarted(file.member.path, 4188))
        report(state, ImportProblem(file.member.path, 3, "no JSON object"))
        report(state, RecordsMerged(file.member.path, _account(1000), file.member.size))
        report(state, FileDone(file.member.path, file.member.size))
    report(state, ImportNote("something else", is_warning=True))


@pytest.mark.parametrize("key", VIEW_KEYS)
async def test_no_view_changes(tmp_path: Path, key: str) -> None:
    backend = CannedBackend(
        tmp_path, database=KNOWN, stored_findings=StoredFindings(FINDINGS, NOW, None)
    )
    clock = Clock()
    backend.imports.run = half(clock)
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press(key)
        await pilot.pause(0.4)
        if key == "3":
            await until(lambda: "It cannot be read" in screen_text(app))
        await pilot.press("space")
        await shows(app, "FROZEN +0")
        before = views(app)
        go_on(backend.imports.run, clock)
        engine = backend.model.engine
        assert engine is not None
        backend.change(
            at=NOW + 40,
            engine=replace(engine, at=NOW + 40, received=engine.received + 7, problems=()),
            database=replace(KNOWN, jobs=(), sessions=(), imports=(), at=NOW + 39),
            stored_findings=StoredFindings(FINDINGS[:1], NOW + 40, None),
            log=(LogLine(9, NOW + 3, 40, "x", "another line"),),
        )
        await shows(app, "FROZEN +7")
        await pilot.pause(0.6)
        assert views(app) == before
        await pilot.press("space")
        await until(lambda: "FROZEN" not in screen_text(app))
        if key not in "67":  # those show nothing of what has changed
            await until(lambda: views(app) != before)


async def test_an_import_that_ends_does_not_take_a_frozen_view_away(tmp_path: Path) -> None:
    backend = CannedBackend(tmp_path, database=KNOWN)
    backend.imports.run = half(Clock())
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("4", "space")
        await shows(app, "FROZEN")
        backend.imports.run.end(None, None)
        await pilot.pause(0.6)
        assert "Pause" not in screen_text(app) or "4 Run" in screen_text(app)
        assert "Stopped after" not in screen_text(app)
        await pilot.press("space")
        await shows(app, "Stopped after")


def test_a_frozen_copy_of_an_import_does_not_change() -> None:
    clock = Clock()
    state = half(clock)
    frozen = state.frozen()
    path = state.files[128].member.path
    later = state.files[150].member.path
    before = (
        frozen.seconds, frozen.share, frozen.num_bad, frozen.total.read, frozen.phase, frozen.ledger.files_done,
        frozen.folders[CHANNELS[2]].done, len(frozen.notes), len(frozen.bad_files),
    )  # fmt: skip
    read = frozen.file(path)
    assert read is not None
    count = read.account.read
    go_on(state, clock)
    state.end(None, None)
    assert before == (
        frozen.seconds, frozen.share, frozen.num_bad, frozen.total.read, frozen.phase, frozen.ledger.files_done,
        frozen.folders[CHANNELS[2]].done, len(frozen.notes), len(frozen.bad_files),
    )  # fmt: skip
    assert read.account.read == count
    assert read.ended is None
    assert frozen.file(later) is None


def test_a_frozen_copy_shares_what_has_not_changed() -> None:
    """Views get a copy several times a second, so it must not take time in proportion to the files."""
    clock = Clock()
    state = half(clock)
    first, second = state.frozen(), state.frozen()
    assert all(one is state.folders[name] for name, one in first.folders.items())
    assert second.files is first.files
    assert second.folders is first.folders
    go_on(state, clock)
    third = state.frozen()
    assert third.files is first.files
    assert third.folders[CHANNELS[0]] is first.folders[CHANNELS[0]]
    assert third.folders[CHANNELS[2]] is not first.folders[CHANNELS[2]]
    assert list(third.folders) == list(state.folders)
    assert [third.file(one.member.path) for one in third.files] == [
        state.file(one.member.path) for one in state.files
    ]


def test_a_change_after_a_snapshot_copies_only_few_entries() -> None:
    entries: SnapshotDict[int] = SnapshotDict()
    for number in range(100_000):
        entries[f"C/{number}.json"] = number
    before = entries.snapshot()
    entries["C/5.json"] = -5
    copied = [
        bucket for bucket in entries._buckets if all(bucket is not b for b in before._buckets)
    ]
    assert (entries.get("C/5.json"), before.get("C/5.json"), len(copied)) == (-5, 5, 1)
    assert len(copied[0]) < 100


def test_a_frozen_table_of_files_does_not_grow() -> None:
    files = half(Clock()).files
    frozen = files.frozen()
    before = list(frozen)
    files.extend(before[:3])
    assert list(frozen) == before
    assert (len(frozen), len(files), len(files.frozen())) == (300, 303, 303)
    assert (frozen[-1], list(frozen[-2:]), list(frozen[::100])) == (
        before[-1],
        before[-2:],
        before[::100],
    )
    with pytest.raises(IndexError):
        frozen[300]


def test_a_frozen_model_stays_as_it_is(tmp_path: Path) -> None:
    backend = CannedBackend(tmp_path, database=KNOWN)
    clock = Clock()
    backend.imports.run = half(clock)
    live = backend.sample(60)
    frozen = live.frozen()
    assert frozen.is_frozen
    assert not live.is_frozen

    def shown() -> tuple[object, ...]:
        assert frozen.import_state is not None
        progress = [(folder.name, folder.done) for folder in frozen.import_state.folders.values()]
        return (
            frozen.import_summary,
            frozen.log,
            frozen.live_limit,
            progress,
            len(frozen.import_state.notes),
        )

    before = shown()
    go_on(backend.imports.run, clock)
    backend.imports.live_limit = None
    backend.log.emit(logging.makeLogRecord({"msg": "another line"}))
    backend.imports.run.end(None, None)
    assert shown() == before
    assert backend.sample(60).import_summary != before[0]


async def test_the_filter_is_left_when_its_pane_goes_away(tmp_path: Path) -> None:
    backend = CannedBackend(tmp_path, database=KNOWN)
    backend.imports.run = half(Clock())
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("4", "slash", *"gen")
        field = app.query_one("#filter")
        assert field.display
        backend.imports.run.end(None, None)
        await shows(app, "Stopped after")
        await until(lambda: not field.display)
        assert isinstance(app.focused, Pane)
        assert app.focused in app.view.panes()
        await pilot.press("2")
        assert app.view.NAME == "jobs"


def test_a_worker_that_died_is_shown_no_longer() -> None:
    state = half(Clock())
    file = state.files[128]
    path = file.member.path
    assert set(state.workers) == {4188, 4190}
    report(state, FileResumed(path, Account()))
    assert set(state.workers) == {4190}
    report(state, FileStarted(path, 4191))
    assert {pid: reader.path for pid, reader in state.workers.items()}[4191] == path
