"""`tiger-slack doctor`: checks everything that a run needs, and says what to fix."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import asdict
from typing import Any

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.checks.check import Check
from tiger_slack_tui.checks.report import check_all, failed_checks, summary
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import wrapped_item
from tiger_slack_tui.cli.progress import progress
from tiger_slack_tui.slack.pages import OnWait, wait_words


@click.command()
@options.as_json
@plain_errors
def doctor(as_json: bool) -> None:
    """Check everything that a run needs, and say what to fix.

    It checks tokens, scopes, clock, database, migrations and spool. Exit code 1: a check failed.
    """
    loaded = settings.load()
    checks = run_checks(lambda on_wait: check_all(loaded, on_wait=on_wait))
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        print_checks(checks)
        click.echo(summary(checks))
    if failed := failed_checks(checks):
        raise failed


def run_checks(work: Callable[[OnWait], Coroutine[Any, Any, list[Check]]]) -> list[Check]:
    """The result of the checks. On a terminal, a line says meanwhile that they run, and that Slack asks to wait."""
    with progress(has_terminal=sys.stderr.isatty()) as printer:
        printer.wait("checking")
        return asyncio.run(work(lambda seconds: printer.wait(wait_words(seconds))))


def print_checks(checks: Iterable[Check]) -> None:
    """Print the checks in lines that fit the terminal."""
    for check in checks:
        for line in check.lines():
            click.echo("\n".join(wrapped_item(line)))
