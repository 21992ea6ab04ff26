"""The console's import wizard shows the choice among several exports, and takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.console.canned import CannedBackend, screen_text
from tests.console.imports import Clock
from tests.exports import export, write_folder
from tests.faults.test_exports_slackdump import write_database
from tests.support import until
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.views.importing.lines import CHECK
from tiger_slack_tui.console.views.importing.paths import look_at
from tiger_slack_tui.console.views.importing.view import ImportView
from tiger_slack_tui.history.archive import ArchiveRefused
from tiger_slack_tui.history.request import ImportRequest
from tiger_slack_tui.history.state import ImportState

REFUSED = ArchiveRefused(
    "The archive holds 2 exports.", hint="Choose one with --root PATH:\n  one  T1\n  two  T2"
)


async def test_an_archive_of_several_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = CannedBackend(tmp_path)
    desk = backend.imports
    desk.check = ImportState(ImportRequest(Path("/srv/e")), clock=Clock())
    desk.check.end(None, REFUSED)
    checks: list[ImportRequest] = []
    monkeypatch.setattr(desk, "start_check", checks.append)
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4")
        view = app.view
        assert isinstance(view, ImportView)
        view._wizard.draft.path = "/srv/e"
        view.go(CHECK)
        await pilot.pause()
        await until(lambda: "two  T2" in screen_text(app))
        assert "2 exports" in screen_text(app)
        assert "Choose one with --root PATH" in screen_text(app)
        await pilot.press("enter")
        await until(lambda: "exports of this workspace" in screen_text(app))
        await pilot.press("down", "down", "enter", *"one", "enter")
        await until(lambda: bool(checks))
        assert (checks[0].root, checks[0].workspace) == ("one", None)
        await until(lambda: "--root one" in screen_text(app))


def test_a_database_of_slackdump_is_known_as_one(tmp_path: Path) -> None:
    file = write_database(tmp_path / "slackdump.sqlite")
    assert look_at(str(file)).is_good
    assert str(file) in {entry.text for entry in look_at(f"{tmp_path}/sl").entries}
    write_folder(tmp_path / "e", export({}))
    assert not look_at(str(tmp_path / "e" / "users.json")).is_good
