"""The set-up: each answer is checked at once, and .env is written without losing what else it holds."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from click.testing import CliRunner, Result
from dotenv import dotenv_values

from tests.support import slack_in_a_thread
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.setting_list import NAMES
from tiger_slack_tui.checks import slack as check_slack
from tiger_slack_tui.checks.slack import SCOPES
from tiger_slack_tui.cli import init as init_command
from tiger_slack_tui.cli.main import main
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.setup import join_channels
from tiger_slack_tui.setup.app_link import create_app_link
from tiger_slack_tui.setup.env_file import write_settings
from tiger_slack_tui.slack.pages import OnWait

ROOT = Path(__file__).parents[2]


def channel(number: int, **flags: bool) -> dict[str, Any]:
    return {"id": f"C{number}", "name": f"ops-{number}", "is_channel": True} | flags


@pytest.fixture
def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSlack]:
    """A local Slack with six channels. The working directory is new, and the environment has no settings."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(init_command, "has_terminal", lambda: True)
    monkeypatch.setattr(join_channels, "JOIN_SECONDS", 0)
    channels = [
        channel(1, is_member=True),
        channel(2),
        channel(3),
        channel(4, is_archived=True),
        channel(5, is_private=True),
        channel(6),
    ]
    with slack_in_a_thread(directory=Directory([], channels)) as found:
        monkeypatch.setenv("SLACK_API_URL", found.url)
        monkeypatch.setenv("TIGER_SLACK_HOME", str(tmp_path / "home"))
        (tmp_path / "bot").write_text(f"{found.bot_token}\n")
        (tmp_path / "app").write_text(found.app_token)
        yield found


def init(*words: str, answers: tuple[str, ...] = ()) -> Result:
    """Run the command with the lines that are typed."""
    return CliRunner().invoke(
        main, ["init", *words], input="".join(f"{line}\n" for line in answers)
    )


def test_every_question_is_asked_until_its_answer_is_right(
    slack: LocalSlack, tmp_path: Path, conninfo: str, database: psycopg.Connection[Any]
) -> None:
    given = psycopg.conninfo.conninfo_to_dict(conninfo)
    url = f"postgresql:///{given['dbname']}?host={given['host']}&port={given['port']}&user=postgres"
    said = init(
        answers=(
            *("xapp-other", slack.bot_token),
            *("xapp-wrong", slack.app_token),
            *("postgresql://me:p/w@x/db", "postgresql://127.0.0.1:1/db", "n", url),
            *("soon", "2024-03-01"),
            *("y", "y"),
        )
    )
    assert said.exit_code == 0, said.output
    for sentence in (
        "it is an app-level token",
        "invalid_auth (the token is not valid)",
        "in the password write @ as %40",
        "127.0.0.1:1 (DATABASE_URL)",
        "TIGER_SLACK_HISTORY_SINCE is neither a date nor a duration",
        "Joined 3 channels.",
        "Ready. To start:",
    ):
        assert sentence in said.output
    assert "p/w" not in said.output.replace("me:p/w@x/db", "", 1)
    assert dotenv_values(tmp_path / ".env") == {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "DATABASE_URL": url,
        "TIGER_SLACK_HISTORY_SINCE": "2024-03-01",
    }
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    joined = [each["id"] for each in slack.directory.channels.values() if each.get("is_member")]
    assert joined == ["C1", "C2", "C3", "C6"]


def test_only_what_can_pass_later_can_be_used_all_the_same(
    slack: LocalSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = "Use it all the same?"
    said = init(answers=("xoxb-wrong",))
    assert ("invalid_auth" in said.output, again in said.output) == (True, False)
    slack.scopes.remove("reactions:read")  # can be added to the app without a new token
    assert again in init(answers=(slack.bot_token,)).output
    monkeypatch.setenv("SLACK_API_URL", "http://127.0.0.1:1/api/")
    assert again in init(answers=("xoxb-1",)).output


def test_a_rate_limit_is_waited_for_and_is_no_defect(
    slack: LocalSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def wait(seconds: float, on_wait: OnWait | None = None) -> None:
        assert on_wait is not None
        on_wait(seconds)
        waits.append(seconds)

    monkeypatch.setattr(check_slack, "wait", wait)
    monkeypatch.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    monkeypatch.setenv("SLACK_APP_TOKEN", slack.app_token)
    answers = [40]
    monkeypatch.setattr(LocalSlack, "limited", lambda _: answers.pop() if answers else 0)
    said = CliRunner().invoke(main, ["doctor"])
    assert (waits, "✓ scopes" in said.stdout, "not checked" in said.stdout) == ([40], True, False)
    answers += [40, 40]
    said = CliRunner().invoke(main, ["doctor"])
    assert "! bot token: not checked: Slack answers that there were too many calls" in said.stdout
    assert "Try again in 40 s." in said.stdout
    answers += [90]
    said = CliRunner().invoke(main, ["doctor"])
    assert (said.exit_code, len(waits), "in 1 min 30 s" in said.stdout) == (0, 2, True)


def test_what_is_set_is_offered_and_kept(slack: LocalSlack, tmp_path: Path) -> None:
    before = (
        f"# mine\nSLACK_BOT_TOKEN={slack.bot_token}\nexport OTHER='a b'\nSLACK_APP_TOKEN={slack.app_token}\n"
        "TIGER_SLACK_HISTORY_SINCE=1y\n"
    )
    (tmp_path / ".env").write_text(before)
    said = init(answers=("", "", "", "", "n"))
    assert said.exit_code == 0, said.output
    assert f"[xoxb-… ({len(slack.bot_token)} characters)]" in said.output
    assert "Database [embedded]" in said.output
    assert slack.bot_token not in said.output
    assert "has these settings already" in said.output
    assert (tmp_path / ".env").read_text() == before
    said = init(answers=("", "", "", "all", "n"))  # the last answer: do not write
    assert (said.exit_code, said.output.endswith("\nNothing was written.\n")) == (1, True)
    assert (tmp_path / ".env").read_text() == before
    said = init(answers=("", "", "", "all", "y", "n"))
    assert said.exit_code == 0, said.output
    assert (tmp_path / ".env").read_text() == before.replace("TIGER_SLACK_HISTORY_SINCE=1y\n", "")


def test_without_a_terminal(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init_command, "has_terminal", lambda: False)
    assert "give the options and --yes" in init().stderr
    said = init("--yes")
    assert (said.exit_code, "--bot-token-file" in said.stderr) == (2, True)
    assert not (tmp_path / ".env").exists()
    (tmp_path / "wrong").write_text("xoxb-wrong")
    said = init("--yes", "--bot-token-file", "wrong", "--app-token-file", "app")
    assert (said.exit_code, "invalid_auth" in said.stdout) == (1, True)
    assert not (tmp_path / ".env").exists()
    files = ("--bot-token-file", "bot", "--app-token-file", "app")
    said = init("--yes", *files, "--join-public", "--history-since", "6mo")
    assert said.exit_code == 0, said.output
    assert "✓ database: embedded; the first start creates it" in said.stdout
    assert "Joined 3 channels." in said.stdout
    assert dotenv_values(tmp_path / ".env")["TIGER_SLACK_HISTORY_SINCE"] == "6mo"
    (tmp_path / "line").write_text(f"export SLACK_BOT_TOKEN='{slack.bot_token}'\n")
    said = init("--yes", "--bot-token-file", "line", "--history-since", "2999-01-01")
    assert "✓ bot token" in said.stdout
    assert "it would begin in the future" in said.stdout
    (tmp_path / "binary").write_bytes(b"\xff")
    assert "not UTF-8" in init("--yes", "--bot-token-file", "binary").stderr


def test_a_missing_scope_says_what_it_costs(slack: LocalSlack) -> None:
    slack.scopes.remove("channels:join")
    slack.scopes.remove("users:read.email")
    said = init("--yes", "--bot-token-file", "bot", "--app-token-file", "app", "--join-public")
    assert said.exit_code == 0, said.output
    assert "! scopes: missing: channels:join, users:read.email" in said.stdout
    assert "without users:read.email, there is no e-mail address of a user" in said.stdout
    assert "✓ Joined 0 channels." in said.stdout
    assert "! 3 channels not joined: Slack refused conversations.join: missing_scope" in said.stdout
    assert "the app lacks the scope channels:join" in said.stdout


def test_a_channel_that_refuses_does_not_stop_the_others(slack: LocalSlack) -> None:
    slack.refuse_channel["C3"] = "is_archived"
    said = init("--yes", "--bot-token-file", "bot", "--app-token-file", "app", "--join-public")
    assert said.exit_code == 0, said.output
    assert "Joined 2 channels." in said.stdout
    assert "! #ops-3: Slack refused conversations.join: is_archived" in said.stdout


def test_what_was_joined_before_slack_refuses_is_told(
    slack: LocalSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    join, calls = LocalSlack._token_error, 0

    def revoke(self: LocalSlack, method: str, token: str) -> str | None:
        nonlocal calls
        calls += method == "conversations.join"
        return "token_revoked" if calls > 1 else join(self, method, token)

    monkeypatch.setattr(LocalSlack, "_token_error", revoke)
    said = init("--yes", "--bot-token-file", "bot", "--app-token-file", "app", "--join-public")
    assert "✓ Joined 1 channel." in said.stdout
    assert "! 2 channels not joined: Slack refused conversations.join: token_revoked" in said.stdout
    assert "init --join-public" in said.stdout


def test_what_the_environment_overrides_is_said(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        "--yes",
        "--bot-token-file",
        "bot",
        "--app-token-file",
        "app",
        "--database-url=embedded",
    )
    assert init(*words).exit_code == 0
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/db")
    said = init(*words)
    assert "has these settings already" in said.stdout
    assert "! DATABASE_URL is also set in the environment" in said.stdout
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    said = init(*words)
    assert (said.exit_code, "PGHOST names the database" in said.stderr) == (2, True)
    monkeypatch.delenv("PGHOST")
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    assert "is a directory" in init(*words).stderr


def test_answers_that_do_not_fit_together(slack: LocalSlack, tmp_path: Path) -> None:
    files = ("--yes", "--bot-token-file", "bot", "--app-token-file", "app")
    (tmp_path / ".env").write_text("PG_MIN_POOL_SIZE=20\n")
    said = init(*files)
    assert (said.exit_code, "is greater than PG_MAX_POOL_SIZE" in said.stderr) == (2, True)
    assert (tmp_path / ".env").read_text() == "PG_MIN_POOL_SIZE=20\n"
    (tmp_path / ".env").write_text("DATABASE_URL=host=x\nDATABASE_DIRECT_URL=host=y\n")
    (tmp_path / "url").write_text("embedded\n")
    said = init(*files, "--database-url-file", "url")
    assert said.exit_code == 0, said.output
    assert set(dotenv_values(tmp_path / ".env")) == {"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"}


def test_the_link_has_the_manifest() -> None:
    link = urlsplit(create_app_link())
    manifest = json.loads(parse_qs(link.query)["manifest_json"][0])
    assert manifest == json.loads((ROOT / "slack-app-manifest.json").read_text())
    assert set(manifest["oauth_config"]["scopes"]["bot"]) >= set(SCOPES)


@pytest.mark.parametrize(
    "value",
    ["plain", "two words", "a'b\\c", "x#y", "$HOME", 'say "hi"', "postgresql://u:p%40@h/d?x=1&y=2"],
)
def test_a_value_is_read_back_as_it_was_written(tmp_path: Path, value: str) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n B = 2\nA=3\n")
    write_settings(path, {"A": value, "B": None, "C": value})
    assert dotenv_values(path) == {"A": value, "C": value}


def test_values_of_several_lines_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    before = "NOTE='first\nA=not a setting\nlast'\nA=\"one\ntwo\"\n\n# end\nB=2"
    path.write_text(before)
    write_settings(path, {"A": "1", "C": "3"})
    assert path.read_text() == "NOTE='first\nA=not a setting\nlast'\nA=1\n\n# end\nB=2\nC=3\n"
    path.write_bytes(b"\xef\xbb\xbfexport A=old\r\n# x\x0cy\r\n'B'=2\r\n")
    write_settings(path, {"A": "1", "B": "3", "C": "4"})
    assert path.read_bytes() == b"export A=1\r\n# x\x0cy\r\nB=3\r\nC=4\r\n"
    with pytest.raises(SettingsError, match=r"contains \$\{"):
        write_settings(path, {"A": "x${HOME}"})
    assert dotenv_values(path)["A"] == "1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A=1 # mine\n", "A=2 # mine\n"),
        ("A=1#2  # mine # too\r\n", "A=2  # mine # too\r\n"),
        ("\nexport A = '1 # 2' # mine\n", "\nexport A=2 # mine\n"),
        ('A="1\n# 2"# mine\nB=3', "A=2 # mine\nB=3"),
        ("A= # to fill in\n", "A=2 # to fill in\n"),
        ("A='1'\n\n# B\nB=3 # b\n", "A=2\n\n# B\nB=3 # b\n"),
    ],
)
def test_a_comment_after_a_value_stays(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(before.encode())
    write_settings(path, {"A": "2"})
    assert path.read_bytes() == after.encode()
    assert dotenv_values(path)["A"] == "2"


def test_a_file_that_cannot_be_replaced_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "busy")

    (tmp_path / ".env").write_text("B=2\n")
    monkeypatch.setattr(os, "replace", busy)
    write_settings(tmp_path / ".env", {"A": "1"})
    assert (tmp_path / ".env").read_text() == "B=2\nA=1\n"
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_a_link_stays_a_link_and_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("B=2\n")
    (tmp_path / ".env").symlink_to("real")
    write_settings(tmp_path / ".env", {"A": "1"})
    assert (tmp_path / ".env").is_symlink()
    assert (tmp_path / "real").read_text() == "B=2\nA=1\n"
    (tmp_path / "dir").mkdir()
    with pytest.raises(SettingsError, match="is a directory"):
        write_settings(tmp_path / "dir", {"A": "1"})
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SettingsError, match="is a link to itself"):
        write_settings(tmp_path / "loop", {"A": "1"})
    with pytest.raises(SettingsError, match="does not exist"):
        write_settings(tmp_path / "none" / ".env", {"A": "1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "dir", "loop", "real"]
