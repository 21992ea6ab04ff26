"""Starts what a command needs, runs the engine behind one of its faces, and stops it all."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tiger_slack_tui.engine import Engine
from tiger_slack_tui.errors import NoTerminalError
from tiger_slack_tui.headless import run_headless
from tiger_slack_tui.settings import Settings, SlackSettings
from tiger_slack_tui.telemetry import log_to_file, log_to_stderr


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The conninfo of the operator's database, or of the embedded PostgreSQL, which runs as long as the block."""
    if settings.conninfo is not None:
        yield settings.conninfo
        return
    from tiger_slack_tui.database.embedded import EmbeddedPostgres

    with EmbeddedPostgres.start(settings.home / "postgres") as server:
        yield server.conninfo


def run_engine(settings: Settings, slack: SlackSettings, *, ui: bool) -> None:
    """Ingest until stopped. Raises what a person must mend."""
    prepare_face(settings, ui=ui)
    with database(settings) as conninfo:
        if ui:
            from tiger_slack_tui.console.app import run_console

            run_console(lambda: Engine(settings, slack, conninfo))
        else:
            asyncio.run(_headless(settings, slack, conninfo))


async def _headless(settings: Settings, slack: SlackSettings, conninfo: str) -> None:
    await run_headless(Engine(settings, slack, conninfo), http=settings.http)


def prepare_face(settings: Settings, *, ui: bool) -> None:
    """Send the log where the face does not need the room. Raises NoTerminalError where a console has no terminal."""
    if not ui:
        log_to_stderr(settings)
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        raise NoTerminalError("The console needs a terminal.", hint="Without one, add --no-ui.")
    log_to_file(settings)
