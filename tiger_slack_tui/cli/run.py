"""`tiger-slack run` and `tiger-slack observe`: the program with its console, or without it."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import exit_on_sigterm, plain_errors

if TYPE_CHECKING:
    from tiger_slack_tui.checks.check import Check
    from tiger_slack_tui.launch import UiOptions
    from tiger_slack_tui.slack.pages import OnWait


@click.command()
@options.no_ui
@options.read_only
@options.no_mouse
@options.http
@plain_errors
def run(no_ui: bool, read_only: bool, no_mouse: bool, http: str | None) -> None:
    """Ingest from Slack until stopped, with the console or without it.

    SIGTERM, SIGINT or `q` in the console stop it: it stores and acknowledges what it has received, and ends with
    exit code 0. If no tokens are set yet, the console begins with the set-up, which is that of `tiger-slack init`.
    """
    exit_on_sigterm()
    from tiger_slack_tui.launch import UiOptions, run_engine  # takes long: SIGTERM must work before

    if http and not no_ui:
        raise click.UsageError("--http needs --no-ui.")
    options = UiOptions(ui=not no_ui, read_only=read_only, mouse=not no_mouse)
    if not no_ui:
        _set_up_first(options)
    loaded, slack = settings.load_with_slack()
    run_engine(replace(loaded, http=http or loaded.http), slack, options)


def _set_up_first(options: UiOptions) -> None:
    """Before the first start on a terminal, show the set-up. Ends the process if the operator leaves it."""
    from tiger_slack_tui.launch import can_show_console
    from tiger_slack_tui.setup.steps import Answers

    answers = Answers(settings.read_env_file(), os.environ)
    if options.read_only or not answers.lack_tokens or not can_show_console():
        return
    from tiger_slack_tui.checks.report import check_all
    from tiger_slack_tui.console.settings_file import read_options
    from tiger_slack_tui.console.setup import run_setup

    async def final_checks(on_wait: OnWait) -> list[Check]:
        # In a thread of its own, because the start of an embedded server blocks.
        checks = check_all(settings.load(), is_first=True, on_wait=on_wait)
        return await asyncio.to_thread(asyncio.run, checks)

    console = read_options(
        settings.load().home, read_only=options.read_only, mouse=options.mouse, stop_on_hangup=False
    )
    path = Path(settings.ENV_FILE).absolute()
    if not run_setup(answers, path, final_checks, console):
        click.echo("The set-up was left. To go on: tiger-slack, or tiger-slack init.", err=True)
        sys.exit(1)


@click.command()
@options.read_only
@options.no_mouse
@plain_errors
def observe(read_only: bool, no_mouse: bool) -> None:
    """Show the console of instances that run elsewhere.

    It shows what the database knows of them, and does not connect to Slack.
    """
    from tiger_slack_tui.launch import UiOptions, observe_database

    observe_database(settings.load(), UiOptions(read_only=read_only, mouse=not no_mouse))
