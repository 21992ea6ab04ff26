"""Commands that wait can be stopped: without a traceback, with the exit code of a stop."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.test_processes import Program
from tests.faults.commands import Command, commands
from tests.support import count, until
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack

pytestmark = pytest.mark.slow

WITHOUT_A_DATABASE = {
    *(("run",), ("observe",), ("demo",), ("health",), ("mcp",), ("roles",)),
    *(("init",), ("config",), ("completion",)),
}
"""Without a terminal, an address or a client, or because they only print."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)
BOTH = {("jobs",), ("events",)}
"""Get each signal, the other commands one of them: all wait as one of these does."""
_WAITING = """
select count(*) from pg_stat_activity a
where a.datname = current_database()
and a.application_name like 'tiger-slack%'
and a.wait_event_type = 'Lock'
"""
_FOLLOWING = """
select count(*) from pg_stat_activity a
where a.datname = current_database()
and a.application_name like '%events'
and a.query like '%slack.event%'
"""


async def start(program: Program, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tiger_slack_tui", *words),
        env=program.environ,
        cwd=program.environ["TIGER_SLACK_HOME"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A runner in the background ignores SIGINT, and its processes inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


async def stop(process: asyncio.subprocess.Process, number: signal.Signals) -> tuple[int, str]:
    """The exit code and all that it has said."""
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode is not None
    return process.returncode, (out + err).decode()


def make_export(home: Path) -> None:
    (home / "export" / "place").mkdir(parents=True)
    (home / "export" / "channels.json").write_text('[{"id": "C1", "name": "place"}]')
    (home / "export" / "place" / "2024-01-01.json").write_text("[]")


def interrupted() -> Iterator[tuple[Command, signal.Signals]]:
    """Each command that needs the database, and a signal that stops it."""
    waiting = [command for command in commands() if command.words not in WITHOUT_A_DATABASE]
    for number, command in enumerate(waiting):
        given = SIGNALS if command.words in BOTH else [SIGNALS[number % 2]]
        yield from ((command, each) for each in given)


@pytest.mark.parametrize(
    ("command", "number"),
    list(interrupted()),
    ids=lambda given: "-".join(given.words) if isinstance(given, Command) else given.name,
)
async def test_a_command_that_waits_for_the_database(
    conninfo: str, tmp_path: Path, command: Command, number: signal.Signals
) -> None:
    make_export(tmp_path)
    async with LocalSlack(directory=Directory([], [{"id": "C1", "name": "place"}])) as slack:
        program = Program(slack, conninfo, tmp_path)
        with psycopg.connect(conninfo) as connection:
            lock_all(connection)
            process = await start(program, *command.line())
            await until(lambda: count(conninfo, _WAITING) > 0)
            code, said = await stop(process, number)
            assert "Traceback" not in said
            assert code in ((1, -signal.SIGTERM) if number == signal.SIGTERM else (1, 130))


def lock_all(connection: psycopg.Connection[Any]) -> None:
    """Hold every table of ours until the connection ends."""
    rows = connection.execute(
        "select format('slack.%I', relname) from pg_class"
        " where relnamespace = 'slack'::regnamespace and relkind = 'r' order by 1"
    )
    names = ", ".join(row[0] for row in rows.fetchall())
    connection.execute(f"lock table {names} in access exclusive mode".encode())


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("words", [["jobs", "users"], ["backfill", "--since", "1D"]])
async def test_a_job_by_hand_that_waits_for_slack(
    conninfo: str, tmp_path: Path, words: list[str], number: signal.Signals
) -> None:
    async with LocalSlack() as slack:
        slack.hold = asyncio.Event()
        process = await start(Program(slack, conninfo, tmp_path), *words)
        begun = "select count(*) from slack.job_run where outcome is null"
        await until(lambda: count(conninfo, begun) == 1)
        code, said = await stop(process, number)
        slack.hold.set()
    assert (code, "Stopped." in said, "Traceback" in said) == (1, True, False), said
    assert count(conninfo, "select count(*) from slack.job_run where outcome = 'cancelled'") == 1


@pytest.mark.parametrize("number", SIGNALS)
async def test_events_that_are_followed(
    conninfo: str, tmp_path: Path, number: signal.Signals
) -> None:
    async with LocalSlack() as slack:
        process = await start(Program(slack, conninfo, tmp_path), "events", "--follow")
        await until(lambda: count(conninfo, _FOLLOWING) == 1)
        code, said = await stop(process, number)
    assert (code, said) == (130 if number == signal.SIGINT else -signal.SIGTERM, "")
