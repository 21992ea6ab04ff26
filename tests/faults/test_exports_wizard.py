"""The console's import wizard offers the choice among several exports, and applies it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.archives import export, write_folder
from tests.console.canned import CannedBackend, screen_text
from tests.console.imports import Clock
from tests.faults.test_exports_slackdump import write_database
from tests.support import until
from tiger_slack_tui.base.errors import DatabaseUnavailable, SettingsError, TigerSlackError
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.views.importing.draft import ImportDraft
from tiger_slack_tui.console.views.importing.paths import inspect_path
from tiger_slack_tui.console.views.importing.step_line import CHECK
from tiger_slack_tui.console.views.importing.view import ImportView
from tiger_slack_tui.imports.archive.members import ArchiveRefused, Export
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.state import ImportState

EXPORTS = (Export("one", ("T1",)), Export("two", ("T2",)))
REFUSED = ArchiveRefused(
    "The archive holds 2 exports.",
    hint="Choose one with --root PATH:\n  one  T1\n  two  T2",
    exports=EXPORTS,
)


def ended(error: TigerSlackError) -> ImportState:
    """A check or an import that ended with the error before anything was read."""
    state = ImportState(ImportRequest(Path("/srv/e")), clock=Clock())
    state.end(None, error)
    return state


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (160, 50)])
async def test_an_archive_of_several_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    backend = CannedBackend(tmp_path)
    manager = backend.imports
    manager.check = ended(REFUSED)
    checks: list[ImportRequest] = []
    imports: list[ImportRequest] = []
    monkeypatch.setattr(manager, "start_check", checks.append)
    monkeypatch.setattr(manager, "start", imports.append)
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        view = app.view
        assert isinstance(view, ImportView)
        view._wizard.draft.path = "/srv/e"
        view.go(CHECK)
        await pilot.pause()
        await until(lambda: "two  T2" in screen_text(app))
        for part in ("✗ The archive holds 2 exports", "Choose one with --root PATH"):
            assert part in screen_text(app)
        for part in ("No problems were found", "Listing the archive", "␊"):
            assert part not in screen_text(app)
        await pilot.press("enter")
        await until(lambda: "of one, two" in screen_text(app))
        assert "2 Check ✗" in screen_text(app)
        assert "of T1, T2" in screen_text(app)

        await pilot.press("I", "y")
        await pilot.pause()
        assert not imports
        await until(lambda: "Choose a root or a workspace." in screen_text(app))

        await pilot.press("down", "down", "enter")
        await until(lambda: "✗ Choose one of: one, two." in screen_text(app))
        await pilot.press(*"three", "enter")
        await until(lambda: "✗ Unknown export. Choose one of: one, two." in screen_text(app))
        assert not checks
        await pilot.press(*["backspace"] * 5, *"one", "enter")
        await until(lambda: bool(checks))
        assert (checks[0].root, checks[0].workspace) == ("one", None)
        await until(lambda: "--root one" in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("error", [REFUSED, DatabaseUnavailable("The database is away.")])
async def test_a_check_that_failed_at_once_is_not_shown_as_passed(
    tmp_path: Path, size: tuple[int, int], error: TigerSlackError
) -> None:
    backend = CannedBackend(tmp_path)
    backend.imports.check = ended(error)
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        view = app.view
        assert isinstance(view, ImportView)
        view._wizard.draft.path = "/srv/e"
        view.go(CHECK)
        await until(lambda: f"✗ {error.args[0]}" in screen_text(app))
        assert "No problems were found" not in screen_text(app)

        backend.imports.run = ended(error)
        await until(lambda: "Nothing was imported." in screen_text(app))
        for part in ("4 Run ✗", error.args[0], "Nothing was read."):
            assert part in screen_text(app)
        for part in ("R continues it", "No bad records or files were found", "␊"):
            assert part not in screen_text(app)
        assert ("two  T2" in screen_text(app)) is (error is REFUSED)


@pytest.mark.parametrize(
    ("root", "workspace", "well"),
    [
        ("one", "", True),
        ("one/", "", True),
        ("six", "", False),
        ("", "T2", True),
        ("", "T3", False),
    ],
)
def test_a_choice_is_compared_with_the_exports(root: str, workspace: str, well: bool) -> None:
    draft = ImportDraft(exports=EXPORTS)
    read, text = (draft.describe_root, root) if root else (draft.describe_workspace, workspace)
    if well:
        assert ("T1" if root else "two") in read(text)
    else:
        with pytest.raises(SettingsError, match="one, two" if root else "T1, T2"):
            read(text)


def test_a_database_of_slackdump_is_recognised(tmp_path: Path) -> None:
    file = write_database(tmp_path / "slackdump.sqlite")
    assert inspect_path(str(file)).is_good
    assert str(file) in {entry.text for entry in inspect_path(f"{tmp_path}/sl").entries}
    write_folder(tmp_path / "e", export({}))
    assert not inspect_path(str(tmp_path / "e" / "users.json")).is_good
