"""The console at a real terminal: one that stalls, vanishes or shrinks must not hold up the ingestion."""

from __future__ import annotations

import asyncio
import os
import signal
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.acceptance.test_processes import Program
from tests.console.canned import VIEW_KEYS
from tests.console.terminal import Terminal, at_terminal
from tests.support import check, until
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace

pytestmark = pytest.mark.slow

RUN = ("-m", "tiger_slack_tui", "run")
START = 1_700_000_000.0


@asynccontextmanager
async def console(
    slack: LocalSlack,
    conninfo: str,
    home: Path,
    *,
    command: tuple[str, ...] = RUN,
    size: tuple[int, int] = (80, 24),
    **environ: str,
) -> AsyncIterator[Terminal]:
    """The console over the local Slack, connected."""
    program = Program(slack, conninfo, home)
    async with at_terminal(command, program.environ | environ, home, size) as terminal:
        await slack.wait_connected()
        yield terminal


async def acknowledged(
    slack: LocalSlack, seed: int, events: int, *, nasty: bool = False
) -> list[dict[str, object]]:
    """Send events, and wait until all are acknowledged."""
    sent = list(Workspace(seed, START, 100, nasty=nasty).events(events))
    await slack.send_all(sent)
    async with asyncio.timeout(60):
        await slack.wait_acked()
    return sent


def log_of(home: Path) -> str:
    return (home / "tiger-slack.log").read_text()


async def test_shows_what_comes_and_restores_the_terminal(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack, console(slack, conninfo, tmp_path / "home") as terminal:
        await terminal.shows("LIVE")
        before = terminal.attributes
        sent = await acknowledged(slack, 1, 300)
        for key, what in (("2", "advisory locks"), ("5", "connected"), ("1", "by type")):
            terminal.press(key)
            await terminal.shows(what)
        terminal.press("q")
        await terminal.shows("Stop the ingestion, and quit?")
        terminal.press("\r")  # Enter leaves all as it is
        await terminal.shows("by type")
        terminal.press("q")
        await terminal.shows("Stop the ingestion, and quit?")
        terminal.press("\x03")  # Ctrl-C: the second time, it quits
        assert await asyncio.wait_for(terminal.process.wait(), 60) == 0
        await check(conninfo, sent)
        await until(lambda: b"\x1b[?1049l" in terminal.raw)
        last = terminal.raw[terminal.raw.rindex(b"\x1b[?1049l") :]
        assert f"Stopped. {len(sent):,} events stored, none lost. Log: ".encode() in last
        assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")
        assert termios.tcgetattr(terminal.fd)[:4] == before[:4]


async def test_a_signal_restores_the_terminal_and_loses_nothing(
    conninfo: str, tmp_path: Path
) -> None:
    async with LocalSlack() as slack, console(slack, conninfo, tmp_path / "home") as terminal:
        await terminal.shows("LIVE")
        sent = await acknowledged(slack, 1, 100)
        terminal.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(terminal.process.wait(), 60) == 0
        await check(conninfo, sent)
        await until(lambda: terminal.raw.rfind(b"\x1b[?1049l") > terminal.raw.rfind(b"\x1b[?1049h"))


async def test_a_terminal_that_stalls_holds_up_nothing_and_heals(
    conninfo: str, tmp_path: Path
) -> None:
    async with (
        LocalSlack() as slack,
        console(slack, conninfo, tmp_path / "home", size=(160, 48)) as terminal,
    ):
        await terminal.shows("LIVE")
        terminal.stall()
        sent = []
        for seed in range(5):
            # Each part changes all of the screen, until the terminal's own buffer is full.
            sent += await acknowledged(slack, seed, 300)
            terminal.press("2512")
            await asyncio.sleep(1)
        terminal.press("1")
        terminal.read()
        await terminal.shows("1,500 acknowledged")
        await check(conninfo, sent)
        terminal.stall()
        await asyncio.sleep(1)
        terminal.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(terminal.process.wait(), 60) == 0


@pytest.mark.parametrize("stop", [False, True], ids=["goes-on", "stops"])
async def test_a_terminal_that_vanishes(conninfo: str, tmp_path: Path, stop: bool) -> None:
    home = tmp_path / "home"
    async with LocalSlack() as slack:
        given = {"TIGER_SLACK_STOP_ON_HANGUP": "true" if stop else "false"}
        async with console(slack, conninfo, home, **given) as terminal:
            await terminal.shows("LIVE")
            sent = await acknowledged(slack, 1, 100)
            terminal.hang_up()
            if not stop:
                sent += await acknowledged(slack, 2, 100)
                before = processor_seconds(terminal.process.pid)
                await asyncio.sleep(2)
                # One that reads an ended terminal again and again takes all of these 2 s.
                assert processor_seconds(terminal.process.pid) - before < 1
                terminal.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(terminal.process.wait(), 60) == 0
            await check(conninfo, sent)
    assert "the terminal is gone" in log_of(home)


def processor_seconds(pid: int) -> float:
    """What the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_any_size(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack, console(slack, conninfo, tmp_path / "home") as terminal:
        await terminal.shows("LIVE")
        sent = []
        for number, size in enumerate([(1, 1), (59, 14), (200, 60), (3, 50), (60, 15)]):
            terminal.resize(*size)
            terminal.press("25")
            sent += await acknowledged(slack, number, 50)
        terminal.resize(80, 24)
        terminal.press("1")
        await terminal.shows("by type")
        await terminal.shows("Quit")
        await check(conninfo, sent)


async def test_what_people_write_never_reaches_the_terminal_as_a_command(
    conninfo: str, tmp_path: Path
) -> None:
    async with LocalSlack() as slack, console(slack, conninfo, tmp_path / "home") as terminal:
        await terminal.shows("LIVE")
        await acknowledged(slack, 1, 400, nasty=True)
        for key in VIEW_KEYS:
            terminal.press(key)
            await asyncio.sleep(0.7)
        assert terminal.foreign_bytes() == b""


async def test_a_screen_that_crashes_tells_no_locals_and_stops_nothing(
    conninfo: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    crashing = (str(Path(__file__).parent / "crashing.py"),)
    async with LocalSlack() as slack:
        async with console(slack, conninfo, home, command=crashing) as terminal:
            await terminal.shows("LIVE")
            sent = await acknowledged(slack, 1, 100)
            terminal.press("X")
            await terminal.shows("the console crashed: ZeroDivisionError")
            sent += await acknowledged(slack, 2, 100)
            terminal.process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(terminal.process.wait(), 60) == 1
            await check(conninfo, sent)
            await asyncio.sleep(0.2)
            assert b"xoxb-" not in terminal.raw
            assert b"Traceback" not in terminal.raw
            assert slack.bot_token not in log_of(home)


async def test_a_token_that_slack_refuses_ends_it_with_a_sentence(
    conninfo: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    async with LocalSlack() as slack:
        environ = Program(slack, conninfo, home).environ | {"SLACK_BOT_TOKEN": "xoxb-another"}
        async with at_terminal(RUN, environ, home) as terminal:
            assert await asyncio.wait_for(terminal.process.wait(), 60) == 1
            await terminal.shows("Slack refused auth.test: invalid_auth")
            assert b"Traceback" not in terminal.raw
