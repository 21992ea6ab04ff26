"""`tiger-slack config`: every setting, its value, and where the value comes from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.setting_list import (
    SettingSource,
    SettingValue,
    list_settings,
    unknown_settings,
)
from tiger_slack_tui.base.text import cells, visible
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import LINE_WIDTH, echo_json, wrapped
from tiger_slack_tui.postgres.addresses import EMBEDDED


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
    has_host = any(each.name == "PGHOST" and each.value is not None for each in found)
    for group, members in groupby(found, lambda each: each.group):
        click.echo(f"{group}:")
        for each in members:
            value = _shown(each, has_host=has_host)
            line = f"  {each.name.ljust(names)}  {value}"
            if cells(line) <= LINE_WIDTH or not sys.stdout.isatty():
                click.echo(line)
            else:
                click.echo(f"  {each.name}")
                click.echo("\n".join(wrapped(value, 6)))
    click.echo("What each is for: .env.sample, or config --json.")


def _shown(setting: SettingValue, *, has_host: bool) -> str:
    """The value and where it comes from; "-" for none."""
    if setting.value is not None:
        return f"{visible(setting.value)}  ({setting.source})"
    if setting.name == "DATABASE_URL" and not has_host:
        return f"{EMBEDDED}  ({SettingSource.DEFAULT})"
    return "-"
