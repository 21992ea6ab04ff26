"""The screen of the set-up: its pictures, and what is written at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from tests.console.canned import screen_text
from tests.console.conftest import Pictures
from tests.support import until
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.checks.check import Check, CheckState
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.setup import FinalChecks, SetupApp
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.setup import join_channels
from tiger_slack_tui.setup.steps import Answers
from tiger_slack_tui.slack.pages import OnWait


async def final_checks(_: OnWait) -> list[Check]:
    fix = "Synchronise this machine's clock with a time server (NTP), and restart the service."
    return [
        Check("bot token", CheckState.OK, "U0TIGER of Local"),
        Check("clock", CheckState.WARNING, "differs from Slack's by 9 s", fix),
    ]


class Screen:
    """The set-up as a person sees it and types into it."""

    def __init__(self, app: SetupApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def shows(self, text: str) -> None:
        await until(lambda: text in screen_text(self.app), 20)

    async def type(self, text: str) -> None:
        """Write the answer in place of the last one, and press Enter."""
        field = self.app.query_one("#answer", Input)
        field.value = text
        await self.pilot.press("enter")


@asynccontextmanager
async def screen(
    slack: LocalSlack,
    file: Mapping[str, str] | None = None,
    checks: FinalChecks = final_checks,
) -> AsyncIterator[Screen]:
    answers = Answers(file or {}, {"SLACK_API_URL": slack.url})
    options = ConsoleOptions()
    app = SetupApp(answers, Path(".env"), checks, options)
    async with app.run_test(size=(80, 24)) as pilot:
        yield Screen(app, pilot)


def channel(number: int) -> dict[str, Any]:
    return {"id": f"C{number}", "name": f"ops-{number}", "is_channel": True}


async def test_from_the_first_question_to_the_start(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join_channels, "JOIN_SECONDS", 0)
    directory = Directory([], [channel(1), channel(2)])
    async with LocalSlack(directory=directory) as slack, screen(slack) as setup:
        await setup.shows("▸ Bot token")
        await pictures("setup-first", setup.app, setup.pilot)
        await setup.type("")
        await setup.shows("An answer is needed")
        await setup.type("xapp-other")
        await setup.shows("it is an app-level token")
        assert "xapp-other" not in screen_text(setup.app)
        await pictures("setup-refused", setup.app, setup.pilot)
        await setup.type(slack.bot_token)
        await setup.shows("▸ App token")
        await setup.type(slack.app_token)
        await setup.shows("▸ Database")
        await setup.type("postgresql://127.0.0.1:1/db")
        await setup.shows("Enter again uses it all the same")
        await setup.type("postgresql://127.0.0.1:1/db")
        await setup.shows("▸ History")
        await setup.type("soon")
        await setup.shows("is neither a date nor a duration")
        await setup.type("1y")
        await setup.shows("▸ Write")
        assert not (tmp_path / ".env").exists()
        await pictures("setup-write", setup.app, setup.pilot)
        await setup.pilot.press("enter")
        await setup.shows("▸ Channels")
        await setup.type("maybe")
        await setup.shows("Write yes or no")
        await setup.type("yes")
        await setup.shows("Joined 2 channels")
        await setup.shows("differs from Slack's")
        await pictures("setup-start", setup.app, setup.pilot)
        for width, height in ((20, 6), (3, 2), (80, 24)):
            await setup.pilot.resize_terminal(width, height)
        await setup.pilot.press("enter")
        await until(lambda: setup.app.is_done)
        assert dotenv_values(".env") == {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "DATABASE_URL": "postgresql://127.0.0.1:1/db",
            "TIGER_SLACK_HISTORY_SINCE": "1y",
        }
    assert all(each["is_member"] for each in directory.channels.values())


async def test_a_correction_in_one_burst_goes_into_the_field(tmp_path: Path) -> None:
    async with LocalSlack() as slack, screen(slack) as setup:
        await setup.shows("▸ Bot token")
        for answer in ("wrong", slack.bot_token):
            for key in ("ctrl+u", *answer, "enter"):
                setup.app.post_message(Key(key, key if len(key) == 1 else None))
        await setup.shows("▸ App token")


async def test_what_slack_asks_to_wait_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Directory([], [channel(1), channel(2)])
    async with LocalSlack(directory=directory) as slack:
        file = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token}
        async with screen(slack, file) as setup:
            slack.faults.http_429, slack.faults.wait = 1, 40
            await setup.type("")
            await setup.shows("Slack asks to wait, goes on in 39 s")
            await setup.pilot.press("escape")
            slack.faults.http_429 = 0
            for title in ("Bot token", "App token", "Database", "History", "Write"):
                await setup.shows(f"▸ {title}")
                await setup.type("")
            await setup.shows("▸ Channels")
            slack.tiers = {"conversations.join": (1, 60.0)}
            await setup.type("yes")
            await setup.shows("joining 1 of 2 channels: Slack asks to wait, goes on in")


async def test_back_and_leave(tmp_path: Path) -> None:
    async with LocalSlack() as slack:
        file = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token}
        async with screen(slack, file) as setup:
            await setup.shows("▸ Bot token")
            await setup.type("")  # keeps the one of .env
            await setup.shows("▸ App token")
            await setup.pilot.press("escape")
            await setup.shows("▸ Bot token")
            await setup.pilot.press("escape")  # there is nothing before
            await setup.type("")
            await setup.shows("▸ App token")
            await setup.pilot.press("ctrl+c")
            await until(lambda: not setup.app.is_running)
            assert not setup.app.is_done
    assert list(tmp_path.iterdir()) == []


async def test_slack_that_does_not_answer_holds_up_no_key() -> None:
    async with LocalSlack() as slack:
        slack.hold = asyncio.Event()
        async with screen(slack, {"SLACK_BOT_TOKEN": slack.bot_token}) as setup:
            for title in ("Bot token", "App token", "Database", "History", "Write"):
                await setup.shows(f"▸ {title}")
                await setup.type(slack.app_token if title == "App token" else "")
            await setup.shows("▸ Channels")
            await setup.type("yes")
            await setup.shows("asking Slack for the channels")
            await setup.pilot.press("escape")
            await setup.shows("▸ Write")
        slack.hold.set()


async def test_checks_that_go_on_after_the_page_was_left_show_nothing() -> None:
    given: list[OnWait] = []

    async def waiting_checks(on_wait: OnWait) -> list[Check]:
        given.append(on_wait)
        await asyncio.Event().wait()
        return []

    async with LocalSlack() as slack:
        file = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token}
        async with screen(slack, file, waiting_checks) as setup:
            for title in ("Bot token", "App token", "Database", "History", "Write", "Channels"):
                await setup.shows(f"▸ {title}")
                await setup.type("")
            await until(lambda: bool(given))
            given[0](9)
            await setup.shows("Slack asks to wait, goes on in 9 s")
            await setup.pilot.press("escape")
            await setup.shows("▸ Channels")
            given[0](8)
            await setup.pilot.pause()
            assert "Slack asks to wait" not in screen_text(setup.app)


async def test_settings_that_do_not_fit_together_are_said() -> None:
    async def refuse(_: OnWait) -> list[Check]:
        raise SettingsError("DATABASE_DIRECT_URL is set, but DATABASE_URL is not.")

    async with LocalSlack() as slack:
        file = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "DATABASE_URL": "postgresql://127.0.0.1:1/db",
        }
        async with screen(slack, file, refuse) as setup:
            for title in ("Bot token", "App token"):
                await setup.shows(f"▸ {title}")
                await setup.type("")
            await setup.shows("▸ Database")
            await setup.type("embedded")
            await setup.shows("▸ History")
            await setup.pilot.press("escape")
            await setup.shows("▸ Database")
            await setup.type("")  # the answer of before, not the file's
            await setup.shows("▸ History")
            await setup.type("")
            await setup.shows("DATABASE_URL is removed")
            await setup.type("")
            await setup.shows("▸ Channels")
            await setup.type("no")
            await setup.shows("DATABASE_DIRECT_URL is set, but DATABASE_URL is not")


@pytest.mark.parametrize("fault", ["failed check", "bug"])
async def test_failed_checks_are_no_reason_to_say_that_all_is_set(fault: str) -> None:
    async def checks(_: OnWait) -> list[Check]:
        if fault == "bug":
            raise KeyError("a secret")
        return [Check("database", CheckState.FAILED, "it is away", "Start it.")]

    async with LocalSlack() as slack:
        file = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token}
        async with screen(slack, file, checks) as setup:
            for title in ("Bot token", "App token", "Database", "History", "Write", "Channels"):
                await setup.shows(f"▸ {title}")
                await setup.type("")
            await setup.shows("A run cannot work yet" if fault != "bug" else "could not be made")
            shown = screen_text(setup.app)
            assert ("it is away" if fault != "bug" else "KeyError at") in shown
            assert "Enter starts all the same" in shown
            assert "a secret" not in shown


def test_a_copy_of_the_sample_has_no_tokens() -> None:
    sample = dotenv_values(Path(__file__).parents[2] / ".env.sample")
    answers = Answers({name: value or "" for name, value in sample.items()}, {})
    assert answers.lack_tokens
    assert [step.setting for step in answers.steps() if not answers.offered(step)] == [
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
    ]
