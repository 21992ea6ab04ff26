"""The command as a process: what it prints, and its exit code."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.faults.commands import commands
from tests.support import count
from tiger_slack_tui import __version__
from tiger_slack_tui.base.own_command import own_command
from tiger_slack_tui.cli.main import main

CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("SLACK_", "PG", "DATABASE_URL", "TIGER_SLACK", "LOGFIRE"))
}
if "PG_BIN" in os.environ:
    CLEAN["PG_BIN"] = os.environ["PG_BIN"]


def tiger_slack(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tiger_slack_tui", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=CLEAN | {"TIGER_SLACK_HOME": str(cwd / "home")} | environ,
        cwd=cwd,
        timeout=100,
    )


def in_this_process(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command without the cost of a process, outside of any event loop.

    `test_missing_settings_are_all_named` and `test_a_process_says_the_same` show that a process has the same output
    and exit code.
    """
    hidden = {name: None for name in os.environ if name not in CLEAN}
    given = hidden | {"TIGER_SLACK_HOME": str(cwd / "home")} | environ
    with contextlib.chdir(cwd):
        said = CliRunner().invoke(main, arguments, env=given)
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception
    return subprocess.CompletedProcess(arguments, said.exit_code, said.stdout, said.stderr)


@pytest.mark.parametrize(
    ("started", "command"),
    [
        ("/opt/my tools/bin/tiger-slack", "'/opt/my tools/bin/tiger-slack'"),
        ("bin/tiger-slack", "/usr/bin/tiger-slack"),
        ("/x/tiger_slack_tui/__main__.py", "/usr/bin/python -m tiger_slack_tui"),
    ],
)
def test_a_command_to_paste_begins_as_the_process_was_started(
    monkeypatch: pytest.MonkeyPatch, started: str, command: str
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    monkeypatch.setattr(sys, "executable", "/usr/bin/python")
    monkeypatch.chdir("/usr")
    assert own_command() == command


def test_help_and_version(tmp_path: Path) -> None:
    assert "migrate" in tiger_slack("--help", cwd=tmp_path).stdout
    said = tiger_slack("--version", cwd=tmp_path).stdout
    assert re.fullmatch(rf"{re.escape(__version__)}( \(commit [0-9a-f]{{7,40}}\))?\n", said)


@pytest.mark.parametrize(("words", "first"), [((), "Run:"), (("discard",), "Commands:")])
def test_help_shows_one_whole_sentence_for_each_command(words: tuple[str, ...], first: str) -> None:
    said = CliRunner().invoke(main, [*words, "--help"], terminal_width=80).stdout
    shown = [line for line in said.partition(f"{first}\n")[2].splitlines() if line[:1] == " "]
    named = [command for command in commands() if command.words[:-1] == words]
    assert len(shown) >= len(named) > 5
    assert all(line.endswith(".") and "..." not in line for line in shown), said


def test_help_says_the_same_of_a_command_in_both_places() -> None:
    context = click.Context(main)
    shown = CliRunner().invoke(main, ["--help"], terminal_width=80).stdout
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert f"{name:<10}  {command.get_short_help_str(limit=80)}\n" in shown


def test_a_command_that_does_not_exist() -> None:
    said = CliRunner().invoke(main, ["evnts"])
    assert (said.exit_code, "Did you mean events" in said.stderr) == (2, True)
    assert "Did you mean" not in CliRunner().invoke(main, ["xyz"]).stderr


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['tiger-slack', '--help']\n"
        "from tiger_slack_tui.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('psycopg', 'aiohttp', 'textual', 'slack_sdk', 'asyncio') if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert said.stdout.splitlines()[-1] == "[]"


def test_headless_never_imports_textual(tmp_path: Path) -> None:
    code = "import sys, tiger_slack_tui.launch, tiger_slack_tui.demo.run; print('textual' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert said.stdout == "False\n"


def test_jobs_and_backfill_import_their_access_to_slack_late(tmp_path: Path) -> None:
    """Their --status needs only the database."""
    code = (
        "import sys, tiger_slack_tui.cli.backfill, tiger_slack_tui.cli.jobs\n"
        "print([m for m in ('aiohttp', 'slack_sdk') if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert said.stdout == "[]\n"


def test_missing_settings_are_all_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SLACK_BOT_TOKEN=xoxp-secret\nPG_MAX_POOL_SIZE=none\n")
    result = tiger_slack("run", "--no-ui", cwd=tmp_path)
    assert result.returncode == 2
    for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "PG_MAX_POOL_SIZE"):
        assert name in result.stderr
    assert "secret" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["run", "demo"])
def test_a_console_without_a_terminal_names_no_ui(tmp_path: Path, command: str) -> None:
    tokens = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}
    result = tiger_slack(command, cwd=tmp_path, **tokens)
    assert result.returncode == 2
    assert "--no-ui" in result.stderr
    assert "Traceback" not in result.stderr


def test_migrates_the_embedded_database_by_itself(tmp_path: Path) -> None:
    before = tiger_slack("migrate", "--status", "--json", cwd=tmp_path)
    assert (before.returncode, "There is no data" in before.stderr) == (1, True)
    assert tiger_slack("migrate", cwd=tmp_path).returncode == 0
    after = json.loads(in_this_process("migrate", "--status", "--json", cwd=tmp_path).stdout)
    assert after["database_version"] == __version__
    assert {file["state"] for file in after["files"]} == {"applied"}
    assert "Nothing pending" in in_this_process("migrate", "--status", cwd=tmp_path).stdout
    assert "Nothing to do" in in_this_process("migrate", cwd=tmp_path).stdout


def test_migrates_the_given_database(tmp_path: Path, empty_conninfo: str) -> None:
    given = dict(part.split("=", 1) for part in empty_conninfo.split())
    environ = {
        "PGHOST": given["host"],
        "PGPORT": given["port"],
        "PGUSER": given["user"],
        "PGDATABASE": given["dbname"],
    }
    result = tiger_slack("migrate", "--json", cwd=tmp_path, **environ)
    assert json.loads(result.stdout)["applied"]
    assert count(empty_conninfo, "select count(*) from slack.message") == 0
    assert not (tmp_path / "home").exists()


def test_a_refused_database_is_a_sentence(tmp_path: Path, empty_conninfo: str) -> None:
    host = dict(part.split("=", 1) for part in empty_conninfo.split())["host"]
    result = tiger_slack(
        "migrate", cwd=tmp_path, DATABASE_URL=f"host={host} user=postgres dbname=no password=hid"
    )
    assert result.returncode == 1
    assert 'database "no" does not exist' in result.stderr
    assert "hid" not in result.stderr
    assert "Traceback" not in result.stderr
