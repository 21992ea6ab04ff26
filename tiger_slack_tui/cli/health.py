"""`tiger-slack health`: asks the program that runs on this machine whether it is ready."""

from __future__ import annotations

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.headless.health import ask


@click.command()
@options.http
@click.option("--live", is_flag=True, help="Only ask whether the process is alive.")
@plain_errors
def health(http: str | None, live: bool) -> None:
    """Ask the program that runs on this machine whether it is ready.

    Exit code 0: it is ready; 1: it is not, or does not answer.
    """
    address = http or settings.load().http
    if address is None:
        raise click.UsageError("Name the port by --http or TIGER_SLACK_HTTP.")
    click.echo(ask(address, live=live))
