"""`tiger-slack init`: asks for the settings, checks each at once, and writes them to .env."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from tiger_slack_tui.base.errors import SettingsError, TigerSlackError
from tiger_slack_tui.base.own_command import own_command
from tiger_slack_tui.base.settings import ENV_FILE, load, read_env_file
from tiger_slack_tui.base.text import visible
from tiger_slack_tui.checks.report import check_all, failed_checks, summary
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.doctor import print_checks, run_checks
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import wrapped, wrapped_item
from tiger_slack_tui.cli.progress import progress
from tiger_slack_tui.setup.env_file import require_writable, write_settings
from tiger_slack_tui.setup.join_channels import (
    ALL_JOINED,
    WHICH_CHANNELS,
    Joining,
    JoinProgress,
    PublicChannel,
    join_channels,
    join_question,
    joinable_channels,
)
from tiger_slack_tui.setup.steps import INTRODUCTION, Answers, Step
from tiger_slack_tui.slack.pages import wait_words


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
    try:
        questions.ask_all()
        questions.write()
    except click.Abort:
        click.echo("\nNothing was written.", err=True)
        sys.exit(1)
    questions.join(wanted=join_public)
    _finish()


def has_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _content(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        content = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(f"{file} cannot be read: {reason}.") from None
    # Also a line of a file such as .env.
    return re.sub(r"\A(export\s+)?[A-Z_]+=(?=\S)", "", content).strip("'\"")


class _Questions:
    """Asks the questions on the terminal; without `asks`, the options and what is set answer them."""

    def __init__(self, given: Mapping[str, str], *, asks: bool) -> None:
        self._given = dict(given)
        self._asks = asks
        self._answers = Answers(read_env_file(), os.environ)

    def ask_all(self) -> None:
        """Ask until each answer passes its checks. Raises ChecksFailed if nobody can be asked."""
        require_writable(Path(ENV_FILE))
        steps = self._answers.steps()
        if "DATABASE_URL" in self._given and all(s.setting != "DATABASE_URL" for s in steps):
            raise click.UsageError(
                "PGHOST names the database: unset it, or leave out --database-url."
            )
        if self._asks:
            _say(INTRODUCTION)
        for step in steps:
            if self._asks:
                click.echo()
                # A long link first: what to do with it must stay on the screen.
                for text in sorted([step.explanation, step.example or ""], key=len, reverse=True):
                    _say(text)
            self._answers.accept(step, self._ask(step))

    def _ask(self, step: Step) -> str:
        """The answer, once its checks pass or the operator takes it all the same."""
        while True:
            answer = self._given.pop(step.setting, None)
            if answer is None:
                answer = offered = self._answers.offered(step)
                if self._asks:
                    answer = _prompt(step, offered)
            answer = answer.strip()
            if not answer:
                hint = f"Give {step.option}. In a terminal, tiger-slack init shows how to make the Slack app."
                raise SettingsError(f"{step.setting} is missing.", hint=hint)
            checks = run_checks(partial(step.check, answer))
            print_checks(checks)
            failed = failed_checks(checks)
            if not failed:
                return answer
            if not self._asks:
                raise failed
            if step.is_usable(answer, checks) and click.confirm(
                "Use it all the same?", default=False
            ):
                return answer

    def write(self) -> None:
        """Write what differs from .env, after a question."""
        path = Path(ENV_FILE).absolute()
        changes, overridden = self._answers.changes(), self._answers.overridden()
        click.echo()
        _report(*(f"! {sentence}" for sentence in overridden))
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

    def join(self, *, wanted: bool) -> None:
        """Let the app join the public channels, if that is wanted."""
        if not wanted and not self._asks:
            return
        click.echo()
        _say(WHICH_CHANNELS)
        try:
            channels = asyncio.run(self._find())
            if not channels:
                click.echo(ALL_JOINED)
                return
            # Asked outside of the event loop, which would take Ctrl-C for itself.
            if not wanted and not click.confirm(join_question(len(channels)), default=False):
                return
            _report(*asyncio.run(self._join(channels)).lines())
        except TigerSlackError as error:
            _report(*f"! The channels were not joined: {error}".splitlines())
        except KeyboardInterrupt:
            click.echo("\nStopped. To go on: tiger-slack init --join-public", err=True)
            raise

    async def _find(self) -> list[PublicChannel]:
        with progress(has_terminal=sys.stderr.isatty()) as printer:
            printer.wait("asking Slack for the channels")
            async with self._answers.slack_web() as web:
                return await joinable_channels(web, lambda left: printer.wait(wait_words(left)))

    async def _join(self, channels: Sequence[PublicChannel]) -> Joining:
        with progress(has_terminal=sys.stderr.isatty()) as printer:
            printer.start("joining")

            def show(now: JoinProgress) -> None:
                printer.show(now.share, str(now))

            show(JoinProgress(0, len(channels)))
            async with self._answers.slack_web() as web:
                return await join_channels(web, channels, show)


def _prompt(step: Step, offered: str) -> str:
    """What is typed; Enter keeps what is offered."""
    shown = f" [{visible(step.shown(offered))}]" if offered else ""
    if step.is_secret:
        click.echo("What you type or paste is not shown.")
    while True:
        typed: str = click.prompt(
            f"{step.title}{shown}", default="", show_default=False, hide_input=step.is_secret
        )
        if answer := typed.strip() or offered:
            return answer
        click.echo("An answer is needed.")


def _finish() -> None:
    """Run all of doctor's checks, and name the next command. Raises ChecksFailed."""
    click.echo("\nAll checks of tiger-slack doctor:")
    loaded = load()
    checks = run_checks(lambda on_wait: check_all(loaded, is_first=True, on_wait=on_wait))
    print_checks(checks)
    click.echo(summary(checks))
    if failed := failed_checks(checks):
        raise failed
    click.echo(f"\nReady. To start: {own_command()}")


def _say(text: str) -> None:
    click.echo("\n".join(wrapped(text)))


def _report(*lines: str) -> None:
    for line in lines:
        click.echo("\n".join(wrapped_item(line)))
