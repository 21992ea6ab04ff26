"""A demo does not change the operator's home directory, and keeps the files that its console exported."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.test_cli import CLEAN
from tests.console.terminal import at_terminal
from tiger_slack_tui.demo.run import printing_errors

pytestmark = pytest.mark.slow


async def test_a_demo_in_a_console(tmp_path: Path) -> None:
    home, cwd = tmp_path / "home", tmp_path / "cwd"
    environ = CLEAN | {"TIGER_SLACK_HOME": str(home)}
    async with at_terminal(("-m", "tiger_slack_tui", "demo"), environ, cwd) as terminal:
        await terminal.shows("LIVE", 120)
        terminal.press("2")
        await terminal.shows("advisory locks")
        terminal.press("e")
        await terminal.shows("Accept")
        terminal.press("\r")
        await terminal.shows("Wrote ")
        terminal.press("5")
        await terminal.shows("connected")
        terminal.press("g")
        await terminal.shows("to watch it from another terminal")
        terminal.press("q")
        await terminal.shows("Stop the ingestion, and quit?")
        terminal.press("y")
        assert await asyncio.wait_for(terminal.process.wait(), 60) == 0
    assert not home.exists() or not list(home.iterdir())
    assert len(list(cwd.glob("*.txt"))) == 1


def test_the_errors_of_a_demo_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with printing_errors(tmp_path):
        (tmp_path / "tiger-slack.log").write_text(
            '{"level": "INFO", "message": "all is well"}\n{"level": "ERROR", "message": "it broke"}\n'
        )
    said = capsys.readouterr().err
    assert ("it broke" in said, "all is well" in said) == (True, False)
