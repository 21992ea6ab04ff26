"""What an operator does from beginning to end, by keys at a real terminal."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.test_cli import CLEAN
from tests.acceptance.test_processes import Program
from tests.archives import export, message, write_zip
from tests.console.terminal import at_terminal
from tests.support import count, until
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace

pytestmark = pytest.mark.slow


async def test_the_demo_through_all_views_and_a_whole_import(tmp_path: Path) -> None:
    home = tmp_path / "home"
    days = {"2023-11-14": [message(n) for n in range(40)] + ["no message"], "2023-11-15": []}
    archive = write_zip(tmp_path / "export.zip", export({"general": days, "random": days}))
    demo = ("-m", "tiger_slack_tui", "demo", "--rate", "50")
    environ = CLEAN | {"TIGER_SLACK_HOME": str(home)}
    async with at_terminal(demo, environ, home) as terminal:
        await terminal.shows("LIVE", 60)
        for keys, answer in (
            ("2", "advisory locks"),
            ("3", "unrouted"),
            ("5", "connected"),
            ("1", "by type"),
            ("4", "There are no imports yet"),
            ("n", "Accept"),
            (f"{archive}\r", "82 messages"),
            ("\r", "✓ wait"),
            ("jjjj\r", "no wait"),  # it would, for as long as the machine has much to do
        ):
            terminal.press(keys)
            await terminal.shows(answer)
        terminal.press("I")
        await until(lambda: "Import this archive?" in terminal.text or " ✗ " in terminal.text)
        assert "Import this archive?" in terminal.text, terminal.text
        terminal.press("y")
        await terminal.shows("accounted for")
        assert "80 new" in terminal.text
        assert "2 bad" in terminal.text
        terminal.press("q")
        await terminal.shows("Stop the ingestion, and quit?")
        terminal.press("y")
        assert await asyncio.wait_for(terminal.process.wait(), 30) == 0


async def test_observing_a_program_without_a_screen(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack:
        program = Program(slack, conninfo, tmp_path / "ingesting")
        async with program() as process:
            await slack.wait_connected()
            await slack.send_all(Workspace(1, time.time(), 100).events(300))
            await asyncio.wait_for(slack.wait_acked(), 60)
            await until(lambda: not program.spooled)
            observe = ("-m", "tiger_slack_tui", "observe")
            environ = CLEAN | {"DATABASE_URL": conninfo, "TIGER_SLACK_HOME": str(tmp_path / "own")}
            async with at_terminal(observe, environ, tmp_path / "own", (160, 48)) as terminal:
                await terminal.shows("OBSERVING")
                await terminal.shows(f":{process.pid}")  # the instance's name has it
                await terminal.shows("connected")
                await terminal.shows("reaction_added")
                terminal.press("2")
                await terminal.shows(f":{process.pid}")  # it ran the jobs
                process.send_signal(signal.SIGKILL)
                terminal.press("1")
                await terminal.shows("lost", 60)
                terminal.press("q")
                assert await asyncio.wait_for(terminal.process.wait(), 60) == 0
    assert count(conninfo, "select count(*) from slack.event") == 300


async def test_without_a_screen_textual_is_not_loaded(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        program.environ["PYTHONPROFILEIMPORTTIME"] = "1"  # each module that is loaded is told
        async with program() as process:
            await slack.wait_connected()
            await slack.send_all(Workspace(1, time.time(), 100).events(50))
            await asyncio.wait_for(slack.wait_acked(), 60)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
    assert "tiger_slack_tui.engine" in program.log
    assert "textual" not in program.log
