"""Every key does its action, and nothing is changed without a question."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.color import Color
from textual.content import Content
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widgets import Input

from tests.console.canned import NOW, VIEW_KEYS, CannedBackend, press, screen_text, shows, snapshot
from tests.support import until
from tiger_slack_tui.console.actions import CONFIRM_KEY, VIEWS, declared
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.options import THEMES, ConsoleOptions
from tiger_slack_tui.console.panes.pane import Pane
from tiger_slack_tui.console.screens.dialog import Confirm, Document
from tiger_slack_tui.console.screens.help import palette_line
from tiger_slack_tui.console.settings_file import read_options, remapped
from tiger_slack_tui.console.views.catalog import ACTION_GROUPS, VIEW_CLASSES
from tiger_slack_tui.console.views.events import QueryField

ACTIONS = tuple(ConsoleApp.ACTIONS.values())
STRONGER = {
    "pane.last": "pane.first",
    "pane.copy_all": "pane.copy",
    "pane.reverse": "pane.sort",
}
"""Capitals that change no data, and the actions of their lower-case keys."""
TWICE = {"space", "enter", "P", "shift+p", "R", "shift+r", "f"}
"""Keys with two actions in one step, only one of which is possible at a time. Space selects a channel or freezes."""


@asynccontextmanager
async def console(
    home: Path, *, size: tuple[int, int] = (100, 30), options: ConsoleOptions | None = None
) -> AsyncIterator[tuple[ConsoleApp, Pilot[None], CannedBackend]]:
    options = options or ConsoleOptions()
    backend = CannedBackend(home)
    backend.read_only = options.read_only
    app = ConsoleApp(backend, options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause(0.2)
        yield app, pilot, backend


def test_each_action_has_a_method_and_no_two_share_a_key_in_one_place() -> None:
    views = {view.NAME: view for view in VIEW_CLASSES}
    assert tuple(views) == VIEWS
    for action in ACTIONS:
        view = views[action.view or VIEWS[0]]
        assert any(action.id in declared(owner) for owner in (ConsoleApp, view, *view.PARTS))
        assert action.help.endswith("."), action.id
    shared = [action for action in ACTIONS if action.view is None]
    for name, view in views.items():
        for owner in (view, *view.PARTS):
            own = [one.action for one in declared(owner).values() if one.action.view == name]
            keys = [key for action in (*own, *shared) for key in action.keys.split(",")]
            twice = {key for key in keys if keys.count(key) > 1}
            assert twice <= TWICE, (owner, twice)


def test_what_changes_something_is_upper_case_and_what_looks_is_not() -> None:
    for action in ACTIONS:
        first = action.keys.split(",")[0]
        if len(first) == 1 and first.isalpha() and action.id not in STRONGER:
            assert first.isupper() == action.changes, action.id
    keys = {action.id: action.keys.split(",")[0] for action in ACTIONS}
    for stronger, plain in STRONGER.items():
        assert keys[stronger] == keys[plain].upper()


async def test_digits_switch_views_and_escape_leaves_nothing(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, _):
        for number, name in enumerate(VIEWS, 1):
            await pilot.press(str(number))
            assert name == app.view.NAME
            await pilot.press("escape")
            assert name == app.view.NAME
            assert app.view.pane is not None or not list(app.view.panes())
        assert app.return_code is None


async def test_moving_in_a_pane(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, _):
        await pilot.press("2")
        pane = app.view.query_one("#job-list", Pane)
        for key, name in (
            ("j", "channels"),
            ("down", "retention"),
            ("k", "channels"),
            ("G", "retention"),
            ("g", "users"),
            ("pagedown", "retention"),
            ("pageup", "users"),
            ("end", "retention"),
            ("home", "users"),
        ):
            await pilot.press(key)
            assert pane.row is not None
            assert pane.row.name == name, key
        await pilot.press("tab")
        assert app.view.pane is not pane


@pytest.mark.parametrize(("view", "pane_id"), [("1", "#last-problems"), ("3", "#findings")])
async def test_a_list_with_the_newest_first_follows_it_until_somebody_moves(
    tmp_path: Path, view: str, pane_id: str
) -> None:
    async with console(tmp_path) as (app, pilot, backend):
        await pilot.press(view)
        pane = app.view.query_one(pane_id, Pane)
        pane.focus()
        engine = snapshot()

        async def arrive(*event_ids: str) -> None:
            nonlocal engine
            last = engine.problems[-1]
            new = [replace(last, event_id=name, at=last.at + 1) for name in event_ids]
            engine = replace(engine, problems=(*engine.problems, *new))
            backend.change(engine=engine)
            app._sample()
            await pilot.pause()

        def key() -> str | None:
            return pane.row.key if pane.row else None

        await until(lambda: key() is not None)
        await arrive("EvA")
        assert key() == "EvA"
        await pilot.press("down")
        moved = key()
        assert moved != "EvA"
        await arrive("EvB")
        assert key() == moved
        await pilot.press("g")
        await arrive("EvC")
        assert key() == "EvC"


async def test_keys_and_pasted_texts_that_come_at_once_find_what_the_first_key_opened(
    tmp_path: Path,
) -> None:
    async with console(tmp_path) as (app, _, _):

        def burst(*keys: str | Paste) -> None:
            for key in keys:
                is_key = isinstance(key, str)
                app.post_message(Key(key, key if len(key) == 1 else None) if is_key else key)

        burst("4", "3", "e", "ctrl+u", *"a.txt", "enter")
        await until((tmp_path / "a.txt").is_file)
        burst("slash", *"zz", "enter", "escape", "6", "slash", *"invoice")
        await until(lambda: app.view_name == "messages" and isinstance(app.focused, Input))
        await until(lambda: isinstance(app.focused, Input) and app.focused.value == "invoice")
        burst("escape", "5", "question_mark", "escape", "colon", *"theme", "enter")
        await until(lambda: app.theme != next(iter(THEMES)))
        assert app.view_name == "log"
        assert len(app.screen_stack) == 1
        burst("slash", Paste("paid "), "x")
        await until(lambda: isinstance(app.focused, Input) and app.focused.value == "paid x")


async def test_a_filter_is_typed_and_left(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, _):
        await pilot.press("5", "slash", *"slow")
        await shows(app, "1 of 4")
        assert "an event failed" not in screen_text(app)
        await pilot.press("enter")
        assert app.view.pane is not None
        await pilot.press("escape")
        await shows(app, "an event failed")
        await pilot.press("slash", *"!slow", "enter")
        await shows(app, "3 of 4")
        await pilot.press("slash", "escape")
        await shows(app, "the database is slow")


async def test_freezing_keeps_what_is_shown(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, backend):
        await pilot.press("space")
        await shows(app, "FROZEN +0")
        engine = backend.model.engine
        assert engine is not None
        before = screen_text(app).splitlines()[8:]
        backend.change(engine=replace(engine, received=engine.received + 1204, problems=()), at=NOW)
        await shows(app, "FROZEN +1,204")
        assert screen_text(app).splitlines()[8:] == before
        await pilot.press("space")
        await until(lambda: "FROZEN" not in screen_text(app))


async def test_zoom_copy_export_and_the_rest(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, _):
        copied: list[str] = []
        app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        await pilot.press("2", "z")
        await until(lambda: "advisory locks" not in screen_text(app))
        await pilot.press("escape")
        await shows(app, "advisory locks")
        await pilot.press("y", "Y")
        await until(lambda: len(copied) == 2)
        assert copied[0].startswith("users")
        assert "retention" in copied[1]
        await pilot.press("e", "enter")
        await shows(app, "Wrote 3 rows to")
        files = list(tmp_path.glob("job-list-*.txt"))
        assert len(files) == 1
        assert "retention" in files[0].read_text()
        await pilot.press("1", "left_square_bracket")
        await shows(app, "· 1 min ")
        await pilot.press("right_square_bracket", "right_square_bracket")
        await shows(app, "· 5 min ")
        await pilot.press("plus")
        await shows(app, "Shown 4 times a second")
        await pilot.press("minus", "minus", "minus", "minus")
        await shows(app, "Shown 0.5 times a second")
        theme = app.theme
        await pilot.press("t")
        assert app.theme != theme
        await shows(app, f'write to console.toml: theme = "{app.theme}"')


async def test_help_and_palette_know_each_action_of_the_view(tmp_path: Path) -> None:
    async with console(tmp_path, size=(100, 70)) as (app, pilot, _):
        await pilot.press("2", "question_mark")
        await until(lambda: isinstance(app.screen, Document))
        await pilot.pause(0.2)
        shown = screen_text(app)
        for action in ACTIONS:
            assert (action.id in shown) == (action.view in (None, "jobs")), action.id
        await pilot.press("escape", "colon")
        await until(lambda: len(app.screen_stack) == 2)
        await pilot.press(*"export the")
        await shows(app, "Write all rows of the pane to a file")
        await pilot.press("escape")


async def test_a_view_can_name_and_explain_a_shared_action_itself(tmp_path: Path) -> None:
    async with console(tmp_path, size=(100, 60)) as (app, pilot, _):
        for view, title in (("1", "Filter"), ("6", "Search"), ("7", "Filter")):
            await pilot.press(view)
            await shows(app, f"/ {title}")
            [action] = [one for one in app.offered() if one.id == "pane.filter"]
            assert action.title == title
        await pilot.press("6", "question_mark")
        await shows(app, "/       Search all stored messages while you type.")


@pytest.mark.parametrize("theme", THEMES)
async def test_what_is_dimmed_stands_back(tmp_path: Path, theme: str) -> None:
    """It has less contrast to the background than other text, and more than enough to be read."""
    async with console(tmp_path, options=ConsoleOptions(theme=theme)) as (app, _, _):
        await shows(app, "rate/s")
        strips = app.screen._compositor.render_strips()
        [head] = [strip for strip in strips if "last min" in strip.text]
        dimmed = next(segment.style for segment in head if "last min" in segment.text)
        assert dimmed is not None
        if theme.startswith("ansi"):
            assert dimmed.dim
            return
        assert dimmed.color is not None
        colors = app.get_css_variables()
        back = Color.parse(colors["background"]).brightness
        text = abs(Color.parse(colors["foreground"]).brightness - back)
        assert 0.4 < abs(Color.from_rich_color(dimmed.color).brightness - back) < text


def test_each_line_of_the_palette_is_whole_at_80_columns() -> None:
    for view in VIEW_CLASSES:
        for owner in (ConsoleApp, view, *view.PARTS):
            for method in declared(owner).values():
                title = Content(method.action.title)
                shown = palette_line(method.action, {}, title, 80).plain
                assert "…" not in shown, shown
                assert f"{title.plain} " in shown, shown


async def test_the_palette_has_one_line_for_a_command(tmp_path: Path) -> None:
    async with console(tmp_path, size=(80, 24)) as (app, pilot, _):
        await pilot.press("colon")
        await shows(app, "Reverse order")
        lines = screen_text(app).splitlines()
        number = next(n for n, text in enumerate(lines) if "Reverse order" in text)
        assert "Reverse the order" in lines[number]
        assert "Zoom" in lines[number + 1]
        await pilot.press("escape")


@pytest.mark.parametrize(("view", "keys"), [("2", "R"), ("1", "q"), ("3", "R")])
async def test_only_its_own_key_says_yes(tmp_path: Path, view: str, keys: str) -> None:
    async with console(tmp_path) as (app, pilot, backend):
        if view == "2":
            backend.engine = object()  # type: ignore[assignment]
        await pilot.press(view)
        await pilot.pause(0.3)
        others = () if keys == "q" else (keys,)  # a second q quits
        for leave in ("enter", "escape", "x", *others, "r", "Y"):
            await pilot.press(keys)
            await until(lambda: isinstance(app.screen, Confirm))
            await pilot.press(leave)
            if leave not in ("enter", "escape"):
                assert isinstance(app.screen, Confirm)
                await pilot.press("escape")
            await until(lambda: not isinstance(app.screen, Confirm))
        assert not backend.is_stopping


async def test_read_only_has_no_action_that_changes_anything(tmp_path: Path) -> None:
    options = ConsoleOptions(read_only=True)
    async with console(tmp_path, options=options) as (app, _, backend):
        backend.engine = object()  # type: ignore[assignment]
        await shows(app, "read-only")
        for number in VIEW_KEYS:
            keys = [action.keys.split(",")[0] for action in ACTIONS if action.changes]
            await press(app, number, *keys)
            assert len(app.screen_stack) == 1
        assert all(not action.changes for action in app.offered())


def test_keys_and_theme_are_kept_in_a_file_and_wrong_entries_warn(tmp_path: Path) -> None:
    def read() -> ConsoleOptions:
        return read_options(tmp_path, read_only=False, mouse=True, stop_on_hangup=False)

    assert read().warnings == ()
    (tmp_path / "console.toml").write_text(
        'theme = "none"\nsize = 3\n[keys]\n"jobs.run_job" = "J"\n"jobs.fly" = "f"\n"app.quit" = "hyper+!!"\n'
    )
    options = read()
    assert options.keys == {"jobs.run_job": "J"}
    assert options.theme == "tiger-dark"
    assert len(options.warnings) == 4
    (tmp_path / "console.toml").write_text("keys = [")
    assert len(read().warnings) == 1


def test_the_key_that_confirms_cannot_be_the_key_that_asks() -> None:
    for action in ACTIONS:
        keymap, warnings = remapped({action.id: f"f9,{CONFIRM_KEY}"})
        asks = action.changes or action.id == "app.quit"
        assert (action.id in keymap) != asks, action.id
        assert bool(warnings) == asks
    assert "'y' confirms" in remapped({"app.quit": "y"})[1][0]


@pytest.mark.parametrize("copies", [1, 400])
async def test_columns_are_sorted_and_reversed(tmp_path: Path, copies: int) -> None:
    """A few rows at once, many in slices."""
    async with console(tmp_path) as (app, pilot, backend):
        sizes = backend.model.database.sizes
        many = tuple(
            replace(size, name=f"{size.name}{number:03}", rows=size.rows + number)
            for size in sizes
            for number in range(copies)
        )
        backend.change(database=replace(backend.model.database, sizes=many))
        await pilot.press("2")
        pane = app.view.query_one("#sizes", Pane)
        pane.focus()
        own = sorted(size.name for size in many)
        by_rows = sorted(many, key=lambda size: -size.rows)

        async def has_order(names: list[str]) -> None:
            await until(lambda: [row.name for row in pane.rows] == names)

        await pilot.press("s")
        await has_order(own)
        await pilot.press("S")
        await has_order(own[::-1])
        await pilot.press("s")
        await has_order([size.name for size in by_rows])
        await shows(app, "by rows")
        await pilot.press("s", "s", "s")
        await has_order([size.name for size in many])


@pytest.mark.parametrize("is_long", [False, True])
async def test_a_filter_that_fails_is_logged_with_its_stack(
    is_long: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> str:
        raise ValueError("xoxb-token")

    async with console(tmp_path) as (app, pilot, _):
        await pilot.press("5")
        pane = app.view.pane
        assert pane is not None
        monkeypatch.setattr(pane._arrangement._row_filter, "_text", fail)
        if is_long:
            monkeypatch.setattr(pane._arrangement._row_filter, "wants_more", lambda *_: True)
        pane.filter_rows("slow")
        await until(lambda: any("filter" in record.message for record in caplog.records))
        [record] = [record for record in caplog.records if "filter" in record.message]
        assert record.exc_info is not None
        assert record.exc_info[0] is ValueError
        assert not pane.filter_text


async def test_a_remapped_key_is_shown_and_works(tmp_path: Path) -> None:
    keys, warnings = remapped({"view.jobs": "x"})
    assert not warnings
    async with console(tmp_path, options=ConsoleOptions(keys=keys)) as (app, pilot, _):
        await pilot.press("2")
        assert VIEWS[0] == app.view.NAME
        await pilot.press("x")
        assert app.view.NAME == "jobs"
        await pilot.press("question_mark")
        await shows(app, "x       Show jobs, locks")


def test_bindings_carry_their_ids() -> None:
    ids = {binding.id for binding in ConsoleApp.BINDINGS if binding.key != "ctrl+c"}
    assert ids == set(ConsoleApp.ACTIONS)


def test_actions_of_dialogs_and_fields_can_be_remapped_but_not_those_of_an_answer() -> None:
    for group in ACTION_GROUPS:
        for action in group.actions:
            assert action.help.endswith("."), action.id
            keymap, warnings = remapped({action.id: "f9"})
            assert (action.id in keymap) != action.is_fixed, action.id
            assert bool(warnings) == action.is_fixed
    assert "cannot be changed" in remapped({"question.yes": "x"})[1][0]
    assert "'y' confirms" in remapped({"question.down": "y"})[1][0]
    assert "'y' confirms" in remapped({"rules.save": "y"})[1][0]


async def test_a_remapped_key_of_a_field_is_shown_and_works(tmp_path: Path) -> None:
    options = ConsoleOptions(keys=remapped({"events.complete": "f8"})[0])
    async with console(tmp_path, options=options) as (app, pilot, _):
        await pilot.press("7", "slash", *"outc")
        await shows(app, "f8 Complete  Enter Accept  Esc Leave the field")
        await pilot.press("f8", "x")
        assert app.query_one(QueryField).value == "outcome:x"
        await pilot.press("escape")


def test_the_help_names_each_key_of_a_field_and_of_a_question() -> None:
    keys = {group.title: {one.keys for one in group.actions} for group in ACTION_GROUPS}
    for field in ("In the path", "In the search", "In the filters"):
        assert keys[field] == {"tab", "enter", "escape"}
    assert keys["In an option"] == keys["In a field below a pane"] == {"enter", "escape"}
    assert keys["In a question"] >= {"enter", "escape", CONFIRM_KEY}
    assert "rules.test" in {one.id for group in ACTION_GROUPS for one in group.actions}


async def test_a_remapped_key_of_the_rules_is_shown_and_works(tmp_path: Path) -> None:
    keys, _ = remapped({"rules.back": "f8"})
    options = ConsoleOptions(keys=keys)
    async with console(tmp_path, size=(100, 120), options=options) as (app, pilot, _):
        await pilot.press("3", "question_mark")
        await shows(app, "rules.back")
        await pilot.press("escape", "n")
        await shows(app, "f8 Back")
        await pilot.press("f8")
        await until(lambda: len(app.screen_stack) == 1)


async def test_typing_triggers_no_action(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, backend):
        await pilot.press("2", "slash", *"Rq1M")
        assert app.query_one("#filter", Input).value == "Rq1M"
        assert app.view.NAME == "jobs"
        assert not backend.is_stopping
        await pilot.press("escape")


async def test_a_pane_that_raises_shows_that_and_nothing_else_suffers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(tmp_path) as (app, _, backend):
        pane: Pane[object] = app.view.query_one("#last-problems", Pane)

        def fail(row: object, width: int) -> None:
            raise ValueError("xoxb-token")

        monkeypatch.setattr(pane, "_paint", fail)
        backend.change(at=NOW + 1)
        await shows(app, "✗ cannot be shown: ValueError at pane.py")
        assert "xoxb" not in screen_text(app)
        assert "by type" in screen_text(app)


def test_ascii_where_the_locale_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C")
    assert read_options(tmp_path, read_only=False, mouse=True, stop_on_hangup=False).ascii
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert not read_options(tmp_path, read_only=False, mouse=True, stop_on_hangup=False).ascii
    monkeypatch.setenv("TERM", "linux")
    assert read_options(tmp_path, read_only=False, mouse=True, stop_on_hangup=False).ascii
