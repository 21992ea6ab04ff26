"""Runs the console and the engine in one event loop. The engine continues if the screen fails."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.garbage_collector import freeze_startup_objects
from tiger_slack_tui.base.log_setup import log_path
from tiger_slack_tui.base.metrics import observe
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.shutdown import stop_on_signals
from tiger_slack_tui.base.threads import DaemonThreads
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.driver.terminal import watching_terminal
from tiger_slack_tui.console.model.backend import Backend, reason_to_wait
from tiger_slack_tui.console.model.event_counts import EventCountsReader
from tiger_slack_tui.console.model.findings_reader import FindingsReader
from tiger_slack_tui.console.model.log_ring import LogRing
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.panes.chrome import farewell
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.manager import ImportManager
from tiger_slack_tui.postgres.connect_failures import session_conninfo
from tiger_slack_tui.postgres.connection import with_defaults

if TYPE_CHECKING:
    from tiger_slack_tui.engine import Engine

log = logging.getLogger(__name__)

_FRAME_SECONDS = 3.0
"""The longest time that the start of the engine waits for the first frame."""


class ConsoleCrashed(TigerSlackError):
    """The screen ended because of an error in the console. Events were stored until the end."""


def run_console(
    settings: Settings,
    conninfo: str,
    options: ConsoleOptions,
    make_engine: Callable[[], Engine] | None,
    *,
    is_log_kept: bool = True,
) -> None:
    """Show the console until the operator or a signal ends it. Blocks. Without `make_engine`, it only observes.

    `make_engine` is called once, inside the event loop, after the first frame. `is_log_kept` says whether the log
    file outlives the program.

    Raises what the engine raised, and ConsoleCrashed. If the terminal vanishes or the screen fails, the engine goes
    on without a screen until a signal stops it; with `options.stop_on_hangup`, it is stopped.
    """
    log_file = log_path(settings) if is_log_kept else None
    asyncio.run(_run(settings, conninfo, options, make_engine, log_file))


async def _run(
    settings: Settings,
    conninfo: str,
    options: ConsoleOptions,
    make_engine: Callable[[], Engine] | None,
    log_file: Path | None,
) -> None:
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    backend = _make_backend(settings, conninfo, options, is_observing=make_engine is None)
    logging.getLogger().addHandler(backend.log)
    shown = asyncio.Event()
    work = None
    if make_engine is None:
        freeze_startup_objects()
    else:
        work = asyncio.create_task(_ingest(backend, make_engine, shown), name="engine")
    app = ConsoleApp(
        backend, options, engine_work=asyncio.shield(work) if work else None, shown=shown
    )
    watching = _watch(app)
    try:
        await _show(app, options)
        shown.set()
        _cancel(watching)
        if app.is_lost:
            _leave_terminal()
        await _go_on(app, work, options)
        if work:
            await work
            _say_farewell(app, log_file)
    finally:
        await _leave(app, watching)
    if app.crash is not None:
        raise ConsoleCrashed(
            f"The console crashed: {app.crash}.",
            hint="Events that were read are stored. The log file has details. --no-ui runs without a screen.",
        )


def _make_backend(
    settings: Settings, conninfo: str, options: ConsoleOptions, *, is_observing: bool
) -> Backend:
    """The sources of the console. Nothing runs yet."""
    name = f"{settings.service_name} observe" if is_observing else settings.instance
    named = with_defaults(conninfo, application_name=f"{name} console")
    imports = ImportManager(
        with_defaults(session_conninfo(settings, conninfo), application_name=settings.instance),
        instance=settings.instance,
        limits=ArchiveLimits(settings.imports.ratio, settings.imports.total_bytes),
        reports=settings.home / "imports",
        reason_to_wait=lambda limit: reason_to_wait(backend.engine, limit),
    )
    backend = Backend(
        settings,
        named,
        Monitor(named, settings.jobs, is_observing=is_observing),
        LogRing(),
        FindingsReader(named),
        imports,
        event_counts_reader=EventCountsReader(named),
        read_only=options.read_only,
        is_observing=is_observing,
    )
    return backend


def _watch(app: ConsoleApp) -> list[asyncio.Task[None]]:
    """Start what reads the database for the console. A console that may change data counts killed imports, too."""
    backend = app.backend
    works = [backend.monitor.run(), backend.findings_reader.run()]
    if backend.event_counts_reader is not None:
        works.append(backend.event_counts_reader.run())
    if not (backend.is_observing or backend.read_only):
        works.append(app.operator.count_killed_imports())
    return [asyncio.create_task(work, name="watch") for work in works]


def _say_farewell(app: ConsoleApp, log_file: Path | None) -> None:
    """Print the line that stays on the terminal, if there is one."""
    engine = app.backend.engine
    if engine is not None and not (app.is_lost or app.crash):
        click.echo(farewell(engine.snapshot(), log_file), err=True)


async def _leave(app: ConsoleApp, watching: list[asyncio.Task[None]]) -> None:
    """End the import and everything that reads for the console."""
    backend = app.backend
    if backend.imports.is_running and not app.is_lost:
        click.echo(
            "tiger-slack: the import stops after its present batches; it can be resumed", err=True
        )
    await backend.imports.close()
    _cancel(watching)
    await asyncio.gather(*watching, return_exceptions=True)
    logging.getLogger().removeHandler(backend.log)


def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


async def _ingest(
    backend: Backend, make_engine: Callable[[], Engine], shown: asyncio.Event
) -> None:
    """Make the engine after the first frame, and run it to its end."""
    # Loading the engine takes longer than showing the first frame. A screen that fails must not hold it up for ever.
    with suppress(TimeoutError):
        await asyncio.wait_for(shown.wait(), _FRAME_SECONDS)
    await asyncio.to_thread(import_module, "tiger_slack_tui.engine")
    if backend.is_stopping:
        return
    freeze_startup_objects()
    backend.engine = make_engine()
    observe(backend.engine.published)
    await backend.engine.run()


async def _show(app: ConsoleApp, options: ConsoleOptions) -> None:
    loop = asyncio.get_running_loop()
    stop_on_signals(lambda _: app.stop())
    loop.add_signal_handler(signal.SIGHUP, app.terminal_lost)

    def lost() -> None:
        loop.call_soon_threadsafe(app.terminal_lost)

    with watching_terminal(sys.__stdin__.fileno() if sys.__stdin__ else 0, lost):
        await app.run_async(mouse=options.mouse)


async def _go_on(app: ConsoleApp, work: asyncio.Task[None] | None, options: ConsoleOptions) -> None:
    """After the end of the screen: stop the engine and the import, or let them go on without a screen."""
    imports = app.backend.imports
    if work is not None and not work.done():
        what: asyncio.Future[None] = work
        name = "ingestion"
    elif imports.is_running:
        what, name = asyncio.ensure_future(imports.wait()), "the import"
    else:
        return
    if not (app.is_lost or app.crash):
        app.operator.stop()
        return
    why = "the terminal is gone" if app.is_lost else f"the console crashed: {app.crash}"
    if options.stop_on_hangup:
        log.warning("%s: stopping", why)
        app.operator.stop()
        return
    log.warning("%s: %s goes on without a screen", why, name, extra={"pid": os.getpid()})
    if not app.is_lost:
        click.echo(f"tiger-slack: {why}; {name} goes on without it. Ctrl-C stops it.", err=True)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.operator.stop)
    await asyncio.wait({what})


def _leave_terminal() -> None:
    """Replace the lost terminal by /dev/null, so that later output does not fail."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
