"""`tiger-slack demo`: ingests an invented workspace from a local Slack."""

from __future__ import annotations

import math
from pathlib import Path

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import exit_on_sigterm, plain_errors

_MOST_RATE = 100_000
"""Events a second; over ten times what one machine ingests."""


def _number(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """Refuse nan, which every comparison of FloatRange lets through."""
    if math.isnan(value):
        raise click.BadParameter("nan is not a number.", context, parameter)
    return value


@click.command()
@options.no_ui
@options.read_only
@options.no_mouse
@click.option(
    "--rate",
    type=click.FloatRange(0.1, _MOST_RATE),
    callback=_number,
    default=20,
    show_default=True,
    help="Events a second.",
)
@click.option(
    "--events",
    type=options.Number(min=1),
    help="Stop after this many events. With --no-ui, then check the tables.",
)
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="The same seed makes the same people, channels and messages.",
)
@click.option(
    "--keep",
    metavar="DIR",
    type=options.PathType(),
    help="Keep the database, the log and a .env with the settings in this new directory.",
)
@click.option("--mcp", is_flag=True, help="Print how an AI client can ask about the demo.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@plain_errors
def demo(
    no_ui: bool,
    read_only: bool,
    no_mouse: bool,
    rate: float,
    events: int | None,
    seed: int,
    keep: Path | None,
    mcp: bool,
    as_json: bool,
) -> None:
    """Ingest an invented workspace; no Slack or database is needed.

    A local Slack sends the events, and an embedded PostgreSQL stores them, both only while the demo runs. Nothing is
    kept without --keep. With --no-ui, the demo runs until SIGTERM or Ctrl-C; with --events, too, it ends after these,
    compares the tables with what was sent, and prints a summary.

    Exit code 1: the tables differ from what was sent, or the demo was stopped before all --events were sent.
    """
    exit_on_sigterm("The demo was stopped before it began. Nothing is kept.")
    from tiger_slack_tui.demo.run import run_demo  # takes long: SIGTERM must work before
    from tiger_slack_tui.launch import UiOptions

    run_demo(
        settings.load(),
        UiOptions(ui=not no_ui, read_only=read_only, mouse=not no_mouse),
        rate=rate,
        events=events,
        seed=seed,
        keep=keep,
        as_json=as_json,
        mcp=mcp,
    )
