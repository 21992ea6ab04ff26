"""No path ends the console, whatever is typed and whatever is there; and the disk is only asked in a thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.archives import write_zip
from tests.console.canned import database_state, shows
from tests.console.imports import past
from tests.console.test_keys import console
from tests.support import until
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.console.views.importing import source_step
from tiger_slack_tui.console.views.importing.draft import ImportDraft
from tiger_slack_tui.console.views.importing.paths import PathInspection, complete, inspect_path
from tiger_slack_tui.console.views.importing.step_line import CHECK, OPTIONS
from tiger_slack_tui.console.views.importing.view import ImportView
from tiger_slack_tui.imports.archive.members import ArchiveLimits, ArchiveRefused
from tiger_slack_tui.imports.archive.sources import open_source
from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.options import ImportOptions
from tiger_slack_tui.imports.request import ImportRequest, resolved

ODD = (
    "\0",
    "~a\0b",
    "~\ud800",
    "/a\0b",
    "/a/\ud800",
    "~",
    "~nobody-of-this-name/x",
    "..",
    "*[?",
    "loop",
)


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A link to itself, in the working directory."""
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "loop"


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The working directory was deleted."""
    place = tmp_path / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    place.rmdir()
    yield
    monkeypatch.chdir(tmp_path)


def test_a_path_where_the_working_directory_is_gone(tmp_path: Path, gone: None) -> None:
    assert "working directory was deleted" in inspect_path("export").verdict
    assert complete("exp") is None
    assert ImportDraft("export").request.path == Path("export")
    assert ImportDraft("export").find_unfinished(past()) is None
    assert inspect_path(str(tmp_path)).is_good
    with pytest.raises(SettingsError, match="working directory was deleted"):
        resolved(Path("export"))


@pytest.mark.parametrize("text", ODD)
def test_an_odd_path_is_judged_and_raises_nothing(text: str, loop: Path) -> None:
    look = inspect_path(text)
    assert look.state in ("ok", "note", "bad", "off")
    complete(text)
    draft = ImportDraft(text, target=look.path)
    assert draft.find_unfinished(past()) is None


@pytest.mark.parametrize("text", ["\0", "/a\0b", "/a/\ud800", "export", "~/export"])
def test_an_import_refuses_a_path_in_words(text: str) -> None:
    with pytest.raises(SettingsError, match="not an absolute path"):
        Import("", Path(text), ImportOptions(), instance="test")


def test_a_file_that_is_no_archive_is_described_as_the_command_describes_it(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "e.zip", {"g/2024-01-01.json": os.urandom(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ArchiveRefused) as refused:
        open_source(path).list(ArchiveLimits(500, 1 << 40))
    about = str(refused.value.args[0]).partition("it is ")[2]
    assert "cut off at 3.0 kB of at least 5" in about
    assert inspect_path(str(path)).verdict == f"This is {about} {refused.value.hint}"


def test_a_path_is_followed_to_its_end(loop: Path, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "link").symlink_to("export")
    assert resolved(Path("link")) == inspect_path("link").path == Path(os.path.realpath("export"))
    for text in ("a\0b", "\ud800"):
        with pytest.raises(SettingsError, match="such characters"):
            resolved(Path(text))


def test_an_unfinished_import_is_known_by_the_path_that_was_found() -> None:
    unfinished = past()[3]
    assert (
        ImportDraft("x", target=Path(unfinished.source)).find_unfinished([unfinished]) is unfinished
    )
    assert ImportDraft(unfinished.source).find_unfinished([unfinished]) is unfinished
    assert ImportDraft("x", target=Path("/another")).find_unfinished([unfinished]) is None


@pytest.mark.parametrize("text", ["export", "/a\0b", "~\ud800", "/a/\ud800"])
async def test_no_step_fails_for_an_odd_path(text: str, tmp_path: Path, gone: None) -> None:
    async with console(tmp_path, size=(120, 40)) as (app, pilot, backend):
        backend.change(database=replace(database_state(), imports=past()))
        await pilot.press("4", "n")
        view = app.view
        assert isinstance(view, ImportView)
        step = view.query_one(source_step.SourceStep)
        step.field.value = text
        await until(lambda: step.inspection.text == text)
        await pilot.press("enter")
        assert view._step == 0
        view._wizard.go(CHECK)
        await pilot.pause()
        view._wizard.go(OPTIONS)
        await shows(app, "the same as a command")
        view.query_one("#import-options").act_start()  # type: ignore[attr-defined]
        view._wizard.start_import(view._wizard.draft.request)
        await shows(app, "absolute path")
        assert backend.imports.run is None


async def test_the_field_for_the_path_replaces_the_old_one(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, _):
        await pilot.press("4", "n", *"/old", "escape", "n", *"/new")
        assert app.view.query_one(source_step.SourceStep).field.value == "/new"


async def test_a_disk_that_does_not_answer_delays_only_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, checks = threading.Event(), list[ImportRequest]()

    def look(text: str) -> PathInspection:
        answer.wait(30)
        return PathInspection(text, "ok", "A folder.", Path("/found/here"))

    monkeypatch.setattr(source_step, "inspect_path", look)
    monkeypatch.setattr(source_step, "complete", lambda _: None)
    async with console(tmp_path) as (app, pilot, backend):
        monkeypatch.setattr(backend.imports, "start_check", checks.append)
        try:
            await pilot.press("4", "n", *"x/y", "enter")
            await shows(app, "Reading …")
            assert not checks
        finally:
            answer.set()
        await until(lambda: bool(checks))
        assert checks[0].path == Path("/found/here")
