"""`tiger-slack migrate`: brings the schema up to date, or shows its state."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

from tiger_slack_tui import __version__
from tiger_slack_tui.audit.words import format_time
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.postgres.connection import with_defaults
from tiger_slack_tui.postgres.database import database
from tiger_slack_tui.postgres.migrate import run
from tiger_slack_tui.postgres.migrate.files import MigrationFileState
from tiger_slack_tui.postgres.migrate.run import (
    MigrationMessage,
    MigrationStatus,
    migration_status,
)


@click.command(name="migrate")
@click.option(
    "--status", is_flag=True, help="Show the versions and the state of each file; change nothing."
)
@options.as_json
@plain_errors
def migrate(status: bool, as_json: bool) -> None:
    """Bring the database's schema up to date, or show its state.

    `tiger-slack run`, `import`, `backfill` and `jobs` also do this when they start.
    """
    (_show if status else _apply)(settings.load(), as_json=as_json)


def _apply(loaded: Settings, *, as_json: bool) -> None:
    """Migrate, and print what was applied."""
    with _connected(loaded, creates=True) as conninfo:
        applied = asyncio.run(run.migrate(conninfo, report=_print_message))
    if as_json:
        click.echo(json.dumps({"version": __version__, "applied": applied}))
    elif not applied:
        click.echo(f"Nothing to do: the database has version {__version__}.")
    else:
        click.echo(f"The database now has version {__version__}.")


def _show(loaded: Settings, *, as_json: bool) -> None:
    with _connected(loaded, creates=False) as conninfo:
        found = asyncio.run(migration_status(conninfo))
    click.echo(json.dumps(_as_json(found), indent=2) if as_json else _as_text(found))


@contextmanager
def _connected(loaded: Settings, *, creates: bool) -> Iterator[str]:
    with database(loaded, creates=creates) as conninfo:
        yield with_defaults(conninfo, application_name=f"{loaded.service_name} migrate")


def _print_message(message: MigrationMessage) -> None:
    click.secho(message.text, err=True, fg="yellow" if message.level >= logging.WARNING else None)


def _as_json(found: MigrationStatus) -> dict[str, object]:
    return {
        "version": found.version,
        "database_version": found.database_version,
        "postgresql": found.postgresql,
        "timescaledb": found.timescaledb,
        "files": [
            {
                "name": file.name,
                "state": file.state,
                "applied_at": file.applied_at.isoformat() if file.applied_at else None,
                "applied_at_version": file.applied_at_version,
                "difference": file.difference,
            }
            for file in found.files
        ],
    }


def _as_text(found: MigrationStatus) -> str:
    lines = [
        f"program      {found.version}",
        f"database     {found.database_version or 'not migrated yet'}",
        f"PostgreSQL   {found.postgresql}",
        f"TimescaleDB  {found.timescaledb or 'none'}",
        "",
    ]
    width = max((len(file.name) for file in found.files), default=0)
    for file in found.files:
        when = (
            f"{format_time(file.applied_at)}, {file.applied_at_version}" if file.applied_at else ""
        )
        lines.append(f"{file.state:<8} {file.name:<{width}} {when}".rstrip())
        if file.difference:
            lines += [f"         {line}" for line in file.difference.splitlines()]
    waiting = sum(file.state is MigrationFileState.PENDING for file in found.files)
    lines += ["", f"{waiting} pending" if waiting else "Nothing pending."]
    return "\n".join(lines)
