"""`tiger-slack doctor`: checks everything that a run needs, and says what to fix."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import NoData, TigerSlackError
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.checks.check import Check, CheckState
from tiger_slack_tui.checks.database import check_database
from tiger_slack_tui.checks.server import check_server_settings
from tiger_slack_tui.checks.slack import check_slack
from tiger_slack_tui.checks.spool import check_spool
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import wrapped
from tiger_slack_tui.launch import database, database_name
from tiger_slack_tui.postgres.connect_failures import session_conninfo
from tiger_slack_tui.postgres.connection import with_defaults
from tiger_slack_tui.postgres.embedded.binaries import find_binaries, reachable, server_user


class ChecksFailed(TigerSlackError):
    """At least one check failed."""


@click.command()
@options.as_json
@plain_errors
def doctor(as_json: bool) -> None:
    """Check everything that a run needs, and say what to fix.

    It checks tokens, scopes, clock, database, migrations and spool. Exit code 1: a check failed.
    """
    checks = asyncio.run(check_all(settings.load()))
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            click.echo("\n".join(check_lines(check)))
        click.echo(summary(checks))
    if failed := failed_checks(checks):
        raise failed


def summary(checks: Sequence[Check]) -> str:
    """What the checks mean for a run, in a sentence."""
    states = Counter(check.state for check in checks)
    if states[CheckState.FAILED]:
        return "A run cannot work yet: fix what is marked with ✗."
    if warnings := states[CheckState.WARNING]:
        return f"A run works. {amount(warnings, 'warning')}: what is marked with ! could be better."
    return "A run works, and everything is in order."


def failed_checks(checks: Sequence[Check]) -> ChecksFailed | None:
    """The error that names the failed checks; None if none failed."""
    failed = [check.name for check in checks if check.state is CheckState.FAILED]
    if not failed:
        return None
    return ChecksFailed(f"{amount(len(failed), 'check')} failed: {', '.join(failed)}")


def check_lines(check: Check) -> Iterator[str]:
    """The check as text: one line for each problem, then what to do."""
    first, *more = check.found.splitlines() or [""]
    yield from wrapped(f"{check.symbol} {check.name}: {first}", hang=4)
    for line in more:
        yield from wrapped(line.strip(), 4)
    if check.fix and check.state is not CheckState.OK:
        yield from wrapped(check.fix, 4)


def _check_programs(missing: NoData, loaded: Settings, *, is_first: bool) -> Check:
    """Check that the embedded PostgreSQL, which has no data yet, can be started."""
    try:
        reachable(find_binaries(), server_user())
    except TigerSlackError as error:
        return Check.of_error("database", error)
    if is_first:
        found = f"embedded; the first start creates it in {loaded.home}"
        return Check("database", CheckState.OK, found)
    fix = f"Before the first start, that is in order. {missing.hint or ''}".rstrip()
    return Check("database", CheckState.WARNING, missing.args[0], fix)


async def check_all(loaded: Settings, *, is_first: bool = False) -> list[Check]:
    """All checks of Slack, the database, the server and the spool.

    With `is_first`, it is in order that the embedded PostgreSQL has no data yet.
    """
    checks = [check async for check in check_slack()]
    try:
        with database(loaded) as conninfo:
            name = f"{loaded.service_name} doctor"
            named = with_defaults(conninfo, application_name=name)
            checks += [check async for check in check_database(named, database_name(loaded))]
            address = session_conninfo(loaded, named) if loaded.direct_conninfo else None
            checks += [check async for check in check_server_settings(named, address)]
    except NoData as error:
        checks.append(_check_programs(error, loaded, is_first=is_first))
    except TigerSlackError as error:
        checks.append(Check.of_error("database", error))
    return [*checks, *check_spool(loaded.home / "spool", loaded.spool_limit)]
