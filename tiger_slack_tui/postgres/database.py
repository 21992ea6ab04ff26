"""The database that the settings lead to: a server of the operator's, or the embedded PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiger_slack_tui.base.errors import NoData
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.shutdown import Shutdown

CREATE_DATA = ("run", "import", "migrate", "backfill", "jobs")
"""The commands that create the data of the embedded PostgreSQL if there is none."""


def require_data(settings: Settings) -> None:
    """Raise NoData if the settings lead to the embedded PostgreSQL, and no command has created its data yet."""
    if settings.conninfo is None and _is_missing(_embedded(settings) / "data"):
        raise NoData(
            f"There is no data in {settings.home} (TIGER_SLACK_HOME).",
            hint="Set TIGER_SLACK_HOME to the directory that has it, or DATABASE_URL to a server."
            f" tiger-slack {', '.join(CREATE_DATA[:-1])} and {CREATE_DATA[-1]} create a new database.",
        )


@contextmanager
def database(
    settings: Settings,
    *,
    creates: bool = False,
    session: bool = False,
    shutdown: Shutdown | None = None,
) -> Iterator[str]:
    """The conninfo of the operator's database, or of the embedded PostgreSQL, which runs as long as the block.

    With `creates`, the data of the embedded PostgreSQL is created if there is none; without it, NoData is raised.
    `session` asks for the address at which a connection keeps its session of the server (see DATABASE_DIRECT_URL).
    Raises OtherDatabase if that leads to another database, and as `connect` if one of the two does not answer.

    At the end of the block the embedded server is stopped. With `shutdown`, this waits no longer than its deadline;
    the server's supervisor, a process of its own, goes on stopping it.
    """
    if settings.conninfo is not None:
        from tiger_slack_tui.postgres.addresses import from_setting
        from tiger_slack_tui.postgres.connect_failures import session_conninfo

        conninfo = from_setting(settings.conninfo, settings.conninfo_setting)
        if session and settings.direct_conninfo is not None:
            from tiger_slack_tui.postgres.pool import require_same_database

            asyncio.run(require_same_database(conninfo, session_conninfo(settings, conninfo)))
            conninfo = session_conninfo(settings, conninfo)
        yield conninfo
        return
    if not creates:
        require_data(settings)
    from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres

    with EmbeddedPostgres.start(_embedded(settings)) as server:
        yield server.conninfo
        if shutdown is not None:
            server.close(shutdown.left())


def is_running(settings: Settings) -> bool:
    """Whether the database can be asked without starting the embedded PostgreSQL."""
    from tiger_slack_tui.postgres.embedded.server import is_supervised

    return settings.conninfo is not None or is_supervised(_embedded(settings))


def database_name(settings: Settings) -> str:
    """The database that the settings lead to, and the setting that says so; without user and password."""
    from tiger_slack_tui.postgres.addresses import EMBEDDED, database_name, from_setting

    if settings.conninfo is None:
        return f"{EMBEDDED} of {settings.home} (TIGER_SLACK_HOME)"
    return database_name(from_setting(settings.conninfo, settings.conninfo_setting))


def _embedded(settings: Settings) -> Path:
    """The directory of the embedded PostgreSQL."""
    return settings.home / "postgres"


def _is_missing(path: Path) -> bool:
    """Whether nothing is at the path. For one that cannot be read, False: starting the server says why."""
    try:
        path.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False
