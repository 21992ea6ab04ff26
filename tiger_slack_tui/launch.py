"""Starts the database and the engine for a command, with a console or without, and stops them."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiger_slack_tui.base.errors import NoTerminalError
from tiger_slack_tui.base.log_setup import log_to_file, log_to_stderr
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.base.shutdown import Shutdown
from tiger_slack_tui.postgres.database import database, require_data

if TYPE_CHECKING:
    from tiger_slack_tui.engine import Engine


_INSTEAD = (
    "Without one: tiger-slack events, why, jobs --status, backfill --status, health and doctor."
)


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
