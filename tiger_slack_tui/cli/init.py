"""`tiger-slack init`: asks for the settings, checks each at once, and writes them to .env."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from tiger_slack_tui.base.errors import SettingsError, TigerSlackError
from tiger_slack_tui.base.own_command import own_command
from tiger_slack_tui.base.setting_list import masked
from tiger_slack_tui.base.settings import ENV_FILE, load, read_env_file
from tiger_slack_tui.base.text import amount, visible
from tiger_slack_tui.checks.check import Check
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.doctor import check_all, check_lines, failed_checks, summary
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import wrapped
from tiger_slack_tui.setup.checks import slack_web
from tiger_slack_tui.setup.env_file import write_settings
from tiger_slack_tui.setup.join_channels import (
    Joining,
    join_channels,
    join_minutes,
    joinable_channels,
)
from tiger_slack_tui.setup.steps import CHANNELS, INTRODUCTION, Answers, Step


@click.command()
@click.option(
    "--bot-token-file", type=options.PathType(exists=True), help="File with the bot token."
)
@click.option(
    "--app-token-file", type=options.PathType(exists=True), help="File with the app token."
)
@click.option(
    "--database-url", metavar="URL", help="Address of the database, or the word embedded."
)
@click.option(
    "--database-url-file",
    type=options.PathType(exists=True),
    help="File with that address: others can see a command line and its password.",
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
    database_url_file: Path | None,
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
        "SLACK_BOT_TOKEN": _content(bot_token_file),
        "SLACK_APP_TOKEN": _content(app_token_file),
        "DATABASE_URL": database_url or _content(database_url_file),
        "TIGER_SLACK_HISTORY_SINCE": history_since,
    }
    questions = _Questions({name: value for name, value in given.items() if value}, asks=not yes)
    questions.ask_all()
    questions.write()
    questions.join(wanted=join_public)
    _finish()


def has_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _content(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(f"{file} cannot be read: {reason}.") from None


class _Questions:
    """Asks the questions on the terminal; without `asks`, the options and what is set answer them."""

    def __init__(self, given: Mapping[str, str], *, asks: bool) -> None:
        self._given = dict(given)
        self._asks = asks
        self._answers = Answers(read_env_file(), os.environ)

    def ask_all(self) -> None:
        """Ask until each answer passes its checks. Raises ChecksFailed if nobody can be asked."""
        if self._asks:
            _say(INTRODUCTION)
        for step in self._answers.steps():
            if self._asks:
                click.echo()
                _say(step.explanation)
                if step.example:
                    click.echo(step.example)
            self._answers.accept(step, self._ask(step))

    def _ask(self, step: Step) -> str:
        """The answer, once its checks pass or the operator takes it all the same."""
        while True:
            answer = self._given.pop(step.setting, None)
            if answer is None:
                answer = offered = self._answers.offered(step)
                if self._asks:
                    answer = _prompt(step, offered)
            if not answer:
                hint = f"Give {step.option}. In a terminal, tiger-slack init shows how to make the Slack app."
                raise SettingsError(f"{step.setting} is missing.", hint=hint)
            checks = asyncio.run(step.check(answer))
            _print(checks)
            failed = failed_checks(checks)
            if not failed:
                return answer
            if not self._asks:
                raise failed
            if step.is_usable(answer) and click.confirm("Use it all the same?", default=False):
                return answer

    def write(self) -> None:
        """Write what differs from .env, after a question."""
        path = Path(ENV_FILE).absolute()
        changes, overridden = self._answers.changes(), self._answers.overridden()
        click.echo()
        if not changes:
            click.echo(f"{path} has these settings already.")
            return
        self._answers.check()
        for line in self._answers.shown_changes():
            click.echo(f"  {visible(line)}")
        if self._asks and not click.confirm(f"Write them to {path}?", default=True):
            raise click.Abort
        write_settings(path, changes)
        click.echo(f"Written to {path}, which only you can read.")
        for name in overridden:
            _say(f"! {name} is also set in the environment, which overrides the file.")

    def join(self, *, wanted: bool) -> None:
        """Let the app join the public channels, if that is wanted."""
        if not wanted and not self._asks:
            return
        click.echo()
        _say(CHANNELS)
        try:
            joining = asyncio.run(self._join(wanted=wanted))
        except TigerSlackError as error:
            _say(f"! The channels were not joined: {error}")
            return
        for line in joining.lines() if joining else ():
            _say(line)

    async def _join(self, *, wanted: bool) -> Joining | None:
        answers = self._answers
        token = answers.given("SLACK_BOT_TOKEN")
        async with slack_web(bot_token=token, api_url=answers.api_url) as web:
            channels = await joinable_channels(web)
            if not channels:
                click.echo("The app is in every public channel.")
                return None
            number = amount(len(channels), "public channel")
            question = (
                f"Join {number} that the app is not in? It takes {join_minutes(len(channels))}."
            )
            if not wanted and not click.confirm(question, default=False):
                return None
            with click.progressbar(length=len(channels), label=f"Joining {number}") as bar:
                return await join_channels(web, channels, lambda: bar.update(1))


def _prompt(step: Step, offered: str) -> str:
    """What is typed; Enter keeps what is offered."""
    shown = f" [{visible(masked(step.setting, offered))}]" if offered else ""
    while True:
        typed: str = click.prompt(
            f"{step.title}{shown}", default="", show_default=False, hide_input=step.is_secret
        )
        if answer := typed.strip() or offered:
            return answer


def _finish() -> None:
    """Run all of doctor's checks, and name the next command. Raises ChecksFailed."""
    click.echo("\nAll checks of tiger-slack doctor:")
    checks = asyncio.run(check_all(load(), is_first=True))
    _print(checks)
    click.echo(summary(checks))
    if failed := failed_checks(checks):
        raise failed
    click.echo(f"\nReady. To start: {own_command()}")


def _print(checks: list[Check]) -> None:
    for each in checks:
        click.echo("\n".join(check_lines(each)))


def _say(text: str) -> None:
    click.echo("\n".join(wrapped(text)))
