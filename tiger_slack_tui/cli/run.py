"""`tiger-slack run` and `tiger-slack observe`: the program with its console, or without it."""

from __future__ import annotations

from dataclasses import replace

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import exit_on_sigterm, plain_errors


@click.command()
@options.no_ui
@options.read_only
@options.no_mouse
@options.http
@plain_errors
def run(no_ui: bool, read_only: bool, no_mouse: bool, http: str | None) -> None:
    """Ingest from Slack until stopped, with the console or without it.

    SIGTERM, SIGINT or `q` in the console stop it: it stores and acknowledges what it has received, and ends with
    exit code 0. If no tokens are set yet, the console's start leads to the set-up, as `tiger-slack init`.
    """
    exit_on_sigterm()
    from tiger_slack_tui.launch import UiOptions, run_engine  # takes long: SIGTERM must work before

    if http and not no_ui:
        raise click.UsageError("--http needs --no-ui.")
    if not no_ui:
        _set_up_first()
    loaded, slack = settings.load_with_slack()
    options = UiOptions(ui=not no_ui, read_only=read_only, mouse=not no_mouse)
    run_engine(replace(loaded, http=http or loaded.http), slack, options)


def _set_up_first() -> None:
    """Before the first start, go through the set-up, if somebody can be asked and wants it."""
    from tiger_slack_tui.cli.init import has_terminal, lacks_tokens, set_up

    if not (has_terminal() and lacks_tokens()):
        return
    if click.confirm("There are no tokens of Slack yet. Set up now?", default=True):
        set_up({}, asks=True, joins=False)
        click.confirm("Start now?", default=True, abort=True)


@click.command()
@options.read_only
@options.no_mouse
@plain_errors
def observe(read_only: bool, no_mouse: bool) -> None:
    """Show the console of instances that run elsewhere; ingest nothing.

    It shows what the database knows of them, and does not connect to Slack.
    """
    from tiger_slack_tui.launch import UiOptions, observe_database

    observe_database(settings.load(), UiOptions(read_only=read_only, mouse=not no_mouse))
