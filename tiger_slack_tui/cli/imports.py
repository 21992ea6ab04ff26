"""`tiger-slack import`: imports an export archive, and accounts for it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import humanize
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.telemetry import log_to_file, log_to_stderr
from tiger_slack_tui.base.text import amount, visible
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.events import ImportEvent, ImportNote, ImportProblem, Planned
from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.options import ImportOptions
from tiger_slack_tui.imports.problem_file import ProblemFile
from tiger_slack_tui.imports.request import ImportRequest, resolved
from tiger_slack_tui.imports.result import ImportResult, Tally
from tiger_slack_tui.launch import database
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import with_defaults
from tiger_slack_tui.store.import_account import Account

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LINE_SECONDS = 5.0
_SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class Output:
    """What the command writes besides the tables."""

    errors: Path | None
    as_json: bool


def run_import(settings: Settings, request: ImportRequest, output: Output) -> int:
    """Import, show how it goes on stderr, and print the account; its exit code.

    Raises SettingsError for what is wrong with the command line, and what `Import.run` raises.
    """
    limits = ArchiveLimits(settings.imports.ratio, settings.imports.total_bytes)
    options = request.options(limits, datetime.now(UTC))
    request = replace(request, path=resolved(request.path))
    has_terminal = sys.stderr.isatty()
    (log_to_file if has_terminal else log_to_stderr)(settings)
    errors = None if output.errors is None else ProblemFile(output.errors)
    trouble: str | None = None
    try:
        with database(settings, session=True) as conninfo:
            conninfo = with_defaults(conninfo, application_name=settings.instance)
            with _shown(has_terminal) as show:
                result = asyncio.run(_run(settings, request, options, conninfo, show, errors))
    finally:  # however it ended: what is known by then
        if errors and (trouble := errors.close()):
            click.echo(visible(f"warning: {trouble}"), err=True)
    if output.as_json:
        click.echo(json.dumps(result.as_json(), indent=2))
    else:
        click.echo("\n".join(_account(result, dry_run=request.dry_run)))
    return 1 if trouble else result.exit_code


async def _run(
    settings: Settings,
    request: ImportRequest,
    options: ImportOptions,
    conninfo: str,
    show: _Show,
    errors: ProblemFile | None,
) -> ImportResult:
    if not request.dry_run:
        await migrate(conninfo)
    job = Import(conninfo, request.path, options, instance=settings.instance)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        job.cancel()
        for number in _SIGNALS:  # a second one ends it at once
            loop.remove_signal_handler(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)

    def tell(event: ImportEvent) -> None:
        show.handle(event)
        if errors and isinstance(event, ImportProblem):
            errors.add(event)

    try:
        return await job.run(tell)
    finally:
        if errors and job.import_id is not None:
            await errors.complete(conninfo, job.import_id)


class _Show:
    """Shows how the import goes, in lines; on a terminal, below them a bar."""

    def __init__(self, console: Console, bar: Progress | None) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task("reading the archive", total=None, figures="") if bar else None
        self._tally = Tally()
        self._problems = 0
        self._next_line = 0.0

    def handle(self, event: ImportEvent) -> None:
        """Take in what the import tells."""
        self._tally.handle(event)
        match event:
            case Planned():
                self._plan(event)
            case ImportNote(text, is_warning):
                self._say(f"{'warning: ' if is_warning else ''}{text}")
            case ImportProblem(path, position, reason):
                self._problems += 1
                if self._problems <= _SHOWN_PROBLEMS:
                    where = f"{path}, record {position}" if position else path
                    self._say(f"warning: {where}: {reason}")
                elif self._problems == _SHOWN_PROBLEMS + 1:
                    self._say("warning: more of these are counted, and written by --errors FILE")
            case _:
                self._advance()

    def _plan(self, planned: Planned) -> None:
        if planned.resumed:
            self._say(f"Going on with the import of {planned.resumed:%Y-%m-%d %H:%M:%S} UTC.")
        for reason, number in planned.skipped.items():
            self._say(f"{amount(number, 'file')} not read: {reason}")
        size = humanize.naturalsize(planned.bytes)
        self._say(f"{amount(planned.files, 'file')} to read, {size}")
        if self._bar and self._task is not None:
            self._bar.update(self._task, total=planned.bytes, description="importing")
        self._next_line = time.monotonic() + _LINE_SECONDS

    def _advance(self) -> None:
        tally = self._tally
        left = tally.seconds_left
        wait = (
            "" if left is None else f", {humanize.precisedelta(timedelta(seconds=int(left)))} left"
        )
        figures = (
            f"{tally.files_done:,}/{tally.files:,} files, {tally.records:,} messages,"
            f" {tally.rate:,.0f}/s{wait}"
        )
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=tally.bytes_read, figures=figures)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            share = tally.bytes_read / tally.bytes if tally.bytes else 1
            self._say(f"{share:.0%}, {figures}")

    def _say(self, text: str) -> None:
        self._console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _shown(has_terminal: bool) -> Iterator[_Show]:
    console = Console(stderr=True)
    if not has_terminal:
        yield _Show(console, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as bar:
        yield _Show(console, bar)


def _account(result: ImportResult, *, dry_run: bool) -> Iterable[str]:
    """The account, for people."""
    total = result.total
    verb = "would be imported" if dry_run else "imported" if result.outcome == "done" else "stopped"
    yield f"{verb.capitalize()} in {result.seconds:,.1f} s, {result.rate:,.0f} messages/s"
    rows = [(visible(name), c.files, c.account) for name, c in result.by_channel.items()]
    width = max([7, *(len(name) for name, _, _ in rows)])
    names = (
        "files",
        "read",
        "inserted",
        "there",
        "updated",
        "discarded",
        "filtered",
        "skipped",
        "reactions",
    )
    yield f"{'channel':<{width}} " + " ".join(f"{name:>10}" for name in names)
    for name, files, account in [*rows, ("total", result.files_done, total)]:
        yield f"{name:<{width}} " + " ".join(f"{n:>10,}" for n in (files, *_figures(account)))
    yield f"users {result.users:,}, channels {result.channels:,} in the lists"
    yield from _details(result)
    if result.mismatch:
        yield f"The account does NOT add up: {result.mismatch}."
    else:
        yield (
            f"It adds up: {total.read:,} read = {total.inserted:,} inserted"
            f" + {total.already_there:,} already there + {total.updated:,} updated"
            f" + {sum(total.discarded.values()):,} discarded + {total.filtered:,} filtered"
            f" + {sum(total.skipped.values()):,} skipped"
        )
    if result.outcome != "done":
        then = "nothing was written" if dry_run else "the same command goes on from here"
        yield f"Stopped before the end; {then}."


def _figures(account: Account) -> tuple[int, ...]:
    return (
        account.read,
        account.inserted,
        account.already_there,
        account.updated,
        sum(account.discarded.values()),
        account.filtered,
        sum(account.skipped.values()),
        account.reactions,
    )


def _details(result: ImportResult) -> Iterator[str]:
    total = result.total
    for rule, number in sorted(total.discarded.items()):
        yield f"discarded by rule {rule}: {number:,}"
    for reason, number in sorted(total.skipped.items()):
        yield f"skipped, {reason}: {number:,}"
    if total.repaired:
        yield f"repaired (without NUL, lone surrogates, NaN, bad values), stored: {total.repaired:,}"
    if result.files_failed:
        yield f"files that could not be read to their end: {result.files_failed:,}"
    if result.bad_list_rows:
        yield f"bad rows in the lists of users and channels: {result.bad_list_rows:,}"
    for reason, number in result.files_skipped.items():
        yield f"files not read, {reason}: {number:,}"
