"""The list of settings: it is complete, it says where each value comes from, and it shows no secret."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tiger_slack_tui.base.setting_list import NAMES, list_settings, unknown_settings
from tiger_slack_tui.base.settings import load_with_slack
from tiger_slack_tui.cli.main import main

ROOT = Path(__file__).parents[2]


class Recorded(dict[str, str]):
    """An environment that remembers which names were asked for."""

    def __init__(self, **values: str) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.asked.add(key)
        return super().get(key, default)


@pytest.fixture(autouse=True)
def _in_new_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*NAMES, *(each for each in os.environ if each.startswith("TIGER_SLACK_"))):
        monkeypatch.delenv(name, raising=False)


def test_every_setting_that_is_read_is_listed() -> None:
    environ = Recorded(SLACK_BOT_TOKEN="xoxb-1", SLACK_APP_TOKEN="xapp-1", DATABASE_URL="host=x")
    load_with_slack(environ)
    libpq = {name for name in environ.asked if name.startswith("PG") and "POOL" not in name}
    assert environ.asked - libpq == {name for name in NAMES if name not in libpq}


def test_the_defaults_are_those_of_the_sample() -> None:
    sample = dict(
        line.lstrip("#").split("=", 1)
        for line in (ROOT / ".env.sample").read_text().splitlines()
        if line.lstrip("#").split("=", 1)[0] in NAMES
    )
    assert list(sample) == [name for name in sample if name in NAMES]
    assert set(sample) == set(NAMES)
    for each in list_settings({}):
        if each.default is not None and each.name not in (
            "TIGER_SLACK_HOME",
            "TIGER_SLACK_LOG_FORMAT",
        ):
            assert sample[each.name] == each.default


def test_where_a_value_comes_from(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SERVICE_NAME=of-file\nPG_MAX_POOL_SIZE=20\nLOGFIRE_TOKEN=\n")
    environ = {"PG_MAX_POOL_SIZE": "30", "TIGER_SLACK_HTTP": " "}
    found = {each.name: each for each in list_settings(environ)}
    assert (found["SERVICE_NAME"].value, found["SERVICE_NAME"].source) == ("of-file", ".env")
    assert (found["PG_MAX_POOL_SIZE"].value, found["PG_MAX_POOL_SIZE"].source) == (
        "30",
        "environment",
    )
    assert (found["PG_MIN_POOL_SIZE"].value, found["PG_MIN_POOL_SIZE"].source) == ("5", "default")
    assert (found["LOGFIRE_TOKEN"].value, found["TIGER_SLACK_HTTP"].value) == (None, None)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hidden@host:5432/db", "postgresql://me:…@host:5432/db"),
        (
            "postgresql://me:hi%20dden@host/db?sslmode=require",
            "postgresql://me:…@host/db?sslmode=require",
        ),
        ("postgresql://host/db?pass%77ord=hidden&user=me", "postgresql://me:…@host/db"),
        ("postgresql://host:5432,other:5433/db", "postgresql://host,other:5432,5433/db"),
        ("host=x password='hid den' user=me", "postgresql://me:…@x/"),
        (r"host=x password=hid\ den", "postgresql://:…@x/"),
        ("host=x dbname=slack", "postgresql://x/slack"),
        ("postgresql://me:hid/den@x@host/db", "… (33 characters)"),
        ("postgresql://me:hidden", "… (22 characters)"),
        ("postgresql:/me:hidden@h", "… (23 characters)"),
        ("me:hidden@h/db", "… (14 characters)"),
        ("host=h passwd=hidden", "… (20 characters)"),
        ("host=x password='hidden", "… (23 characters)"),
        ("hidden", "… (6 characters)"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    found = {each.name: each.value for each in list_settings({"DATABASE_URL": url})}
    assert found["DATABASE_URL"] == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (
            "https://collector.example.org:4318/v1/traces",
            "https://collector.example.org:4318/v1/traces",
        ),
        ("https://me:hidden@h/v1", "https://…@h/v1"),
        ("https://hidden@h/v1", "https://…@h/v1"),
        ("https://h/v1?token=hidden", "https://h/v1?…"),
        ("ftp:hidden", "… (10 characters)"),
    ],
)
def test_tokens_in_addresses_are_masked(address: str, shown: str) -> None:
    found = {each.name: each.value for each in list_settings({"LOGFIRE_LOGS_ENDPOINT": address})}
    assert found["LOGFIRE_LOGS_ENDPOINT"] == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        (
            "SLACK_API_URL",
            "https://me:hidden@slack.com/api/?token=hidden",
            "https://…@slack.com/api/?…",
        ),
        ("PGHOST", "postgresql://me:hidden@h/d", "postgresql://…@h/d"),
        ("SERVICE_NAME", "xoxb-hidden", "xoxb-… (11 characters)"),
        ("TIGER_SLACK_HTTP", "xoxp-hidden", "… (11 characters)"),
    ],
)
def test_a_secret_in_the_wrong_place_is_masked(name: str, value: str, shown: str) -> None:
    found = {each.name: each.value for each in list_settings({name: value})}
    assert found[name] == shown


def test_names_that_are_no_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TIGER_SLACK_SEARCHLANGUAGE=x\nOTHER=1\n")
    assert list(
        unknown_settings({"SLACK_TOKEN": "x", "TIGER_SLACK_TEST_DSN": "y", "PATH": "z"})
    ) == [
        "SLACK_TOKEN is not a setting, so it is ignored. Did you mean SLACK_BOT_TOKEN or SLACK_APP_TOKEN?",
        (
            "TIGER_SLACK_SEARCHLANGUAGE is not a setting, so it is ignored."
            " Did you mean TIGER_SLACK_SEARCH_LANGUAGE?"
        ),
    ]


def test_the_command_shows_all_settings_and_what_is_wrong() -> None:
    environ = {"SLACK_BOT_TOKEN": "xoxb-hidden", "LOGFIRE_TOKEN": "hidden", "PGPASSWORD": "hidden"}
    said = CliRunner().invoke(main, ["config"], env=environ)
    assert said.exit_code == 2
    assert [name for name in NAMES if name not in said.stdout] == []
    assert "xoxb-… (11 characters)  (environment)" in said.stdout
    assert re.search("  DATABASE_URL +the embedded PostgreSQL  .default.\n", said.stdout)
    other = CliRunner().invoke(main, ["config"], env=environ | {"PGHOST": "db"})
    assert re.search("  DATABASE_URL +-\n", other.stdout)
    assert "hidden" not in said.output
    assert "SLACK_APP_TOKEN is missing" in said.stderr
    said = CliRunner().invoke(
        main, ["config", "--json"], env=environ | {"SLACK_APP_TOKEN": "xapp-1"}
    )
    assert said.exit_code == 0
    settings = json.loads(said.stdout)["settings"]
    assert [each["name"] for each in settings] == list(NAMES)
    assert "hidden" not in said.stdout


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"SLACK_BOT_TOKEN=\xff")
    said = CliRunner().invoke(main, ["config"])
    assert (said.exit_code, ".env cannot be read" in said.stderr) == (2, True)


@pytest.mark.parametrize(("shell", "word"), [("bash", "1"), ("zsh", "1"), ("fish", "dis")])
def test_completion(shell: str, word: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell])
    assert script.exit_code == 0
    assert "_TIGER_SLACK_COMPLETE" in script.stdout
    asked = {
        "_TIGER_SLACK_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "tiger-slack dis",
        "COMP_CWORD": word,
    }
    said = CliRunner().invoke(main, env=asked, prog_name="tiger-slack")
    assert "discard" in said.stdout
    assert "demo" not in said.stdout
