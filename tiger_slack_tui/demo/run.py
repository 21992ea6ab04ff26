"""Runs the demo: a local Slack in a process of its own, an embedded PostgreSQL, and the engine between them."""

from __future__ import annotations

import asyncio
import json
import logging
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.own_command import own_command
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.base.snapshot import Snapshot
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.demo.check import differences
from tiger_slack_tui.demo.expected import Expected
from tiger_slack_tui.demo.home import demo_home, write_settings
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.headless.run import run_headless
from tiger_slack_tui.launch import UiOptions, open_log, show_console
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.whole_tables import count_rows

log = logging.getLogger(__name__)

_SHOWN_ERRORS = 5


class DemoDiffers(TigerSlackError):
    """The tables differ from what was sent."""


def run_demo(
    settings: Settings,
    options: UiOptions,
    *,
    rate: float,
    events: int | None,
    seed: int,
    keep: Path | None,
    as_json: bool,
    mcp: bool = False,
) -> None:
    """Ingest from a local Slack. Without the console, stop after `events` events, compare, and print a summary.

    With `mcp`, also say how an AI client can ask about it. The database, the spool and the log are in a temporary
    directory, or in `keep`: a demo never touches the operator's data. Raises DemoDiffers if the tables differ from
    what was sent, and as `demo_home`. A demo whose terminal vanishes stops.
    """
    with demo_home(keep) as home:
        own = replace(settings, home=home, stop_on_hangup=True)
        open_log(own, ui=options.ui)
        with (
            printing_errors(home) if options.ui and keep is None else nullcontext(),
            EmbeddedPostgres.start(home / "postgres") as server,
            _local_slack(rate=rate, events=events or 0, seed=seed) as (process, hello),
        ):
            slack = SlackSettings(hello["bot_token"], hello["app_token"], hello["url"])
            if keep is not None:
                write_settings(home, slack)
            _announce(server.conninfo, home, is_kept=keep is not None, ui=options.ui, mcp=mcp)
            if options.ui:

                def make_engine() -> Engine:
                    # The console hides what was printed. Its log keeps it, and copies it.
                    log.info("to watch it from another terminal: %s", _observe(server.conninfo))
                    return Engine(own, slack, server.conninfo)

                options_home = settings.home if keep is None else home
                show_console(own, server.conninfo, options, make_engine, options_home=options_home)
                return
            summary = _run_headless(own, slack, server.conninfo, process, hello, events=events)
        summary["kept"] = str(home) if keep else None
        print(json.dumps(summary) if as_json else "\n".join(_lines(summary)))  # noqa: T201 the command's result
        if summary["differences"]:
            raise DemoDiffers("The tables differ from what was sent.")


def _announce(conninfo: str, home: Path, *, is_kept: bool, ui: bool, mcp: bool) -> None:
    """Say where the database is, how to watch it or ask about it, and what is kept: on stderr, or in the log."""
    setting = _setting(conninfo)
    observe = _observe(conninfo)
    ask = f"{setting} {own_command()} mcp" if mcp else None
    if not ui:
        extra = {
            "database": conninfo,
            "observe": observe,
            "mcp": ask,
            "kept": str(home) if is_kept else None,
        }
        log.info("the demo has started", extra=extra)
        return
    click.echo(f"The demo's database, while it runs: {conninfo}", err=True)
    click.echo(f"To watch it from another terminal:   {observe}", err=True)
    if ask is not None:
        click.echo(f"The command for an AI client:          {ask}", err=True)
        click.echo(
            f"With Claude Code: claude mcp add slack-demo --env {setting} -- {own_command()} mcp",
            err=True,
        )
    click.echo(_kept_line(str(home) if is_kept else None), err=True)


def _setting(conninfo: str) -> str:
    return f"DATABASE_URL={shlex.quote(conninfo)}"


def _observe(conninfo: str) -> str:
    """The command that watches the demo."""
    return f"{_setting(conninfo)} {own_command()} observe"


def _kept_line(home: str | None) -> str:
    if home is None:
        return "Nothing is kept. To keep the database and its settings: --keep DIR"
    command = f"TIGER_SLACK_HOME={shlex.quote(home)} {own_command()} observe"
    return f"Kept in {home}, with the settings in .env. To look at it:\n  {command}"


def _run_headless(
    settings: Settings,
    slack: SlackSettings,
    conninfo: str,
    process: subprocess.Popen[str],
    hello: dict[str, Any],
    *,
    events: int | None,
) -> dict[str, Any]:
    """Ingest all events of the local Slack, compare the tables with them, and return the summary.

    Without `events`, ingest until a signal; then nothing is compared.
    """
    engine, sent = asyncio.run(_ingest(settings, slack, conninfo, process, events=events))
    if sent is None:
        return _summary(engine, conninfo)
    workspace = Workspace(hello["seed"], hello["start"], hello["rate"])
    expected = Expected()
    expected.apply_lists(users=workspace.users, channels=workspace.channels)
    for payload in workspace.events(sent["sent"]):
        expected.apply(payload)
    summary = _summary(engine, conninfo)
    summary |= {
        "sent": sent["sent"],
        "acked": sent["acked"],
        "seconds": sent["seconds"],
        "events_per_second": round(sent["sent"] / sent["seconds"], 1),
        "ack_ms": sent["ack_ms"],
        "differences": asyncio.run(differences(conninfo, expected)),
    }
    return summary


@contextmanager
def printing_errors(home: Path) -> Iterator[None]:
    """At the end of the block, print the errors of its log to stderr."""
    try:
        yield
    finally:
        log = home / "tiger-slack.log"
        lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
        errors = [
            line for line in lines if '"level": "ERROR"' in line or '"level": "CRITICAL"' in line
        ]
        if errors:
            click.echo(f"The demo logged {amount(len(errors), 'error')}. The newest:", err=True)
            for line in errors[-_SHOWN_ERRORS:]:
                click.echo(line, err=True)


@contextmanager
def _local_slack(
    *, rate: float, events: int, seed: int
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The local Slack as a process, and its first line. The process ends with the block."""
    command = [sys.executable, "-m", "tiger_slack_tui.demo.server"]
    command += ["--seed", str(seed), "--rate", str(rate), "--events", str(events)]
    # In a session of its own, so that Ctrl-C reaches only this process, which then ends the other one.
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 for the types
        assert process.stdin is not None  # noqa: S101
        hello = process.stdout.readline()
        if not hello:
            raise TigerSlackError("The local Slack did not start.")
        yield process, json.loads(hello)
        process.stdin.close()


async def _ingest(
    settings: Settings,
    slack: SlackSettings,
    conninfo: str,
    process: subprocess.Popen[str],
    *,
    events: int | None,
) -> tuple[Snapshot, dict[str, Any] | None]:
    """Ingest until every event is acknowledged and stored. Return the engine's state and the local Slack's report.

    Without `events`, ingest until a signal; there is no report.
    """
    engine = Engine(settings, slack, conninfo)
    running = asyncio.create_task(run_headless(engine))
    assert process.stdout is not None  # noqa: S101 for the types
    report = asyncio.create_task(asyncio.to_thread(process.stdout.readline))
    await asyncio.wait({running, report}, return_when=asyncio.FIRST_COMPLETED)
    if not report.done():
        process.kill()  # so that the thread that reads from it ends
    if not await report:
        engine.stop()
        await running
        if events is None:
            return engine.snapshot(), None
        raise TigerSlackError("The demo was stopped before all events were sent.")
    while not running.done() and not _is_settled(engine.snapshot()):
        await asyncio.sleep(0.05)
    snapshot = engine.snapshot()
    engine.stop()
    await running
    return snapshot, json.loads(await report)


def _is_settled(now: Snapshot) -> bool:
    """Whether the spool is empty, and every job has run once."""
    return not now.spool_events and all(job.last_outcome is not None for job in now.jobs)


def _summary(engine: Snapshot, conninfo: str) -> dict[str, Any]:
    return {
        "sent": None,
        "acked": engine.acked,
        "outcomes": engine.by_outcome(),
        "duplicates": engine.duplicates,
        "rows": asyncio.run(_count_rows(conninfo)),
        "differences": [],
    }


async def _count_rows(conninfo: str) -> dict[str, int]:
    async with await connect(conninfo) as connection:
        return await count_rows(connection)


def _lines(summary: dict[str, Any]) -> Iterator[str]:
    if summary["sent"] is None:
        yield f"Stopped. {amount(summary['acked'], 'event')} acknowledged; the tables were not checked."
    else:
        ack = summary["ack_ms"]
        yield f"sent         {amount(summary['sent'], 'event')}, {summary['events_per_second']:,.0f} a second"
        yield f"acknowledged {summary['acked']:,}, within {ack['p50']:.1f} ms (median), {ack['p99']:.1f} ms (p99)"
    yield "outcomes     " + ", ".join(f"{n:,} {name}" for name, n in summary["outcomes"].items())
    yield "rows         " + ", ".join(f"{n:,} {table}" for table, n in summary["rows"].items())
    if summary["differences"]:
        yield "The tables differ from what was sent:"
        yield from (f"  {line}" for line in summary["differences"])
    elif summary["sent"] is not None:
        yield "The tables hold exactly what was sent."
    yield _kept_line(summary["kept"])
