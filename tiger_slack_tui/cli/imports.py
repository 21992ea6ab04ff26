"""`tiger-slack import`: imports an archive, shows the progress, and prints the result."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from tiger_slack_tui.audit.words import format_time
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.log_setup import log_to_file, log_to_stderr
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.shutdown import stop_on_signals
from tiger_slack_tui.base.sizes import byte_size
from tiger_slack_tui.base.text import amount, cells, fit, visible
from tiger_slack_tui.base.times import duration
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import wrapped
from tiger_slack_tui.cli.progress import ProgressPrinter, progress, rate_and_rest
from tiger_slack_tui.imports.archive.layout import LeftOut
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.ledger import ImportLedger
from tiger_slack_tui.imports.options import ImportOptions
from tiger_slack_tui.imports.problem_file import ProblemFile
from tiger_slack_tui.imports.progress_events import ImportEvent, ImportNote, Planned
from tiger_slack_tui.imports.request import MOST_WORKERS, ImportRequest, read_channel_map, resolved
from tiger_slack_tui.imports.result import ImportResult
from tiger_slack_tui.postgres.connection import with_defaults
from tiger_slack_tui.postgres.database import database
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.store.import_account import Account, ImportProblem
from tiger_slack_tui.store.imports import ImportOutcome

_NAME = 22
"""Most columns of a channel's name in the result."""
_WIDTH = 80
"""Most columns of a line of the result."""
_SHOWN_PROBLEMS = 20
"""Most problems that are printed. All are counted."""


@dataclass(frozen=True)
class Output:
    """What the command writes besides the tables."""

    errors: Path | None
    """File for the problems of the archive."""
    as_json: bool


@click.command(name="import")
@click.argument("path", type=options.PathType(exists=True))
@options.since
@options.until
@options.channels
@click.option(
    "--channel-map",
    type=options.PathType(),
    help='JSON file for folders that match no channel: {"FOLDER": "CHANNEL ID"}.'
    " FOLDER is the name in the warning.",
)
@click.option(
    "--root",
    metavar="PATH",
    help="If PATH holds several exports: import the one at this path inside of it.",
)
@click.option(
    "--workspace",
    metavar="TEAM",
    help="If PATH holds several exports: import those of the workspace TEAM (T…)."
    " This also allows another workspace than the database holds.",
)
@click.option(
    "--workers",
    type=options.Number(1, MOST_WORKERS),
    default=2,
    show_default=True,
    help="Number of processes that read the files.",
)
@click.option("--dry-run", is_flag=True, help="Read all files and print the result; write nothing.")
@click.option(
    "--restart", is_flag=True, help="Start from the beginning, even if an earlier run was stopped."
)
@click.option(
    "--no-compress",
    is_flag=True,
    help="Leave the compression of old chunks to TimescaleDB's policy.",
)
@click.option(
    "--errors",
    metavar="FILE",
    type=options.PathType(),
    help="Write every problem to this file: JSON lines with the file, the record's position, and the reason.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@plain_errors
def import_command(
    path: Path,
    channel_map: Path | None,
    no_compress: bool,
    errors: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Import a Slack export, or what Slackdump wrote.

    PATH is an export (the ZIP as downloaded, or a folder), a folder that Slackdump wrote (an export or a dump), or
    its slackdump.sqlite. The same command continues an import that was stopped.

    Exit code 0: every record is accounted for; 3: the same, but bad records or files that may hold messages were
    skipped; 1: it failed, was stopped, or selected nothing; 2: wrong arguments or settings, or PATH is not an export.
    """
    channels_of_folders = read_channel_map(channel_map) if channel_map else {}
    request = ImportRequest(
        path=path, channel_map=channels_of_folders, compress=not no_compress, **given
    )
    sys.exit(_import(settings.load(), request, Output(errors, as_json)))


def _import(loaded: Settings, request: ImportRequest, output: Output) -> int:
    """Import, show the progress on stderr, print the result, and return the exit code.

    Raises SettingsError for wrong arguments, and what `Import.run` raises.
    """
    limits = ArchiveLimits(loaded.imports.ratio, loaded.imports.total_bytes)
    import_options = request.options(limits, datetime.now(UTC))
    request = replace(request, path=resolved(request.path))
    has_terminal = sys.stderr.isatty()
    (log_to_file if has_terminal else log_to_stderr)(loaded)
    errors = None if output.errors is None else ProblemFile(output.errors)
    trouble: str | None = None
    try:
        with database(loaded, creates=True, session=True) as conninfo:
            conninfo = with_defaults(conninfo, application_name=loaded.instance)
            with progress(has_terminal=has_terminal) as printer:
                shown = _ImportPrinter(printer)
                result = asyncio.run(_run(loaded, request, import_options, conninfo, shown, errors))
    finally:  # the file gets what is known by now, even after an error
        if errors and (trouble := errors.close()):
            click.echo(visible(f"warning: {trouble}"), err=True)
    if output.as_json:
        click.echo(json.dumps(result.as_json(), indent=2))
    else:
        click.echo("\n".join(_result_lines(result, shown.warnings, dry_run=request.dry_run)))
    if result.selects_nothing:
        click.echo("tiger-slack: No message that was read is within --since and --until.", err=True)
        click.echo("\n".join(wrapped(result.contents, 2, err=True)), err=True)
    return 1 if trouble else result.exit_code


async def _run(
    loaded: Settings,
    request: ImportRequest,
    import_options: ImportOptions,
    conninfo: str,
    progress: _ImportPrinter,
    errors: ProblemFile | None,
) -> ImportResult:
    if not request.dry_run:
        await migrate(conninfo)
    job = Import(
        conninfo,
        request.path,
        import_options,
        instance=loaded.instance,
        ledger=progress.ledger,
    )

    def stop(number: signal.Signals) -> None:
        progress.end(f"Stopping on {number.name}; a second signal ends the process at once.")
        job.cancel()

    stop_on_signals(stop)

    def on_event(event: ImportEvent) -> None:
        progress.on_event(event)
        if errors and isinstance(event, ImportProblem):
            errors.add(event)

    try:
        return await job.run(on_event)
    finally:
        if errors and job.import_id is not None:
            await errors.complete(conninfo, job.import_id)


class _ImportPrinter:
    """Counts and prints what the import reports."""

    def __init__(self, printer: ProgressPrinter) -> None:
        self.ledger = ImportLedger()
        """The import counts in it."""
        self._printer = printer
        self.warnings = 0
        """Warnings and problems, also those that were not printed."""
        printer.wait("reading the archive")

    def end(self, text: str) -> None:
        """End the bar, if there is one, and print the text."""
        self._printer.end(text)

    def on_event(self, event: ImportEvent) -> None:
        """Print a counted event if an operator should see it."""
        match event:
            case Planned():
                self._print_plan(event)
            case ImportNote(text, is_warning):
                self.warnings += is_warning
                self._printer.print(f"{'warning: ' if is_warning else ''}{text}")
            case ImportProblem(path, position, reason):
                problems = self.ledger.problems
                self.warnings += 1
                if problems <= _SHOWN_PROBLEMS:
                    where = f"{path}, record {position}" if position else path
                    self._printer.print(f"warning: {where}: {reason}")
                elif problems == _SHOWN_PROBLEMS + 1:
                    self._printer.print(
                        "warning: there are more problems; --errors FILE writes all of them to a file"
                    )
            case _:
                self._show_figures()

    def _print_plan(self, planned: Planned) -> None:
        if planned.resumed:
            self._printer.print(f"Continuing the import of {format_time(planned.resumed)}.")
        for reason, number in planned.left_out.items():
            self._printer.print(f"skipping {amount(number, 'file')}: {reason}")
        size = byte_size(planned.bytes)
        self._printer.print(f"reading {amount(planned.files, 'file')}, {size}")
        self._printer.start("importing")

    def _show_figures(self) -> None:
        ledger = self.ledger
        rest = rate_and_rest(ledger.rate, ledger.seconds_left)
        self._printer.show(
            ledger.bytes_read / ledger.bytes if ledger.bytes else 1,
            f"{ledger.files_done:,}/{ledger.files:,} files, {ledger.records:,} messages, {rest}",
        )


def _result_lines(result: ImportResult, warnings: int, *, dry_run: bool) -> Iterator[str]:
    """The result as text, at most 80 columns wide."""
    is_done = result.outcome == ImportOutcome.DONE
    verb = "Imported" if is_done else "Stopped"
    if dry_run:
        verb = "Dry run: read"
    took = duration(timedelta(seconds=result.seconds))
    yield f"{verb} in {took}, {amount(round(result.rate), 'message')}/s"
    rows = [(visible(name), c.files, c.account) for name, c in result.by_channel.items()]
    width = min(_NAME, max([7, *(cells(name) for name, _, _ in rows)]))
    inserted, updated = ("to insert", "to update") if dry_run else ("inserted", "updated")
    names = ("read", inserted, "there", updated, "left out")
    yield f"{'channel':<{width}} {'files':>6} " + " ".join(f"{name:>9}" for name in names)
    for name, files, account in [*rows, ("total", result.files_done, result.total)]:
        figures = " ".join(f"{n:>9,}" for n in _figures(account))
        yield f"{fit(name, width)} {files:>6,} {figures}"
    yield f"the lists of the archive: {amount(result.users, 'user')}, {amount(result.channels, 'channel')}"
    yield from _details(result)
    yield from _account_lines(result, dry_run=dry_run)
    if not is_done:
        then = "Nothing was written." if dry_run else "To continue, run the same command again."
        yield f"Stopped before the end. {then}"
    if warnings:
        yield f"{amount(warnings, 'warning')}, see above. --errors FILE writes every problem to a file."


def _figures(account: Account) -> tuple[int, ...]:
    left_out = account.accounted - account.inserted - account.already_there - account.updated
    return account.read, account.inserted, account.already_there, account.updated, left_out


def _account_lines(result: ImportResult, *, dry_run: bool) -> Iterator[str]:
    """What became of the records, and whether all of the archive was read."""
    if result.mismatch:
        yield f"The account does NOT add up: {result.mismatch}."
        return
    total = result.total
    unread = [
        f"{amount(result.files_failed, 'file')} only in part" if result.files_failed else "",
        *(
            f"{amount(number, 'file')} not at all ({reason})"
            for reason, number in result.files_left_out.items()
            if not LeftOut(reason).is_wanted
        ),
    ]
    if any(unread):
        yield "Not all of the archive was read:"
        yield from (f"  {files}" for files in unread if files)
        yield "Every record that was read is accounted for:"
    else:
        yield "All accounted for:"
    would = "would be " if dry_run else ""
    first, *others = (
        f"{total.inserted:,} {would}inserted",
        f"{total.already_there:,} already there",
        f"{total.updated:,} {would}updated",
        f"{sum(total.discarded.values()):,} {would}discarded",
        f"{total.filtered:,} filtered",
        f"{sum(total.skipped.values()):,} skipped",
    )
    line = f"  {total.read:,} read = {first}"
    for part in others:
        if len(line) + len(part) + 3 > _WIDTH:
            yield line
            line = "   "
        line += f" + {part}"
    yield line


def _details(result: ImportResult) -> Iterator[str]:
    total = result.total
    if total.reactions:
        yield f"reactions of these messages: {total.reactions:,}"
    if total.filtered:
        yield f"outside --since and --until: {total.filtered:,}"
    for rule, number in sorted(total.discarded.items()):
        yield f"discarded by rule {rule}: {number:,}"
    for reason, number in sorted(total.skipped.items()):
        yield f"skipped, {reason}: {number:,}"
    if total.repaired:
        yield f"repaired, without values that no database holds: {total.repaired:,}"
    if result.files_failed:
        yield f"files that could only be read in part: {result.files_failed:,}"
    if result.bad_list_rows:
        yield f"bad rows in the lists of users and channels: {result.bad_list_rows:,}"
    for reason, number in result.files_left_out.items():
        yield f"files skipped, {reason}: {number:,}"
