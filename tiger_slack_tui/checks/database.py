"""Checks of the database: rights, extension, instances, gaps and migrations."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tiger_slack_tui import __version__
from tiger_slack_tui.audit.words import format_time
from tiger_slack_tui.base.errors import MigrationError, TigerSlackError
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.checks.check import Check, CheckState
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import translate_errors
from tiger_slack_tui.postgres.introspection import connected_instances, schema_rights
from tiger_slack_tui.postgres.migrate.files import MigrationFileState, version_number
from tiger_slack_tui.postgres.migrate.run import check_server, migration_status
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.postgres.timescale import find_timescaledb
from tiger_slack_tui.store.gaps import open_gaps, unread_histories


async def check_database(conninfo: str, name: str) -> AsyncIterator[Check]:
    """Check that tiger-slack can use the database, and report what it holds. Raises as `connect`.

    `name` names the database to the operator.
    """
    async with await connect(conninfo) as connection:
        version = connection.info.parameter_status("server_version")
        try:
            await check_server(connection)
        except TigerSlackError as error:
            yield Check.of_error("database", error)
        else:
            yield Check("database", CheckState.OK, f"PostgreSQL {version}: {name}")
        try:
            with translate_errors(conninfo):
                yield await _rights(connection)
                yield await _timescaledb(connection)
                yield await _instances(connection)
                yield await _gaps(connection)
                yield await _histories(connection)
        except TigerSlackError as error:
            yield Check.of_error("tables", error)
    yield await _migrations(conninfo)


async def _rights(connection: Connection) -> Check:
    rights = await schema_rights(connection)
    role, owner = rights.role, rights.owner
    if owner is None and not rights.may_create:
        fix = f"As the database's owner, run: grant create on database … to {role}"
        return Check("rights", CheckState.FAILED, f"{role} may not create the schema slack", fix)
    if owner is not None and not rights.is_owner and rights.may_ingest:
        return Check("rights", CheckState.OK, f"{role} may ingest; {owner} migrates")
    if owner is not None and not rights.is_owner:
        fix = f"Connect as {owner}, or run: alter schema slack owner to {role}"
        return Check("rights", CheckState.FAILED, f"the schema slack belongs to {owner}", fix)
    return Check(
        "rights", CheckState.OK, f"{role} owns the schema" if owner else f"{role} may create it"
    )


async def _timescaledb(connection: Connection) -> Check:
    found = await find_timescaledb(connection)
    if found is None:
        return Check("TimescaleDB", CheckState.OK, "not installed: the tables are ordinary ones")
    return Check("TimescaleDB", CheckState.OK, f"{found.version}, {found.edition} edition")


async def _instances(connection: Connection) -> Check:
    names = await connected_instances(connection)
    return Check(
        "instances",
        CheckState.OK,
        f"connected: {', '.join(names)}" if names else "none is connected",
    )


async def _gaps(connection: Connection) -> Check:
    try:
        with translate_errors(connection.conninfo):
            gaps = await open_gaps(connection)
    except MigrationError:
        return Check("gaps", CheckState.OK, "not known yet; the first start looks for them")
    if not gaps.count:
        return Check("gaps", CheckState.OK, "none open")
    fix = "The next daily run closes them. To close them now: tiger-slack backfill"
    found = f"{gaps.count:,} open, the oldest from {format_time(gaps.since)}"
    return Check("gaps", CheckState.WARNING, f"{found}; {gaps.going_on:,} of them not ended", fix)


async def _histories(connection: Connection) -> Check:
    try:
        with translate_errors(connection.conninfo):
            unread = await unread_histories(connection)
    except MigrationError:
        return Check("history", CheckState.OK, "not known yet")
    if not unread.count:
        left = amount(unread.left, "channel")
        rest = f", but not the history of {left} that the app has left" if unread.left else ""
        return Check("history", CheckState.OK, f"all that is owed is read{rest}")
    found = f"{unread.count:,} not read to the end"
    fix = "Each reason: tiger-slack backfill --status. To read what Slack allows: tiger-slack backfill --all"
    if unread.error is None:
        return Check("history", CheckState.OK, f"{found}; the job backfill reads on")
    return Check("history", CheckState.WARNING, f"{found}: {unread.error}", fix)


async def _migrations(conninfo: str) -> Check:
    try:
        found = await migration_status(conninfo)
    except TigerSlackError as error:
        return Check.of_error("migrations", error)
    pending = sum(file.state is MigrationFileState.PENDING for file in found.files)
    changed = [file.name for file in found.files if file.difference]
    if found.database_version is None:
        return Check(
            "migrations", CheckState.OK, "the database is empty; the first start migrates it"
        )
    if version_number(found.database_version) > version_number(__version__):
        newer = f"the database has version {found.database_version}, this program {__version__}"
        fix = f"Install version {found.database_version} or newer."
        return Check("migrations", CheckState.FAILED, newer, fix)
    if changed:
        fix = "To see the differences: tiger-slack migrate --status"
        return Check(
            "migrations",
            CheckState.WARNING,
            f"applied text differs from the file: {', '.join(changed)}",
            fix,
        )
    if pending:
        return Check("migrations", CheckState.OK, f"{pending} pending; the next start applies them")
    return Check("migrations", CheckState.OK, f"version {found.database_version}, none pending")
