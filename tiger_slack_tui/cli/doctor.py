"""`tiger-slack doctor`: checks everything that a run needs, and says what to fix."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path

import aiohttp
import click
import humanize
import psycopg

from tiger_slack_tui import __version__
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import SettingsError, TigerSlackError
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.base.text import amount, visible
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.checks import Check
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.server_checks import server_checks
from tiger_slack_tui.launch import database
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.introspection import connected_instances, schema_rights
from tiger_slack_tui.postgres.migrate.files import (
    MigrationFileState,
    version_number,
)
from tiger_slack_tui.postgres.migrate.run import check_server, migration_status
from tiger_slack_tui.postgres.pool import connect, with_defaults
from tiger_slack_tui.postgres.timescale import find_timescaledb
from tiger_slack_tui.slack.web import Identity, SlackWeb
from tiger_slack_tui.store.gaps import open_gaps

_SYMBOL = {"ok": "✓", "warning": "!", "failed": "✗"}
_MOST_SKEW = 2.0
"""Seconds between Slack's clock and this machine's; above that, lateness and gaps are measured wrongly."""

# The scopes without which Slack does not send the events: https://docs.slack.dev/reference/events
_EVENTS = {
    "app_mentions:read": "app_mention",
    "channels:history": "message.channels",
    "channels:read": "channel_* and member_*",
    "groups:history": "message.groups",
    "groups:read": "group_*",
    "im:history": "message.im",
    "mpim:history": "message.mpim",
    "reactions:read": "reaction_added, reaction_removed",
    "users:read": "team_join, user_change, user_profile_changed",
}
_OTHER_SCOPES = {
    "users:read.email": "e-mail addresses of users",
    "im:read": "names of direct messages, and closing their gaps",
    "mpim:read": "names of group messages, and closing their gaps",
}


class ChecksFailed(TigerSlackError):
    """At least one check failed."""


@click.command()
@options.as_json
@plain_errors
def doctor(as_json: bool) -> None:
    """Check everything that a run needs, and say what to fix.

    It checks tokens, scopes, clock, database, migrations and spool. Exit code 1: a check failed.
    """
    checks = asyncio.run(_check_all(settings.load()))
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            click.echo("\n".join(_lines(check)))
    failed = [check.name for check in checks if check.state == "failed"]
    if failed:
        raise ChecksFailed(f"{amount(len(failed), 'check')} failed: {', '.join(failed)}")


def _lines(check: Check) -> Iterator[str]:
    """The check as text: one line for each problem, then what to do."""
    first, *more = check.found.splitlines() or [""]
    yield f"{_SYMBOL[check.state]} {check.name}: {visible(first)}"
    yield from (f"    {visible(line.strip())}" for line in more)
    if check.fix and check.state != "ok":
        yield f"    {check.fix}"


async def _check_all(loaded: Settings) -> list[Check]:
    checks = [check async for check in _slack_checks()]
    try:
        with database(loaded) as conninfo:
            name = f"{loaded.service_name} doctor"
            named = with_defaults(conninfo, application_name=name)
            checks += [check async for check in _database_checks(named)]
            checks += [check async for check in server_checks(named, loaded.direct_conninfo)]
    except TigerSlackError as error:
        checks.append(_failed("database", error))
    return [*checks, *_spool_checks(loaded)]


async def _slack_checks() -> AsyncIterator[Check]:
    try:
        _, slack = settings.load_with_slack()
    except SettingsError as error:
        yield _failed("tokens", error)
        return
    async with aiohttp.ClientSession(trust_env=True) as session:
        web = SlackWeb(slack, session)
        try:
            asked = time.time()
            identity = await web.identity()
        except TigerSlackError as error:
            yield _failed("bot token", error)
        else:
            yield Check("bot token", "ok", f"{identity.user_id} of {identity.team}")
            for check in _identity_checks(identity, asked):
                yield check
        yield await _app_token(web, slack)
    yield Check(
        "delayed events",
        "warning",
        "Slack does not tell whether “Delayed Events” is on",
        "Turn it on at the app's page “Event Subscriptions”. Slack then retries a delivery for 24 h, not for 6 min.",
    )


def _identity_checks(identity: Identity, asked: float) -> Iterator[Check]:
    if identity.scopes is None:
        yield Check("scopes", "warning", "Slack did not send them")
    else:
        missing_events = {
            scope: what for scope, what in _EVENTS.items() if scope not in identity.scopes
        }
        other = {s: what for s, what in _OTHER_SCOPES.items() if s not in identity.scopes}
        fix = "Add them at the app's page “OAuth & Permissions”, as in slack-app-manifest.json, then reinstall it."
        missing = missing_events | other
        if missing:
            yield Check(
                "scopes",
                "failed" if missing_events else "warning",
                f"missing: {', '.join(missing)}",
                fix,
            )
        else:
            yield Check("scopes", "ok", f"all {len(_EVENTS | _OTHER_SCOPES)} needed ones")
        if missing_events:
            yield Check(
                "events",
                "failed",
                f"Slack does not send: {'; '.join(missing_events.values())}",
                fix,
            )
        else:
            yield Check("events", "ok", "the scopes allow all events")
    if identity.server_time is not None:
        skew = max(abs(asked - identity.server_time) - 1, 0)  # Slack sends whole seconds
        if skew > _MOST_SKEW:
            fix = "Synchronise this machine's clock with a time server (NTP)."
            yield Check("clock", "warning", f"differs from Slack's by {skew:.0f} s", fix)
        else:
            yield Check("clock", "ok", "agrees with Slack's")


async def _app_token(web: SlackWeb, slack: SlackSettings) -> Check:
    try:
        await web.open_connection()
    except TigerSlackError as error:
        return _failed("app token", error)
    return Check("app token", "ok", "Socket Mode opens a connection")


async def _database_checks(conninfo: str) -> AsyncIterator[Check]:
    async with await connect(conninfo) as connection:
        version = connection.info.parameter_status("server_version")
        try:
            await check_server(connection)
        except TigerSlackError as error:
            yield _failed("database", error)
        else:
            yield Check("database", "ok", f"PostgreSQL {version}")
        try:
            yield await _rights(connection)
            yield await _timescaledb(connection)
            yield await _instances(connection)
            yield await _gaps(connection)
        except psycopg.Error as error:
            yield Check("tables", "failed", describe(error))
    yield await _migrations(conninfo)


async def _rights(connection: Connection) -> Check:
    rights = await schema_rights(connection)
    role, owner = rights.role, rights.owner
    if owner is None and not rights.may_create:
        fix = f"As the database's owner, run: grant create on database … to {role}"
        return Check("rights", "failed", f"{role} may not create the schema slack", fix)
    if owner is not None and not rights.is_owner:
        fix = f"Connect as {owner}, or run: alter schema slack owner to {role}"
        return Check("rights", "failed", f"the schema slack belongs to {owner}", fix)
    return Check("rights", "ok", f"{role} owns the schema" if owner else f"{role} may create it")


async def _timescaledb(connection: Connection) -> Check:
    found = await find_timescaledb(connection)
    if found is None:
        return Check("TimescaleDB", "ok", "not installed: the tables are ordinary ones")
    return Check("TimescaleDB", "ok", f"{found.version}, {found.edition} edition")


async def _instances(connection: Connection) -> Check:
    names = await connected_instances(connection)
    return Check(
        "instances", "ok", f"connected: {', '.join(names)}" if names else "none is connected"
    )


async def _gaps(connection: Connection) -> Check:
    try:
        gaps = await open_gaps(connection)
    except psycopg.errors.UndefinedTable:
        return Check("gaps", "ok", "not known yet; the first start looks for them")
    if not gaps.count:
        return Check("gaps", "ok", "none open")
    fix = "The next daily run closes them. To close them now: tiger-slack backfill"
    found = f"{gaps.count:,} open, the oldest from {gaps.since:%Y-%m-%d %H:%M} UTC"
    return Check("gaps", "warning", f"{found}; {gaps.going_on:,} of them not ended", fix)


async def _migrations(conninfo: str) -> Check:
    try:
        found = await migration_status(conninfo)
    except TigerSlackError as error:
        return _failed("migrations", error)
    pending = sum(file.state is MigrationFileState.PENDING for file in found.files)
    changed = [file.name for file in found.files if file.difference]
    if found.database_version is None:
        return Check("migrations", "ok", "the database is empty; the first start migrates it")
    if version_number(found.database_version) > version_number(__version__):
        newer = f"the database has version {found.database_version}, this program {__version__}"
        fix = f"Install version {found.database_version} or newer."
        return Check("migrations", "failed", newer, fix)
    if changed:
        fix = "To see the differences: tiger-slack migrate --status"
        return Check(
            "migrations",
            "warning",
            f"applied text differs from the file: {', '.join(changed)}",
            fix,
        )
    if pending:
        return Check("migrations", "ok", f"{pending} pending; the next start applies them")
    return Check("migrations", "ok", f"version {found.database_version}, none pending")


def _spool_checks(loaded: Settings) -> Iterator[Check]:
    place = loaded.home / "spool"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"doctor")
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(place).free
    except OSError as error:
        fix = "Set TIGER_SLACK_HOME to a directory that this user can write to."
        yield Check("spool", "failed", f"cannot be written to: {error.strerror}", fix)
        return
    waiting = sum(path.stat().st_size for path in _segments(place))
    if free < loaded.spool_limit:
        fix = "Free space on the disk, or lower TIGER_SLACK_SPOOL_MIB."
        room = f"{humanize.naturalsize(free)} free on the disk, less than the spool's limit"
        yield Check("spool", "warning", room, fix)
    else:
        kept = humanize.naturalsize(waiting) if waiting else "empty"
        yield Check("spool", "ok", f"{kept}, {humanize.naturalsize(free)} free on the disk")


def _segments(place: Path) -> list[Path]:
    return [path for path in place.glob("*.segment") if path.is_file()]


def _failed(name: str, error: TigerSlackError) -> Check:
    return Check(name, "failed", Exception.__str__(error), error.hint)
