"""An unexpected error shows its place and its stack, and no data."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tests.faults.commands import PLAUSIBLE, Command, commands
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.log_setup import log_to_stderr
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.main import main

SECRET = "xoxb-secret"
READ_NONE = (("roles",), ("completion",), ("init",))
"""Two only print; without a terminal, init asks for options first."""


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command fails where it reads its settings."""

    def load(*_: Any) -> None:
        {}[SECRET]

    monkeypatch.setattr(settings, "load", load)
    monkeypatch.setattr(settings, "load_with_slack", load)


@pytest.mark.parametrize(
    "command",
    [command for command in commands() if command.words not in READ_NONE],
    ids=lambda command: "-".join(command.words),
)
@pytest.mark.usefixtures("broken")
def test_each_command_shows_its_stack_without_data(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export").mkdir()
    names = [
        each.name or "" for each in command.arguments if each.required or each.name in PLAUSIBLE
    ]
    arguments = [PLAUSIBLE.get(name, "1") for name in names]
    words = [*command.words, *(["--no-ui", "--events", "1"] if command.words == ("demo",) else [])]
    said = CliRunner().invoke(main, [*words, *arguments])
    assert said.exit_code == 70, said.output
    first, *stack = said.stderr.splitlines()
    # The innermost line of the program is the one that reads the settings.
    assert re.match(r"tiger-slack: internal error: KeyError at \w+\.py:\d+ \(\w+\)\. Please", first)
    assert stack[0] == "Traceback (most recent call last):"
    assert stack[-1] == "KeyError"
    assert all(line.startswith('  File "') for line in stack[1:-1])
    assert SECRET not in said.output


def test_with_a_log_the_stack_goes_there(tmp_path: Path) -> None:
    @click.command()
    @plain_errors
    def fails() -> None:
        log_to_stderr(settings.load())
        {}[SECRET]

    handlers, level = logging.root.handlers[:], logging.root.level
    said = CliRunner().invoke(fails, env={"TIGER_SLACK_HOME": str(tmp_path)})
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    assert said.exit_code == 70
    logged, shown = said.stderr.splitlines()
    assert json.loads(logged)["exception.type"] == "KeyError"
    assert shown.endswith("The log has its stack.")
    assert SECRET not in said.output


@pytest.mark.parametrize(
    ("error", "code"),
    [(click.UsageError("x"), 2), (click.exceptions.Exit(5), 5), (BrokenPipeError(32, "x"), 1)],
)
def test_errors_of_click_are_not_internal_errors(error: Exception, code: int) -> None:
    @click.command()
    @plain_errors
    def fails() -> None:
        raise error

    said = CliRunner().invoke(fails)
    assert said.exit_code == code
    assert "internal error" not in said.output
