"""`tiger-slack init`: asks for the settings, checks each at once, and writes them to .env."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from tiger_slack_tui.base.errors import SettingsError, TigerSlackError
from tiger_slack_tui.base.own_command import own_command
from tiger_slack_tui.base.setting_list import masked
from tiger_slack_tui.base.settings import (
    ENV_FILE,
    SLACK_API_URL,
    load,
    load_with_slack,
    read_env_file,
)
from tiger_slack_tui.base.text import amount, visible
from tiger_slack_tui.checks.check import Check
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.doctor import check_all, check_lines, failed_checks
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import wrapped
from tiger_slack_tui.setup.app_link import create_app_link
from tiger_slack_tui.setup.checks import (
    slack_web,
    try_app_token,
    try_bot_token,
    try_database,
    try_history_since,
)
from tiger_slack_tui.setup.env_file import write_settings
from tiger_slack_tui.setup.join_channels import Joining, join_channels, joinable_channels

T = TypeVar("T")

_EMBEDDED = "embedded"
"""What is typed for the embedded PostgreSQL."""
_ALL = "all"


@click.command()
@click.option(
    "--bot-token-file", type=options.PathType(exists=True), help="File with the bot token."
)
@click.option(
    "--app-token-file", type=options.PathType(exists=True), help="File with the app token."
)
@click.option(
    "--database-url", metavar="URL", help=f"Address of the database, or the word {_EMBEDDED}."
)
@click.option(
    "--history-since", metavar="WHEN", help="Where the history begins: all, a date, or 1y."
)
@click.option("--join-public", is_flag=True, help="Let the app join all public channels.")
@click.option("--yes", is_flag=True, help="Ask nothing; keep what is set, and use defaults.")
@plain_errors
def init(
    bot_token_file: Path | None,
    app_token_file: Path | None,
    database_url: str | None,
    history_since: str | None,
    join_public: bool,
    yes: bool,
) -> None:
    """Set up: ask for the settings, check each, and write them to .env.

    Enter keeps a value that is set. Without a terminal, give the options and --yes. Exit code 1: a check failed.
    """
    if not yes and not has_terminal():
        raise click.UsageError("There is no terminal to ask: give the options and --yes.")
    given = {
        "SLACK_BOT_TOKEN": _token_of(bot_token_file),
        "SLACK_APP_TOKEN": _token_of(app_token_file),
        "DATABASE_URL": database_url,
        "TIGER_SLACK_HISTORY_SINCE": history_since,
    }
    set_up({name: value for name, value in given.items() if value}, asks=not yes, joins=join_public)


def has_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def lacks_tokens() -> bool:
    """Whether neither of the two tokens is set, as before the set-up."""
    file = read_env_file()
    return not any(os.environ.get(name) or file.get(name) for name in _WHERE)


def set_up(given: dict[str, str], *, asks: bool, joins: bool) -> None:
    """Go through all steps. Raises ChecksFailed if a check failed that nobody could be asked about."""
    steps = _Steps(given, read_env_file(), asks=asks)
    steps.explain()
    bot_token = steps.token("SLACK_BOT_TOKEN", "Bot token (xoxb-…)", try_bot_token)
    steps.token("SLACK_APP_TOKEN", "App token (xapp-…)", try_app_token)
    steps.database()
    steps.history()
    steps.write()
    steps.join(bot_token, wanted=joins)
    _finish()


def _token_of(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(f"{file} cannot be read: {reason}.") from None


@dataclass
class _Steps:
    """The questions, and the answers so far."""

    given: dict[str, str]
    """Values of the command line, which are not asked for."""
    present: dict[str, str]
    """The values of .env."""
    asks: bool
    answers: dict[str, str | None] = field(default_factory=dict)
    """The settings to write; None removes one."""

    @property
    def api_url(self) -> str:
        url = self._present("SLACK_API_URL") or SLACK_API_URL
        return url if url.endswith("/") else f"{url}/"

    def _present(self, name: str) -> str:
        """What a run would use now: the environment overrides .env."""
        return os.environ.get(name, self.present.get(name, "")).strip()

    def explain(self) -> None:
        if not self.asks:
            return
        _say(
            "This makes a Slack app of your own, which reads the workspace and stores it in your database. Nothing"
            " leaves your machines. You need the right to install apps in the workspace."
        )
        click.echo(
            "\n1. Slack app. If there is none yet, open this link, choose the workspace, and create it:\n"
        )
        click.echo(create_app_link())

    def token(
        self, name: str, title: str, check: Callable[[str, str], Coroutine[Any, Any, list[Check]]]
    ) -> str:
        """Ask for a token until Slack accepts it, and return it."""
        if self.asks:
            click.echo()
            _say(_WHERE[name])

        def checks(token: str) -> list[Check]:
            return asyncio.run(check(token, self.api_url))

        return self._ask(name, title, checks, is_secret=True)

    def database(self) -> None:
        if self.asks:
            click.echo()
            _say(
                "2. Database. The address of a PostgreSQL or TimescaleDB, or the word embedded: then this program"
                " runs a PostgreSQL of its own, which is good for a trial and for small workspaces. An address:"
            )
            click.echo("postgresql://USER:PASSWORD@HOST:5432/DATABASE")
        if os.environ.get("PGHOST") or self.present.get("PGHOST"):
            return  # libpq's variables name the database

        def checks(answer: str) -> list[Check]:
            return asyncio.run(try_database(None if answer == _EMBEDDED else answer))

        answer = self._ask("DATABASE_URL", "Database", checks, default=_EMBEDDED)
        if answer == _EMBEDDED:
            self.answers["DATABASE_URL"] = None

    def history(self) -> None:
        if self.asks:
            click.echo()
            _say(
                "3. History. When the app joins a channel, it reads the channel's history from Slack: all of it, or"
                " since a date (2024-03-01) or a time before now (1y, 6mo)."
            )
        name = "TIGER_SLACK_HISTORY_SINCE"
        if self._ask(name, "History since", try_history_since, default=_ALL) == _ALL:
            self.answers[name] = None

    def _ask(
        self,
        name: str,
        title: str,
        check: Callable[[str], list[Check]],
        *,
        default: str = "",
        is_secret: bool = False,
    ) -> str:
        """The answer, once its checks pass or the operator takes it all the same. It is noted in `answers`."""
        offered = self.given.get(name) or self._present(name) or default
        while True:
            answer = offered
            if self.asks and name not in self.given:
                answer = _prompt(title, offered, name, is_secret=is_secret)
            if not answer:
                raise SettingsError(
                    f"{name} is missing.", hint=f"Give {_OPTIONS[name]}, or {_LINK}"
                )
            checks = check(answer)
            for each in checks:
                click.echo("\n".join(check_lines(each)))
            failed = failed_checks(checks)
            if not failed or (self.asks and _is_usable(name, answer) and _takes_it()):
                self.answers[name] = answer
                return answer
            if not self.asks:
                raise failed
            self.given.pop(name, None)

    def write(self) -> None:
        """Write what differs from .env, after a question."""
        changes = {
            name: value
            for name, value in self.answers.items()
            if value != self.present.get(name) and (value or name in self.present)
        }
        path = Path(ENV_FILE)
        click.echo()
        if not changes:
            click.echo(f"{path.absolute()} has these settings already.")
            return
        for name, value in changes.items():
            shown = masked(name, value) if value else "(removed)"
            click.echo(f"  {name}={visible(shown)}")
        if self.asks and not click.confirm(f"Write them to {path.absolute()}?", default=True):
            raise click.Abort
        write_settings(path, changes)
        click.echo(f"Written to {path.absolute()}, which only you can read.")
        for name in changes:
            if name in os.environ:
                _say(f"! {name} is also set in the environment, which overrides the file.")

    def join(self, bot_token: str, *, wanted: bool) -> None:
        """Let the app join the public channels, if that is wanted."""
        if not wanted and not self.asks:
            return
        click.echo()
        _say(
            "4. Channels. Slack sends only what happens in channels that the app is in. It can join public ones by"
            " itself. Invite it to a private one there: /invite @tiger-slack. Slack does not show it the others."
        )
        try:
            joining = asyncio.run(self._join(bot_token, wanted=wanted))
        except TigerSlackError as error:
            _say(f"! The channels were not joined: {error}")
            return
        if joining is None:
            return
        click.echo(f"Joined {amount(joining.joined, 'channel')}.")
        for channel, reason in joining.refused:
            _say(f"! #{visible(channel.name)}: {visible(reason)}")

    async def _join(self, bot_token: str, *, wanted: bool) -> Joining | None:
        async with slack_web(bot_token=bot_token, api_url=self.api_url) as web:
            channels = await joinable_channels(web)
            if not channels:
                click.echo("The app is in every public channel.")
                return None
            number = amount(len(channels), "public channel")
            seconds = len(channels) * 1.2
            question = f"Join {number} that the app is not in? It takes {_duration(seconds)}."
            if not wanted and not click.confirm(question, default=False):
                return None
            with click.progressbar(length=len(channels), label=f"Joining {number}") as bar:
                return await join_channels(web, channels, lambda: bar.update(1))


_WHERE = {
    "SLACK_BOT_TOKEN": "On the app's page, choose “Install App”, install it, and copy the Bot User OAuth Token.",
    "SLACK_APP_TOKEN": "On the page “Basic Information”, under App-Level Tokens, generate a token with the scope"
    " connections:write, and copy it.",
}


_OPTIONS = {"SLACK_BOT_TOKEN": "--bot-token-file FILE", "SLACK_APP_TOKEN": "--app-token-file FILE"}
_LINK = "run tiger-slack init in a terminal, which shows how to make the Slack app."


def _prompt(title: str, offered: str, name: str, *, is_secret: bool) -> str:
    """What is typed; Enter keeps what is offered."""
    shown = f" [{visible(masked(name, offered))}]" if offered else ""
    while True:
        typed: str = click.prompt(
            f"{title}{shown}", default="", show_default=False, hide_input=is_secret
        )
        if answer := typed.strip() or offered:
            return answer


def _is_usable(name: str, answer: str) -> bool:
    """Whether a run could begin with the answer: then its checks can pass later."""
    if answer == _EMBEDDED:
        return True
    try:
        load_with_slack({"SLACK_BOT_TOKEN": "xoxb-", "SLACK_APP_TOKEN": "xapp-"} | {name: answer})
    except SettingsError:
        return False
    return True


def _takes_it() -> bool:
    return click.confirm("Use it all the same?", default=False)


def _finish() -> None:
    """Run all of doctor's checks, and name the next command. Raises ChecksFailed."""
    click.echo("\nAll checks of tiger-slack doctor:")
    checks = asyncio.run(check_all(load(), is_first=True))
    for each in checks:
        click.echo("\n".join(check_lines(each)))
    if failed := failed_checks(checks):
        raise failed
    click.echo(f"\nReady. To start: {own_command()}")


def _duration(seconds: float) -> str:
    return "a few seconds" if seconds < 15 else f"about {max(round(seconds / 60), 1)} min"


def _say(text: str) -> None:
    click.echo("\n".join(wrapped(text)))
