"""The steps of the import wizard, driven by keys: what an operator chooses is what the import gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.console.canned import NOW, CannedBackend, database_state, screen_text, shows
from tests.console.imports import Clock, half, past, whole
from tests.console.test_keys import console
from tests.support import until
from tiger_slack_tui.base.text import cells
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.views.importing.check_findings import (
    Failure,
    WarningLine,
    findings,
    paint_check_finding,
)
from tiger_slack_tui.console.views.importing.lines import result_lines
from tiger_slack_tui.console.views.importing.step import Wizard
from tiger_slack_tui.console.views.importing.step_line import OPTIONS
from tiger_slack_tui.console.views.importing.view import ImportView
from tiger_slack_tui.imports.archive.layout import LeftOut
from tiger_slack_tui.imports.archive.members import ArchiveRefused
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.store.import_account import Account

KNOWN = replace(database_state(), imports=past(), discard_rules=3)


async def change(app: ConsoleApp, pilot: Pilot[None], name: str, wrong: str, right: str) -> None:
    """Change the option of this name: a wrong value is refused with a reason, and the right one is kept."""
    form = app.view.query_one("#options-form")
    while form.row.name != name:  # type: ignore[attr-defined]
        await pilot.press("down")
    field = app.view.query_one("#options-field", Input)
    for text in (wrong, right):
        await pilot.press("enter")
        await until(lambda: app.view.query_one("#options-edit").display)
        field.value = text
        await pilot.press("enter")
        await pilot.pause()
        assert app.view.query_one("#options-edit").display == (text == wrong)
        if text == wrong:
            await shows(app, " ✗ ")
            await pilot.press("escape")


async def test_the_options_are_those_of_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(tmp_path, size=(120, 40)) as (app, pilot, backend):
        started: list[ImportRequest] = []
        monkeypatch.setattr(backend.imports, "start", started.append)
        backend.change(database=KNOWN)
        backend.imports.check = half(Clock())
        await pilot.press("4")
        view = app.view
        assert isinstance(view, ImportView)
        draft = view._wizard.draft
        draft.path = "/srv/exports/2026-09-19"
        view.go(OPTIONS)
        await shows(app, "the same as a command")
        await change(app, pilot, "since", "5 fortnights", "2026-04-01")
        await change(app, pilot, "until", "2025-01-01", "2026-05-01")
        await change(app, pilot, "workers", "99", "3")
        await change(app, pilot, "  above", "1", "250 ms")
        assert backend.imports.live_limit == 0.25
        await pilot.press("up", "enter")
        await until(lambda: backend.imports.live_limit is None)
        await pilot.press("tab", "enter")  # the folder without a channel
        await shows(app, "id of ops-old")
        field = app.view.query_one("#options-field", Input)
        field.value = "general"
        await shows(app, "An id starts with C, D or G")
        field.value = "C0OLD1234"
        await pilot.press("enter")
        await until(lambda: draft.channel_map == {"ops-old": "C0OLD1234"})
        await pilot.press("down", "space")
        copied: list[str] = []
        app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        await pilot.press("escape", "y")
        await until(lambda: bool(copied))
        assert "--since 2026-04-01 --until 2026-05-01" in copied[0]
        await pilot.press("I")
        await shows(app, "Import this archive?")
        await shows(app, "3 workers")
        await pilot.press("y")
        await until(lambda: bool(started))
        [request] = started
        assert (request.since, request.until, request.workers) == ("2026-04-01", "2026-05-01", 3)
        assert request.channel_map == {"ops-old": "C0OLD1234"}
        assert len(request.channels) == 5, "all but one of six"
        await pilot.press("escape")
        view.go(OPTIONS)
        await pilot.press("tab", "a", "a")
        await pilot.press("I")
        await shows(app, "No channel is selected.")
        assert len(started) == 1


@pytest.mark.parametrize("width", [20, 40, 80, 300])
def test_an_error_of_an_archive_is_shown_whole_at_every_width(width: int) -> None:
    state = half(Clock())
    said, hint = "The export is of another workspace. " * 4, "Import it into one of its own. " * 4
    state.end(None, ArchiveRefused(said, hint=hint))
    found = [row for row in findings(state, width) if isinstance(row, Failure)]
    rows = [paint_check_finding(row, width).plain for row in found]
    assert all(len(row) <= width and "…" not in row for row in rows)
    assert " ".join(row[2:].strip() for row in rows).split() == f"{said} {hint}".split()
    assert [row[0] for row in rows] == ["✗", *" " * (len(rows) - 1)]


async def test_a_run_is_controlled_and_its_result_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(tmp_path, size=(120, 40)) as (app, pilot, backend):
        called: list[str] = []
        started: list[ImportRequest] = []
        for name in ("pause", "resume", "stop"):
            monkeypatch.setattr(backend.imports, name, lambda name=name: called.append(name))
        monkeypatch.setattr(backend.imports, "start", started.append)
        backend.change(database=KNOWN)
        backend.imports.run = run = half(Clock())
        await pilot.press("4", "f")
        await shows(app, "bad files")
        await pilot.press("g", "enter")
        await shows(app, "malformed JSON")
        await shows(app, "whole file")
        await pilot.press("escape", "f", "tab", "enter")
        await shows(app, "already there")
        await pilot.press("escape")
        for question, key in (("Pause", "P"), ("Stop", "X")):
            await pilot.press(key)
            await shows(app, f"{question} the import?")
            await pilot.press("y")
        run.hold(paused=True, waits_for=None)
        await shows(app, "Paused. P continues.")
        await pilot.press("P")
        await shows(app, "Continue the import?")
        await pilot.press("y")
        await until(lambda: called == ["pause", "stop", "resume"])
        # It ends: the result is shown.
        backend.imports.run = done = whole(Clock())
        await shows(app, "bad records and files")
        await pilot.press("enter")
        await shows(app, "malformed JSON")
        await pilot.press("escape", "tab", "enter")
        await shows(app, "channel general")
        await pilot.press("escape", "R")
        await shows(app, "Read the bad files again?")
        await pilot.press("y")
        await until(lambda: bool(started))
        assert started == [replace(done.request, restart=False)]
        backend.imports.run = whole(Clock(), "cancelled")
        await shows(app, "○")
        await until(lambda: "R Continue" in screen_text(app), 20)
        await pilot.press("R")
        await shows(app, "It continues after the last committed batch.")
        await pilot.press("escape", "f")
        await shows(app, "files")
        await pilot.press("escape", "n")
        await shows(app, "Nothing is written before step 4.")


def test_files_that_were_left_out_by_choice_are_no_warning() -> None:
    state = whole(Clock())
    chosen = {LeftOut.NOT_SELECTED: 2, LeftOut.OUTSIDE: 3, LeftOut.COMMENTS: 1}

    def said(left_out: dict[LeftOut, int]) -> str:
        state.ledger.left_out = {str(reason): number for reason, number in left_out.items()}
        return "\n".join(shown.plain for shown in result_lines(state, 100))

    failed = state.num_failed
    assert f"{failed} file not read in full" in said(chosen)
    assert f"{failed + 4} files not read in full" in said(chosen | {LeftOut.UNKNOWN: 4})


@pytest.mark.parametrize("width", [30, 76, 156])
def test_a_warning_of_a_check_is_shown_whole_at_every_width(width: int) -> None:
    state = half(Clock())
    rows = [row for row in findings(state, width) if isinstance(row, WarningLine)]
    painted = [paint_check_finding(row, width).plain for row in rows]
    text = " ".join(row[2:].strip() for row in painted)
    assert text == next(note.text for note in state.notes if note.is_warning)
    assert [row[0] for row in painted] == ["▲", *[" "] * (len(rows) - 1)]
    assert all(cells(row) <= width for row in painted)


def test_an_import_that_selects_nothing_says_what_there_is() -> None:
    state = whole(Clock())
    assert state.result is not None
    nothing = replace(
        state.result,
        total=Account(read=9, filtered=7, skipped={"no JSON object": 2}),
        contents="Its days are X.",
    )
    state.result = nothing
    shown = "\n".join(row.plain for row in result_lines(state, 80))
    assert "No message that was read is within since and until.\n    Its days are X." in shown
    assert "accounted for" not in shown


def test_a_database_that_answers_late_is_no_reason_to_refuse_an_import(tmp_path: Path) -> None:
    model, current = CannedBackend(tmp_path).model, database_state()
    assert current.migrations is not None
    behind = replace(current, migrations=replace(current.migrations, database_version="0.3.0"))
    late = {"problem": "a query has no answer yet", "problem_since": NOW - 7}
    away = late | {"problem": "refused the connection", "retry_at": NOW + 1}
    unread = {"problems": {"migrations": "timed out"}}
    for state, said in (
        (current, None),
        (replace(current, **late), None),  # type: ignore[arg-type]
        (replace(current, **unread), None),  # type: ignore[arg-type]
        (replace(current, **away), "refused the connection"),  # type: ignore[arg-type]
        (replace(current, at=None), "not been read yet"),
        (behind, "press 2, then M"),
        (replace(behind, **unread), "timed out"),  # type: ignore[arg-type]
        (replace(behind, **late), "no answer yet"),  # type: ignore[arg-type]
    ):
        wizard = Wizard(None, None, lambda _: None, model=replace(model, database=state))  # type: ignore[arg-type]
        problem = wizard.schema_problem()
        assert (problem is None) == (said is None), problem
        assert said is None or said in str(problem)


def test_why_an_import_failed_is_shown_whole() -> None:
    state = half(Clock())
    said, hint = (
        "No file of the archive is within the dates.",
        "The archive has the channels a, b. " * 3,
    )
    state.end(None, ArchiveRefused(said, hint=hint))
    rows = [row.plain for row in result_lines(state, 60)]
    assert " ".join(f"{said} {hint}".split()) in " ".join(" ".join(rows).split())
    assert all(cells(row) <= 60 for row in rows)
