"""All checks of `tiger-slack doctor`, and what they mean for a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tiger_slack_tui.base.errors import NoData, TigerSlackError
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.checks.check import Check, CheckState
from tiger_slack_tui.checks.database import check_database
from tiger_slack_tui.checks.server import check_server_settings
from tiger_slack_tui.checks.slack import check_slack
from tiger_slack_tui.checks.spool import check_spool
from tiger_slack_tui.postgres.connect_failures import session_conninfo
from tiger_slack_tui.postgres.connection import with_defaults
from tiger_slack_tui.postgres.database import database, database_name
from tiger_slack_tui.postgres.embedded.binaries import find_binaries, reachable, server_user
from tiger_slack_tui.slack.pages import OnWait


class ChecksFailed(TigerSlackError):
    """At least one check failed."""


async def check_all(
    loaded: Settings, *, is_first: bool = False, on_wait: OnWait | None = None
) -> list[Check]:
    """All checks of Slack, the database, the server and the spool.

    With `is_first`, it is in order that the embedded PostgreSQL has no data yet.
    """
    checks = [check async for check in check_slack(on_wait)]
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
