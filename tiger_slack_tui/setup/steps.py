"""The questions of the set-up, the same for the command and for the console, and the answers to them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.setting_list import masked
from tiger_slack_tui.base.settings import SLACK_API_URL, load_with_slack
from tiger_slack_tui.checks.check import Check
from tiger_slack_tui.setup.app_link import create_app_link
from tiger_slack_tui.setup.checks import (
    slack_web,
    try_app_token,
    try_bot_token,
    try_database,
    try_history_since,
)
from tiger_slack_tui.slack.pages import OnWait
from tiger_slack_tui.slack.web import SlackWeb

EMBEDDED = "embedded"
"""The answer that stands for the embedded PostgreSQL."""
_ALL = "all"
_DATABASE, _DIRECT = "DATABASE_URL", "DATABASE_DIRECT_URL"
_NOT_FILLED_IN = ("xoxb-", "xapp-")
"""The tokens of .env.sample."""
INTRODUCTION = (
    "This makes a Slack app of your own, which reads the workspace and stores it in your database. Nothing leaves"
    " your machines. You need the right to install apps in the workspace."
)


@dataclass(frozen=True, slots=True)
class Step:
    """A question. `check` checks an answer at once, and returns its problems as failed checks.

    While Slack asks to wait, `check` calls its second argument.
    """

    setting: str
    title: str
    explanation: str
    example: str | None
    """A line to copy, or to write alike."""
    check: Callable[[str, OnWait], Coroutine[Any, Any, list[Check]]]
    default: str = ""
    """With this answer, .env does not need the setting; "" if it always does."""
    is_secret: bool = False
    option: str = ""
    """The option of `tiger-slack init` that gives the answer."""

    def shown(self, answer: str) -> str:
        """The answer without secrets."""
        return answer if answer.lower() == self.default else masked(self.setting, answer)

    def is_usable(self, answer: str, checks: Sequence[Check]) -> bool:
        """Whether a run could begin with the answer, although a check failed: all of `checks` can pass later."""
        if any(check.is_final for check in checks):
            return False
        if answer.lower() == self.default:
            return bool(answer)
        tokens = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}
        try:
            load_with_slack(tokens | {self.setting: answer})
        except SettingsError:
            return False
        return True


class Answers:
    """What is set in .env and in the environment, and what was answered."""

    def __init__(self, file: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self._file = file
        self._environ = environ
        self._given: dict[str, str | None] = {}

    @property
    def api_url(self) -> str:
        """The address of Slack's Web API, with a slash at its end."""
        url = self._present("SLACK_API_URL") or SLACK_API_URL
        return url if url.endswith("/") else f"{url}/"

    @property
    def lack_tokens(self) -> bool:
        """Whether neither of the two tokens is set, as before the first set-up."""
        return not self._present("SLACK_BOT_TOKEN") and not self._present("SLACK_APP_TOKEN")

    def steps(self) -> list[Step]:
        """The questions. The database is not asked for if libpq's variables name it."""
        return [
            step
            for step in make_steps(self.api_url)
            if step.setting != "DATABASE_URL" or not self._present("PGHOST")
        ]

    def offered(self, step: Step) -> str:
        """The answer that is offered: the last one, or else what a run would use now, or else the default."""
        if step.setting in self._given:
            return self._given[step.setting] or step.default
        return self._present(step.setting) or step.default

    def accept(self, step: Step, answer: str) -> None:
        self._given[step.setting] = None if answer.lower() == step.default else answer
        if step.setting == _DATABASE and answer.lower() == EMBEDDED and _DIRECT in self._file:
            self._given[_DIRECT] = None  # it has no pooler

    def given(self, setting: str) -> str:
        """What was answered; "" for the default."""
        return self._given.get(setting) or ""

    def slack_web(self) -> AbstractAsyncContextManager[SlackWeb]:
        """Slack's Web API with the bot token that was answered."""
        return slack_web(bot_token=self.given("SLACK_BOT_TOKEN"), api_url=self.api_url)

    def changes(self) -> dict[str, str | None]:
        """What differs from .env. None removes a setting."""
        return {name: value for name, value in self._given.items() if value != self._file.get(name)}

    def check(self) -> None:
        """Raise SettingsError if a run could not use .env with the changes, although each answer is right."""
        values = dict(self._file)
        for name, value in self.changes().items():
            values.pop(name, None)
            if value is not None:
                values[name] = value
        load_with_slack(values | dict(self._environ))

    def shown_changes(self) -> list[str]:
        """The changes as lines, without secrets."""
        return [
            f"{name}={masked(name, value)}" if value else f"{name} is removed"
            for name, value in self.changes().items()
        ]

    def overridden(self) -> list[str]:
        """A sentence for each answer that a run would not use, because the environment sets something else."""
        return [
            f"{name} is also set in the environment, which overrides the file."
            for name, value in self._given.items()
            if name in self._environ and self._environ[name].strip() != (value or "")
        ]

    def _present(self, name: str) -> str:
        value = self._environ.get(name, self._file.get(name, "")).strip()
        return "" if value in _NOT_FILLED_IN else value


def make_steps(api_url: str) -> tuple[Step, ...]:
    """All questions, in their order. `api_url` is the address of Slack's Web API."""
    return (
        Step(
            "SLACK_BOT_TOKEN",
            "Bot token",
            "If there is no Slack app yet, open this link, which is one long line, choose the workspace, and create"
            " the app. On the app's page, choose “Install App”, install it, and copy the Bot User OAuth Token.",
            create_app_link(),
            lambda answer, on_wait: try_bot_token(answer, api_url, on_wait),
            is_secret=True,
            option="--bot-token-file FILE",
        ),
        Step(
            "SLACK_APP_TOKEN",
            "App token",
            "On the page “Basic Information”, under App-Level Tokens, generate a token with the scope"
            " connections:write, and copy it.",
            None,
            lambda answer, on_wait: try_app_token(answer, api_url, on_wait),
            is_secret=True,
            option="--app-token-file FILE",
        ),
        Step(
            "DATABASE_URL",
            "Database",
            "The address of a PostgreSQL or TimescaleDB, or the word embedded: then this program runs a PostgreSQL of"
            " its own, which is good for a trial and for small workspaces. An address:",
            "postgresql://USER:PASSWORD@HOST:5432/DATABASE",
            lambda answer, _: try_database(None if answer.lower() == EMBEDDED else answer),
            default=EMBEDDED,
            option="--database-url URL or --database-url-file FILE",
        ),
        Step(
            "TIGER_SLACK_HISTORY_SINCE",
            "History",
            "When the app joins a channel, it reads the channel's history from Slack: all of it, or since a date"
            " (2024-03-01) or a time before now (1y, 6mo).",
            None,
            lambda answer, _: try_history_since(answer),
            default=_ALL,
            option="--history-since WHEN",
        ),
    )
