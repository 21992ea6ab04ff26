"""No command ends with a traceback, for any arguments and any state of the database."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.acceptance.test_cli import CLEAN, in_this_process, tiger_slack
from tests.conftest import new_database
from tests.faults.commands import Command, commands
from tests.support import slack_in_a_thread
from tiger_slack_tui.cli.main import main
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.postgres.database import CREATE_DATA
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres

ODD = (
    "\udcff",
    "a\0b",
    "",
    " ",
    "-1",
    "9" * 30,
    "1" * 5000,
    "nan",
    "inf",
    "9999-12-31",
    "0001-01-01T00:00+14:00",
    "99999Y",
    "-infinity",
    "\u202e\x1b[31m",
)
AWAY = "host=127.0.0.1 port=9 connect_timeout=2"
_SET_UP = {("init",), ("config",), ("completion",)}
NEED_NO_DATABASE_AT_ONCE = {
    *(("run",), ("observe",), ("demo",), ("health",), ("mcp",), ("roles",)),
    *_SET_UP,
}
"""They need a terminal or a client first, ask another program, or only print."""
ALL = list(commands())
by_command = pytest.mark.parametrize("command", ALL, ids=lambda command: "-".join(command.words))


@pytest.fixture(scope="module")
def slack() -> Iterator[LocalSlack]:
    directory = Directory([], [{"id": "C1", "name": "place"}])
    with slack_in_a_thread(directory=directory) as server:
        yield server


class CommandLine:
    """Runs commands in this process."""

    def __init__(self, slack: LocalSlack, home: Path) -> None:
        self.environ = dict.fromkeys(os.environ.keys() - CLEAN.keys()) | {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "SLACK_API_URL": slack.url,
            "TIGER_SLACK_HOME": str(home),
        }

    def __call__(self, words: list[str], conninfo: str) -> Result:
        """Run the command. Fail if it ends with a traceback, or with an undocumented exit code."""
        said = CliRunner().invoke(main, words, env=self.environ | {"DATABASE_URL": conninfo})
        if said.exception is not None and not isinstance(said.exception, SystemExit):
            raise said.exception
        assert said.exit_code in (0, 1, 2, 3), words
        assert "Traceback" not in said.output
        if said.exit_code:
            assert said.stderr.strip(), f"{words} failed without a reason"
        return said


@pytest.fixture(scope="module")
def conninfo(postgres: EmbeddedPostgres, template: str) -> str:
    """One database for all commands: what one has stored is no reason for another to end with a traceback."""
    return new_database(postgres, template)


@pytest.fixture
def run(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    export = tmp_path / "export"
    export.mkdir()
    (export / "channels.json").write_text('[{"id": "C1", "name": "place"}]')
    handlers, level = logging.root.handlers[:], logging.root.level
    yield CommandLine(slack, tmp_path / "home")
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_all_commands_are_found() -> None:
    words = {command.words for command in ALL}
    assert {("event",), ("discard", "add"), ("import",), ("jobs",)} <= words
    assert len(words) == len(ALL) > 15


@by_command
def test_odd_arguments(run: CommandLine, conninfo: str, command: Command) -> None:
    if command.words == ("import",):
        conninfo = AWAY  # it starts processes, which takes long, and checks its arguments before
    for parameter in (*command.arguments, *command.options):
        for value in ODD:
            if isinstance(parameter.type, click.Path) and "\0" in value:
                continue  # no operating system passes such an argument
            said = run(command.line(**{parameter.name or "": value}), conninfo)
            is_text = parameter.type is click.STRING
            if is_text and (value in ("\udcff", "a\0b") or not value.strip()):
                assert said.exit_code == 2, said.output


@by_command
def test_a_database_that_is_away(run: CommandLine, command: Command) -> None:
    if command.words in NEED_NO_DATABASE_AT_ONCE:
        return
    said = run(command.line(), AWAY)
    assert said.exit_code == 1
    assert (
        "127.0.0.1:9 (DATABASE_URL) refused the connection. Is PostgreSQL running?" in said.output
    )


@pytest.mark.parametrize("flag", ["", "--status"])
@by_command
def test_a_database_without_the_tables(
    run: CommandLine, empty_conninfo: str, command: Command, flag: str
) -> None:
    if command.words in NEED_NO_DATABASE_AT_ONCE:
        return
    if flag and flag not in command.flags:
        return
    said = run(command.line(*filter(None, [flag])), empty_conninfo)
    if said.exit_code:
        assert (said.exit_code, "tiger-slack migrate" in said.output) == (1, True), said.output


@by_command
def test_a_home_that_is_no_directory(run: CommandLine, tmp_path: Path, command: Command) -> None:
    """The embedded PostgreSQL would have its data there."""
    (tmp_path / "home").write_text("a file")
    said = run(command.line(), "")
    if command.words not in NEED_NO_DATABASE_AT_ONCE:
        assert (said.exit_code, str(tmp_path / "home") in said.output) == (1, True), said.output


@pytest.mark.parametrize("flag", ["", "--status", "--dry-run"])
@by_command
def test_a_mistyped_home(run: CommandLine, tmp_path: Path, command: Command, flag: str) -> None:
    """A command that needs existing data does not create a database there, nor a log."""
    if flag and flag not in command.flags:
        return
    if command.words in NEED_NO_DATABASE_AT_ONCE - {("observe",)}:
        return
    if not flag and command.words[0] in CREATE_DATA:
        return
    if command.words == ("import",):
        return  # it creates one even for --dry-run, which people try before anything else
    said = run(command.line(*filter(None, [flag])), "")
    assert f"There is no data in {tmp_path / 'home'} (TIGER_SLACK_HOME)" in said.output
    assert f"tiger-slack {CREATE_DATA[0]}, " in said.output
    assert said.exit_code == (0 if command.words == ("doctor",) else 1)
    assert not (tmp_path / "home").exists()


def test_ingestion_with_a_home_that_is_no_directory(run: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    assert run(["run", "--no-ui"], "").exit_code == 1


@pytest.mark.parametrize("value", [value for value in ODD if value])
def test_odd_addresses_and_rates(run: CommandLine, conninfo: str, value: str) -> None:
    """These commands would run forever with a valid value."""
    assert run(["run", "--no-ui", f"--http={value}"], conninfo).exit_code == 2
    demo = ["demo", "--no-ui", "--events=1", f"--rate={value}"]
    assert run(demo, conninfo).exit_code == 2


@pytest.mark.parametrize("words", [["event", "\udcff"], ["\udcff"], ["events", "--\udcff"]])
def test_bytes_that_are_no_text_come_through_the_system(tmp_path: Path, words: list[str]) -> None:
    said = tiger_slack(*words, cwd=tmp_path, DATABASE_URL=AWAY)
    assert (said.returncode, "Traceback" in said.stderr) == (2, False)


def test_doctor_gives_each_problem_a_line(tmp_path: Path) -> None:
    said = in_this_process("doctor", cwd=tmp_path, DATABASE_URL=AWAY)
    lines = [line.strip() for line in said.stdout.splitlines()]
    for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"):
        assert any(line.startswith(f"{name} is missing") for line in lines), said.stdout
    assert "\N{SYMBOL FOR NEWLINE}" not in said.stdout
