"""Runs the demo: a local Slack in a process of its own, an embedded PostgreSQL, and the engine between them."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.base.snapshot import Snapshot
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.demo.check import differences
from tiger_slack_tui.demo.expected import Expected
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.headless.run import run_headless
from tiger_slack_tui.launch import UiOptions, open_log, show_console
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.whole_tables import count_rows

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
    as_json: bool,
) -> None:
    """Ingest from a local Slack. Without the console, stop after `events` events, compare, and print a summary.

    The database, the spool and the log are in a temporary directory: a demo never touches the operator's data. Files
    that the console exported are moved to the working directory. Raises DemoDiffers if the tables differ from what
    was sent. A demo whose terminal vanishes stops.
    """
    with tempfile.TemporaryDirectory(prefix="tiger-slack-demo-") as home:
        own = replace(settings, home=Path(home), stop_on_hangup=True)
        open_log(own, ui=options.ui)
        with (
            keep_exports(own.home, Path.cwd()) if options.ui else nullcontext(),
            EmbeddedPostgres.start(own.home / "postgres") as server,
            _local_slack(rate=rate, events=events or 0, seed=seed) as (process, hello),
        ):
            slack = SlackSettings(hello["bot_token"], hello["app_token"], hello["url"])
            if options.ui:

                def make_engine() -> Engine:
                    return Engine(own, slack, server.conninfo)

                show_console(own, server.conninfo, options, make_engine, options_home=settings.home)
                return
            summary = _run_headless(own, slack, server.conninfo, process, hello)
        print(json.dumps(summary) if as_json else _text(summary))  # noqa: T201 it is the command's result
        if summary["differences"]:
            raise DemoDiffers("The tables differ from what was sent.")


def _run_headless(
    settings: Settings,
    slack: SlackSettings,
    conninfo: str,
    process: subprocess.Popen[str],
    hello: dict[str, Any],
) -> dict[str, Any]:
    """Ingest all events of the local Slack, compare the tables with them, and return the summary."""
    engine, sent = asyncio.run(_ingest(settings, slack, conninfo, process))
    workspace = Workspace(hello["seed"], hello["start"], hello["rate"])
    expected = Expected()
    expected.apply_lists(users=workspace.users, channels=workspace.channels)
    for payload in workspace.events(sent["sent"]):
        expected.apply(payload)
    return _summary(engine, sent, conninfo, asyncio.run(differences(conninfo, expected)))


@contextmanager
def keep_exports(home: Path, directory: Path) -> Iterator[None]:
    """At the end of the block, print the errors of its log to stderr, and move its exports into the directory."""
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
        if (home / "exports").exists():
            try:
                place = Path(tempfile.mkdtemp(prefix="tiger-slack-exports-", dir=directory))
                for file in (home / "exports").iterdir():
                    shutil.move(file, place)
                click.echo(f"The files that the console exported are in {place}", err=True)
            except OSError as error:
                click.echo(
                    f"The files that the console exported could not be kept: {error.strerror}",
                    err=True,
                )


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
    settings: Settings, slack: SlackSettings, conninfo: str, process: subprocess.Popen[str]
) -> tuple[Snapshot, dict[str, Any]]:
    """Ingest until every event is acknowledged and stored. Return the engine's state and the local Slack's report."""
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


def _summary(
    engine: Snapshot, sent: dict[str, Any], conninfo: str, found: list[str]
) -> dict[str, Any]:
    return {
        "sent": sent["sent"],
        "acked": sent["acked"],
        "outcomes": engine.by_outcome(),
        "duplicates": engine.duplicates,
        "seconds": sent["seconds"],
        "events_per_second": round(sent["sent"] / sent["seconds"], 1),
        "ack_ms": sent["ack_ms"],
        "rows": asyncio.run(_count_rows(conninfo)),
        "differences": found,
    }


async def _count_rows(conninfo: str) -> dict[str, int]:
    async with await connect(conninfo) as connection:
        return await count_rows(connection)


def _text(summary: dict[str, Any]) -> str:
    ack = summary["ack_ms"]
    lines = [
        f"sent         {summary['sent']:,} events, {summary['events_per_second']:,.0f} a second",
        f"acknowledged {summary['acked']:,}, within {ack['p50']:.1f} ms (median), {ack['p99']:.1f} ms (p99)",
        "outcomes     "
        + ", ".join(f"{n:,} {outcome}" for outcome, n in summary["outcomes"].items()),
        "rows         " + ", ".join(f"{n:,} {table}" for table, n in summary["rows"].items()),
    ]
    if summary["differences"]:
        lines += ["The tables differ from what was sent:"]
        lines += [f"  {line}" for line in summary["differences"]]
    else:
        lines += ["The tables hold exactly what was sent."]
    return "\n".join(lines)
