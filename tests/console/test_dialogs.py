"""Dialogs are answered once, whatever keys wait in their queue, and outlive a terminal that is made small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.content import Content
from textual.keys import key_to_character

from tests.console.canned import CannedBackend, screen_text, shows
from tests.console.test_any_size import backend_of
from tests.support import until
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.panes.event_pane import EventPane
from tiger_slack_tui.console.panes.paint import line
from tiger_slack_tui.console.panes.pane import Body
from tiger_slack_tui.console.screens.dialog import Confirm, ConfirmQuit, Dialog, Document
from tiger_slack_tui.console.screens.rules import RuleDraft, RulesScreen


def post(app: ConsoleApp, *keys: str) -> None:
    """Put the keys into the dialog's own queue at once, as a terminal that sends them in one piece."""
    for key in keys:
        app.screen.post_message(events.Key(key, key_to_character(key)))


@pytest.mark.parametrize("keys", ["enter", "escape", "y"])
async def test_two_quick_keys_answer_a_question_once(tmp_path: Path, keys: str) -> None:
    app = ConsoleApp(backend_of(tmp_path), ConsoleOptions())
    async with app.run_test() as pilot:
        await pilot.press("2")
        answers: list[bool | None] = []
        await app.push_screen(Confirm("Run it?", ["Now."], verb="Run"), callback=answers.append)
        post(app, keys, keys, "y", "enter")
        await until(lambda: len(app.screen_stack) == 1)
        await pilot.pause()
        assert answers == [keys == "y"]


async def test_enter_gives_the_marked_answer(tmp_path: Path) -> None:
    app = ConsoleApp(backend_of(tmp_path), ConsoleOptions())
    async with app.run_test() as pilot:
        for move, expected in (((), False), (("tab",), True), (("right", "left"), False)):
            answers: list[bool | None] = []
            await app.push_screen(Confirm("Run it?", ["Now."], verb="Run"), callback=answers.append)
            await pilot.press(*move)
            marked = "▸ Run (y)" if expected else "▸ Cancel (Esc)"
            await until(lambda marked=marked: marked in screen_text(app))
            await pilot.press("enter")
            await until(lambda answers=answers: bool(answers))
            assert answers == [expected]


@pytest.mark.parametrize("keys", [("q", "q"), ("ctrl+c", "ctrl+c"), ("q", "ctrl+c")])
async def test_the_key_that_quits_asks_first_and_says_yes_the_second_time(
    tmp_path: Path, keys: tuple[str, str]
) -> None:
    app = ConsoleApp(backend_of(tmp_path), ConsoleOptions())
    stopped: list[bool] = []
    async with app.run_test() as pilot:
        app.stop = lambda: stopped.append(True)  # type: ignore[method-assign]
        await pilot.press("2", "slash", "x")  # Ctrl-C works also while a text is typed
        if keys[0] == "q":
            await pilot.press("escape")
        await pilot.press(keys[0])
        await until(lambda: isinstance(app.screen, ConfirmQuit))
        assert not stopped
        await pilot.press(keys[1])
        await until(lambda: stopped == [True])


async def test_two_quick_keys_close_a_text_once(tmp_path: Path) -> None:
    app = ConsoleApp(backend_of(tmp_path), ConsoleOptions())
    async with app.run_test() as pilot:
        text = Document("A text", lambda _: [])
        await app.push_screen(text)
        text.act_back()
        text.act_back()
        await until(lambda: len(app.screen_stack) == 1)
        await pilot.pause()


async def test_a_text_is_folded_at_the_width_of_the_terminal(tmp_path: Path) -> None:
    app = ConsoleApp(backend_of(tmp_path), ConsoleOptions())
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(
            Document("A text", lambda _: [line("  " + "and so on " * 12 + "to the end")])
        )
        for width in (80, 60):
            await pilot.resize_terminal(width, 24)
            await until(lambda: "to the end" in screen_text(app))
            [first, second, *_] = screen_text(app).splitlines()[1:]
            assert first.startswith("  and so on")
            assert width - 6 < len(first) <= width
            assert (second[:4], second[4] != " ") == ("    ", True)


async def test_a_text_that_cannot_be_made_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: int) -> list[Content]:
        raise ValueError("xoxb-token")

    app = ConsoleApp(backend_of(tmp_path), ConsoleOptions())
    async with app.run_test(size=(80, 24)):
        await app.push_screen(Document("A text", fail))
        await until(lambda: "This text could not be made: ValueError" in screen_text(app))
        assert "xoxb-token" not in screen_text(app)
    assert any(record.exc_info for record in caplog.records)


async def test_each_dialog_explains_its_keys(tmp_path: Path) -> None:
    """And the key that asks for it closes the help again, which is wrapped at every width."""
    backend = backend_of(tmp_path)
    app = ConsoleApp(backend, ConsoleOptions())
    dialogs: list[tuple[Dialog[Any], str]] = [
        (Confirm("Run it?", ["Now."], verb="Run"), "question.other"),
        (ConfirmQuit("Quit?", ["Now."], verb="Quit", quit_keys=["q"]), "question.other"),
        (Document("A text", lambda _: []), "text.copy"),
        (RulesScreen(app, backend, RuleDraft(), lambda _: None), "rules.switch"),
    ]
    async with app.run_test(size=(62, 50)) as pilot:
        for dialog, action in dialogs:
            await app.push_screen(dialog)
            await pilot.press("question_mark")
            await shows(app, action)
            await pilot.press("question_mark")
            await until(lambda dialog=dialog: app.screen is dialog)
            await pilot.press("escape")
            await until(lambda: len(app.screen_stack) == 1)
        await pilot.press("question_mark")
        await shows(app, "Shows whether ingestion is healthy")
        assert max(map(len, screen_text(app).splitlines())) <= 62
        await pilot.resize_terminal(100, 50)
        await until(lambda: max(map(len, screen_text(app).splitlines()[1:20])) > 85)


async def test_a_question_outlives_a_small_terminal(tmp_path: Path) -> None:
    app = ConsoleApp(backend_of(tmp_path), ConsoleOptions())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("q")
        await until(lambda: isinstance(app.screen, Confirm))
        await pilot.resize_terminal(20, 5)
        await pilot.pause()
        shown = screen_text(app)
        assert "y" in shown
        assert "…" not in shown, "the view shows beside the question"
        assert "Cancel (Esc)" in " ".join(shown.split())
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert isinstance(app.screen, Confirm)
        # Nobody can see it in a terminal of one character.
        await pilot.resize_terminal(1, 1)
        await until(lambda: len(app.screen_stack) == 1)


async def test_below_a_dialog_stand_its_own_keys(tmp_path: Path) -> None:
    """Those of the view do nothing then. When it is closed, they are back."""
    app = ConsoleApp(backend_of(tmp_path), ConsoleOptions())
    async with app.run_test(size=(80, 24)) as pilot:
        for key, own in (("q", "y Quit  Esc Cancel"), ("colon", "Enter Run")):
            await pilot.press(key)
            await until(lambda own=own: own in screen_text(app).splitlines()[-1])
            await pilot.press("escape")
            await until(lambda: "q Quit" in screen_text(app).splitlines()[-1])


async def test_an_event_is_not_folded_before_its_pane_has_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow machine the lines for a narrow pane were shown for a moment."""
    early: list[int] = []
    show = EventPane.show

    def note(pane: EventPane, body: Body[Any]) -> None:
        if not pane.size.width and body.title == "Ev2":
            early.append(len(body.rows))
        show(pane, body)

    monkeypatch.setattr(EventPane, "show", note)
    app = ConsoleApp(CannedBackend(tmp_path), ConsoleOptions())
    async with app.run_test(size=(80, 24)) as pilot:
        for key in ("3", "1", "3"):
            await pilot.press(key)
            await until(lambda key=key: key == "1" or "Ev2 ──" in screen_text(app))
    assert early
    assert not any(early)
