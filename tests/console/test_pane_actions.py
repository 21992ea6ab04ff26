"""The actions of all panes: filters from the first key of a fresh console on, and copies."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from tests.console.canned import database_state, screen_text, several_instances, shows, snapshot
from tests.console.test_keys import console
from tests.support import until
from tiger_slack_tui.console.panes.pane import Pane


async def test_a_fresh_console_filters_the_pane_that_its_first_view_has_after_its_key(
    tmp_path: Path,
) -> None:
    async with console(tmp_path, size=(80, 24)) as (app, pilot, _):
        types = app.view.query_one("#types", Pane)
        assert app.view.pane is types
        await pilot.press("slash", *"react", "enter")
        await shows(app, "by type /react")
        assert [row.type for row in types.rows] == ["reaction_added"]
        assert "No row contains" not in screen_text(app)
        await pilot.press("escape", "1")
        assert not types.filter_text
        assert app.view.pane is types


async def test_escape_ends_the_filter_of_a_pane_that_lost_the_focus(tmp_path: Path) -> None:
    """Whoever presses Escape wants to see all rows again."""
    async with console(tmp_path) as (app, pilot, backend):
        backend.change(database=replace(database_state(), instances=several_instances()))
        await shows(app, "instances")
        types = app.view.query_one("#types", Pane)
        await pilot.press("slash", *"react", "enter", "tab")
        assert app.view.pane is not types
        await pilot.press("escape")
        assert not types.filter_text


async def test_a_copy_says_what_was_copied_or_that_there_is_nothing(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, backend):
        await pilot.press("3", "y")
        await shows(app, "Copied to the terminal's clipboard: Ev2")
        backend.change(engine=replace(snapshot(), problems=()))
        await until(lambda: not app.view.query_one("#findings", Pane).rows)
        for key in ("y", "Y"):
            app.say("")
            await pilot.press(key)
            await shows(app, "There is nothing to copy")


async def test_a_copied_table_has_no_more_blanks_than_its_columns_need(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, _):
        copied: list[str] = []
        app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        app.view.query_one("#types", Pane).focus()
        await pilot.press("y")
        await until(lambda: len(copied) == 1)
        await pilot.press("Y")
        await until(lambda: len(copied) == 2)
        row, table = copied
        titles, first, *_ = table.splitlines()
        assert not re.search(" {3}", row)
        assert row.split() == first.split()
        assert len(titles) < 100
        assert first.index("371.0") + 5 == titles.index("rate/s") + 6  # still below its title


async def test_the_palette_finds_actions_of_other_views_and_leads_there(tmp_path: Path) -> None:
    async with console(tmp_path, size=(80, 24)) as (app, pilot, _):
        await pilot.press("colon", *"replay")
        await shows(app, "in Triage: ")
        await shows(app, "in Events: Process the selected event again")
        await pilot.press("down", "enter")
        await until(lambda: app.view.NAME in ("triage", "events"))
        await shows(app, "R Replay: ")
        assert len(app.screen_stack) == 1, "nothing was asked: no row was selected yet"
        await pilot.press("colon", *"sort", "enter")
        assert app.view.NAME in ("triage", "events")
