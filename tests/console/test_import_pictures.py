"""A golden screen of every step of the import wizard, in both sizes, for each of its states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.console.canned import NOW, CannedBackend, database_state, shows
from tests.console.conftest import SIZES, Pictures
from tests.console.imports import Clock, half, listed, past, whole
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.model.database_state import DatabaseState
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.views.importing.step_line import CHECK, OPTIONS, SOURCE
from tiger_slack_tui.console.views.importing.view import ImportView
from tiger_slack_tui.imports.manager import ImportManager

KNOWN = replace(database_state(), imports=past(), discard_rules=3)


def paused(manager: ImportManager) -> None:
    manager.run = half(Clock())
    manager.run.hold(paused=True, waits_for=None)


def waiting(manager: ImportManager) -> None:
    manager.run = half(Clock())
    manager.run.hold(paused=False, waits_for="live events take 312 ms (p95)")


def failed(manager: ImportManager) -> None:
    manager.run = half(Clock())
    reason = "The import ended because of the database: AdminShutdown 57P01."
    manager.run.end(None, DatabaseUnavailable(reason))


def checked(manager: ImportManager) -> None:
    manager.check = half(Clock())


def run(manager: ImportManager) -> None:
    manager.run = half(Clock())


def listing(manager: ImportManager) -> None:
    manager.run = listed(Clock())
    manager.run.ledger.is_planned = False


def done(manager: ImportManager) -> None:
    manager.run = whole(Clock())


def stopped(manager: ImportManager) -> None:
    manager.run = whole(Clock(), "cancelled")


def nothing(manager: ImportManager) -> None:
    """No check and no import."""


AWAY = replace(KNOWN, problem="connection refused", problem_since=NOW - 14, at=NOW - 14)
PICTURES: dict[str, tuple[DatabaseState, Callable[[ImportManager], None], int | None]] = {
    "source-empty": (database_state(), nothing, None),
    "source-recent": (KNOWN, nothing, SOURCE),
    "source-asking": (DatabaseState(), nothing, None),
    "source-database-away": (AWAY, nothing, None),
    "check": (KNOWN, checked, CHECK),
    "options": (KNOWN, checked, OPTIONS),
    "run": (KNOWN, run, None),
    "run-listing": (KNOWN, listing, None),
    "run-paused": (KNOWN, paused, None),
    "run-waiting": (KNOWN, waiting, None),
    "result": (KNOWN, done, None),
    "result-stopped": (KNOWN, stopped, None),
    "result-failed": (KNOWN, failed, None),
}


@pytest.mark.parametrize("name", PICTURES)
async def test_step(tmp_path: Path, pictures: Pictures, name: str) -> None:
    known, prepare, step = PICTURES[name]
    backend = CannedBackend(tmp_path, database=known)
    prepare(backend.imports)
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=SIZES[0]) as pilot:
        await pilot.press("4")
        if step is not None:
            view = app.view
            assert isinstance(view, ImportView)
            view._wizard.draft.path = "/srv/exports/2026-09-19"
            view.go(step)
        await pictures(f"import-{name}", app, pilot)


async def test_a_note_of_the_run_is_shown_whole(tmp_path: Path) -> None:
    backend = CannedBackend(tmp_path, database=KNOWN)
    run(backend.imports)
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=SIZES[0]) as pilot:
        await pilot.press("4")
        await shows(app, "1 note ")
        app.query_one("#run-notes").focus()
        await shows(app, "can name one.")


async def test_the_overview_shows_it(tmp_path: Path, pictures: Pictures) -> None:
    backend = CannedBackend(tmp_path, database=KNOWN)
    run(backend.imports)
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=SIZES[0]) as pilot:
        await pictures("overview-importing", app, pilot)
