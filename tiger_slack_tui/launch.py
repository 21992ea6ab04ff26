"""Starts the database and the engine for a command, with a console or without, and stops them."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiger_slack_tui.base.errors import NoData, NoTerminalError
from tiger_slack_tui.base.log_setup import log_to_file, log_to_stderr
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.base.shutdown import Shutdown

if TYPE_CHECKING:
    from tiger_slack_tui.engine import Engine


_INSTEAD = (
    "Without one: tiger-slack events, why, jobs --status, backfill --status, health and doctor."
)

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


@dataclass(frozen=True, slots=True)
class UiOptions:
    """The options of the command line for the console. Without `ui` there is no console, only log lines."""

    ui: bool = True
    read_only: bool = False
    mouse: bool = True


def run_engine(settings: Settings, slack: SlackSettings, options: UiOptions) -> None:
    """Ingest until stopped.

    Raises NoTerminalError, EmbeddedPostgresError, SlackRefused, DatabaseRefused and MigrationError.
    """
    open_log(settings, ui=options.ui)
    shutdown = Shutdown()
    with database(settings, creates=True, shutdown=shutdown) as conninfo:
        if options.ui:

            def make_engine() -> Engine:
                from tiger_slack_tui.engine import Engine

                return Engine(settings, slack, conninfo, shutdown=shutdown)

            show_console(settings, conninfo, options, make_engine)
        else:
            asyncio.run(_headless(settings, slack, conninfo, shutdown))


def observe_database(settings: Settings, options: UiOptions) -> None:
    """Show the instances that ingest into the database. Raises NoData, NoTerminalError and EmbeddedPostgresError."""
    require_data(settings)  # before the log makes the directory
    open_log(settings, ui=True, without_terminal=_INSTEAD)
    with database(settings) as conninfo:
        show_console(settings, conninfo, options, None)


def show_console(
    settings: Settings,
    conninfo: str,
    options: UiOptions,
    make_engine: Callable[[], Engine] | None,
    *,
    options_home: Path | None = None,
) -> None:
    """Show the console until it ends. Its settings file is in `options_home`, or else in `settings.home`."""
    # Imports make objects that stay and no garbage, so collecting only costs time. `run_console` turns it on again.
    gc.disable()
    # Imported late: only the console needs Textual.
    from tiger_slack_tui.console.session import run_console
    from tiger_slack_tui.console.settings_file import read_options

    console_options = read_options(
        options_home or settings.home,
        read_only=options.read_only,
        mouse=options.mouse,
        stop_on_hangup=settings.stop_on_hangup,
    )
    # A demo that keeps nothing reads the operator's settings file, and its own log vanishes with it.
    is_log_kept = options_home in (None, settings.home)
    run_console(settings, conninfo, console_options, make_engine, is_log_kept=is_log_kept)


async def _headless(
    settings: Settings, slack: SlackSettings, conninfo: str, shutdown: Shutdown
) -> None:
    from tiger_slack_tui.engine import Engine
    from tiger_slack_tui.headless.run import run_headless

    engine = Engine(settings, slack, conninfo, shutdown=shutdown)
    await run_headless(engine, http=settings.http)


def can_show_console() -> bool:
    """Whether there is a terminal that can show the console."""
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    return is_terminal and os.environ.get("TERM", "dumb") != "dumb"


def open_log(
    settings: Settings, *, ui: bool, without_terminal: str = "Without one, add --no-ui."
) -> None:
    """Open the log: a file for a console, else stderr. Raises NoTerminalError for a console without a terminal.

    `without_terminal` says what exists instead of the console.
    """
    if not ui:
        log_to_stderr(settings)
        return
    if not can_show_console():
        raise NoTerminalError("The console needs a terminal.", hint=without_terminal)
    log_to_file(settings)
