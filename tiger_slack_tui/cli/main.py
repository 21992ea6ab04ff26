"""The commands: parse, call, print. What they do is elsewhere, and imported only when a command runs."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import click

from tiger_slack_tui import __version__
from tiger_slack_tui.cli.audit import COMMANDS
from tiger_slack_tui.cli.errors import end_on_sigterm
from tiger_slack_tui.cli.errors import plain_errors as _plain_errors


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, "-V", "--version", message="%(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Ingest a Slack workspace into TimescaleDB or PostgreSQL. Without a command: run, with its console."""
    if context.invoked_subcommand is None:
        context.invoke(run)


for command in COMMANDS:
    main.add_command(command)


_GAP_ID = click.IntRange(1, 2**63 - 1)
"""What fits into slack.gap.id."""
_MOST_RATE = 100_000
"""Events a second; far more than any machine takes."""


def _real(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """Refuse nan, which passes each comparison of a range."""
    if math.isnan(value):
        raise click.BadParameter("nan is no number.", context, parameter)
    return value


_no_ui = click.option(
    "--no-ui", is_flag=True, help="No console: log lines on stderr, for containers."
)


_read_only = click.option(
    "--read-only", is_flag=True, help="A console that only shows: no action that changes anything."
)


_no_mouse = click.option(
    "--no-mouse", is_flag=True, help="Leave the mouse to the terminal, for selecting text."
)


_http = click.option(
    "--http",
    metavar="[HOST:]PORT",
    help="Where health and metrics are served (TIGER_SLACK_HTTP).",
)


@main.command()
@_no_ui
@_read_only
@_no_mouse
@_http
@_plain_errors
def run(no_ui: bool, read_only: bool, no_mouse: bool, http: str | None) -> None:
    """Ingest from Slack until stopped (SIGTERM, SIGINT; in the console: q)."""
    end_on_sigterm()
    from dataclasses import replace

    from tiger_slack_tui.base import settings
    from tiger_slack_tui.launch import Face, run_engine

    if http and not no_ui:
        raise click.UsageError("--http needs --no-ui.")
    loaded, slack = settings.load_with_slack()
    face = Face(ui=not no_ui, read_only=read_only, mouse=not no_mouse)
    run_engine(replace(loaded, http=http or loaded.http), slack, face)


@main.command()
@_read_only
@_no_mouse
@_plain_errors
def observe(read_only: bool, no_mouse: bool) -> None:
    """The console without a connection to Slack: what the database knows of the instances that ingest."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.launch import Face, observe_database

    observe_database(settings.load(), Face(read_only=read_only, mouse=not no_mouse))


@main.command()
@_http
@click.option("--live", is_flag=True, help="Ask only whether the process is alive.")
@_plain_errors
def health(http: str | None, live: bool) -> None:
    """Ask the program on this machine whether it is ready; exit code 1 where it is not."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.headless.health import ask

    address = http or settings.load().http
    if address is None:
        raise click.UsageError("Name the port with --http, or TIGER_SLACK_HTTP.")
    click.echo(ask(address, live=live))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plain_errors
def doctor(as_json: bool) -> None:
    """Look at everything that a run needs, and say how to fix what is wrong; exit code 1 where something is."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.doctor import examine

    examine(settings.load(), as_json=as_json)


@main.command()
@click.option(
    "--status", is_flag=True, help="Show what is applied and what is pending; change nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plain_errors
def migrate(status: bool, as_json: bool) -> None:
    """Bring the database's schema to this version. Also done at every start."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.migrate import apply, show

    (show if status else apply)(settings.load(), as_json=as_json)


@main.command()
@click.argument(
    "names", nargs=-1, type=click.Choice(("users", "channels", "retention", "backfill"))
)
@click.option(
    "--status",
    is_flag=True,
    help="Show when each job runs, who runs it now, and how its last runs went.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plain_errors
def jobs(names: tuple[str, ...], status: bool, as_json: bool) -> None:
    """Run jobs now: users, channels, retention, backfill; without a name users and channels."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.jobs import run_by_hand, show

    if status:
        show(settings.load(), as_json=as_json)
    elif names and set(names) == {"retention"}:
        run_by_hand(settings.load(), None, names, as_json=as_json)
    else:
        run_by_hand(*settings.load_with_slack(), names or ("users", "channels"), as_json=as_json)


@main.command()
@click.option(
    "--gap", "gaps", metavar="ID", type=_GAP_ID, multiple=True, help="Only this one; repeatable."
)
@click.option(
    "--channel",
    "channels",
    metavar="NAME",
    multiple=True,
    help="Read this channel, by name or id, since the time of --since; repeatable.",
)
@click.option(
    "--since",
    metavar="WHEN",
    help="Read from then on: a date, a time, or a duration such as 30D, 4W, 7M, 1Y.",
)
@click.option("--until", metavar="WHEN", help="Read until then; of a date, all of its day.")
@click.option("--status", is_flag=True, help="Show the newest gaps; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plain_errors
def backfill(status: bool, as_json: bool, **options: Any) -> None:
    """Close gaps, spans in which events may not have reached us, with what Slack's history holds.

    Without options all that are over. Started again, it goes on where it was. Exit code 0: all are closed; 3: Slack
    shows only a part, or restricts the app; 1: it failed or was stopped; 2: usage.
    """
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.backfill import BackfillRequest, run_backfill, show_gaps

    if status:
        show_gaps(settings.load(), as_json=as_json)
    else:
        request = BackfillRequest(as_json=as_json, **options)
        sys.exit(run_backfill(*settings.load_with_slack(), request))


@main.command(name="import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--since",
    metavar="WHEN",
    help="No messages before: a date, a time, or a duration such as 30D, 4W, 7M, 1Y.",
)
@click.option("--until", metavar="WHEN", help="No messages after; of a date, all of its day.")
@click.option(
    "--channel",
    "channels",
    metavar="NAME",
    multiple=True,
    help="Only channels of this name or id (*, ?); repeatable.",
)
@click.option(
    "--channel-map",
    type=click.Path(path_type=Path),
    help='JSON for folders whose channel is not known, named as warnings show them: {"FOLDER": "ID"}.',
)
@click.option("--root", metavar="PATH", help="Of several exports in the archive, the one in PATH.")
@click.option(
    "--workspace",
    metavar="TEAM",
    help="Of several exports, those of the workspace TEAM (T…); also into a database of another one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 32),
    default=2,
    show_default=True,
    help="Processes that read and write.",
)
@click.option("--dry-run", is_flag=True, help="Read all, write nothing, print the same account.")
@click.option("--restart", is_flag=True, help="Begin anew where an earlier run did not end.")
@click.option("--no-compress", is_flag=True, help="Leave old chunks to TimescaleDB's policy.")
@click.option(
    "--errors",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write each bad record there: JSON lines of file, position, reason.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON.")
@_plain_errors
def import_(
    path: Path,
    channel_map: Path | None,
    no_compress: bool,
    errors: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Import a Slack export, a folder or the ZIP as downloaded, or what Slackdump wrote: an export, a dump, or its
    slackdump.sqlite. Started again, it goes on where it was.

    Exit code 0: all is accounted for; 3: bad records, or files that may hold messages, were skipped; 1: it failed or
    was stopped; 2: usage.
    """
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.imports import Output, run_import
    from tiger_slack_tui.imports.request import ImportRequest, read_channel_map

    named = read_channel_map(channel_map) if channel_map else {}
    request = ImportRequest(path=path, channel_map=named, compress=not no_compress, **options)
    sys.exit(run_import(settings.load(), request, Output(errors, as_json)))


@main.command()
@_no_ui
@_read_only
@_no_mouse
@click.option(
    "--rate",
    type=click.FloatRange(0.1, _MOST_RATE),
    callback=_real,
    default=20,
    show_default=True,
    help="Events a second.",
)
@click.option(
    "--events", type=click.IntRange(min=1), help="End after this many events (with --no-ui)."
)
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="Which workspace; the same seed, the same one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@_plain_errors
def demo(
    no_ui: bool,
    read_only: bool,
    no_mouse: bool,
    rate: float,
    events: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """A workspace that lives on this machine, ingested for real. Needs neither Slack nor a database."""
    end_on_sigterm()
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.demo.run import run_demo
    from tiger_slack_tui.launch import Face

    if no_ui and events is None:
        raise click.UsageError("--no-ui needs --events, so that the demo comes to an end.")
    run_demo(
        settings.load(),
        Face(ui=not no_ui, read_only=read_only, mouse=not no_mouse),
        rate=rate,
        events=events,
        seed=seed,
        as_json=as_json,
    )
