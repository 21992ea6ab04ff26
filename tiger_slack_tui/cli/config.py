"""`tiger-slack config`: every setting, its value, and where the value comes from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.setting_list import SettingValue, list_settings, unknown_settings
from tiger_slack_tui.base.text import visible
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import echo_json, wrapped


@click.command()
@options.as_json
@plain_errors
def config(as_json: bool) -> None:
    """Show every setting, its value, and where the value comes from.

    Secrets are masked. A value comes from the environment, or else from .env in the working directory, or else it is
    the default. Exit code 2: a run could not use the settings.
    """
    found = list_settings()
    unknown = list(unknown_settings())
    if as_json:
        echo_json({"settings": found, "unknown": unknown})
    else:
        _print_table(found)
        for sentence in unknown:
            click.echo("\n".join(wrapped(f"! {sentence}", hang=2)))
    settings.load_with_slack()  # raises the error that tells what is wrong


def _print_table(found: Sequence[SettingValue]) -> None:
    names = max(len(each.name) for each in found)
    for group, members in groupby(found, lambda each: each.group):
        click.echo(f"{group}:")
        for each in members:
            value = "-" if each.value is None else visible(each.value)
            where = "" if each.value is None else f"  ({each.source})"
            click.echo(f"  {each.name.ljust(names)}  {value}{where}".rstrip())
    click.echo("What each is for: .env.sample, or config --json.")
