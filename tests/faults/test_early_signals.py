"""Signals that come while a command still loads."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.test_cli import CLEAN

_WHILE_IMPORTING = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{number})

sys.meta_path.insert(0, Finder())
sys.argv = ["tiger-slack", *{words!r}]
from tiger_slack_tui.__main__ import start
start()
"""


def run(cwd: Path, module: str, number: signal.Signals, *words: str) -> tuple[int, str]:
    """A command that is sent the signal when it imports the module: its exit code and all that it said."""
    code = _WHILE_IMPORTING.format(module=module, number=number.name, words=words)
    environ = CLEAN | {"TIGER_SLACK_HOME": str(cwd), "DATABASE_URL": "host=127.0.0.1 port=9"}
    environ |= {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "TMPDIR": str(cwd)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, env=environ
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "code"),
    [("click", -signal.SIGINT), ("tiger_slack_tui.cli.main", -signal.SIGINT), ("psycopg", 130)],
)
def test_an_interrupt(tmp_path: Path, module: str, code: int) -> None:
    """A shell shows 130 for both."""
    assert run(tmp_path, module, signal.SIGINT, "events") == (code, "")


@pytest.mark.parametrize("words", [("run", "--no-ui"), ("demo", "--no-ui", "--events", "9")])
@pytest.mark.parametrize("module", ["psycopg", "tiger_slack_tui.engine"])
def test_a_stop_of_what_runs_until_it_is_stopped(
    tmp_path: Path, words: tuple[str, ...], module: str
) -> None:
    code, said = run(tmp_path, module, signal.SIGTERM, *words)
    assert code == 0
    assert ("The demo was stopped" in said) == ("demo" in words)
    assert not list(tmp_path.glob("tiger-slack-demo-*"))
