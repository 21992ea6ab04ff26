"""`tiger-slack import` as a process: killed, stopped, disconnected, and started again."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_cli import CLEAN, in_this_process, tiger_slack
from tests.acceptance.test_processes import _signal_server
from tests.archives import (
    DAY,
    Files,
    count_files,
    day_file,
    export,
    message,
    write_folder,
    write_zip,
)
from tests.servers import with_data
from tests.support import count
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres

pytestmark = pytest.mark.slow

MESSAGES = "select count(*) from slack.message"


def big(files: int = 6, each: int = 500) -> Files:
    """An export that takes a second, with reactions and threads."""
    return export(
        {
            name: {
                f"2023-11-{14 + day}": [
                    message(
                        day * 86_400 + n,
                        f"text {n} " * 30,
                        thread_ts=f"{DAY + day * 86_400}.000100",
                        reactions=[{"name": "+1", "users": ["U1", f"U{n % 7}"]}]
                        if n % 9 == 1
                        else [],
                    )
                    for n in range(each)
                ]
                for day in range(files)
            }
            for name in ("general", "random")
        }
    )


def begin(path: Path, conninfo: str, home: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tiger_slack_tui", "import", str(path), "--json", *options],
        env=CLEAN | {"TIGER_SLACK_HOME": str(home), "DATABASE_URL": conninfo},
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(path: Path, conninfo: str, home: Path) -> dict[str, Any]:
    """Run the command to its end; its account."""
    process = begin(path, conninfo, home)
    output, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    account: dict[str, Any] = json.loads(output)
    assert account["adds_up"]
    return account


def wait_for_rows(conninfo: str, least: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if count(conninfo, MESSAGES) >= least:
            return
        time.sleep(0.05)


def test_kill_9_at_any_time_ends_with_exactly_the_right_account(
    conninfo: str, tmp_path: Path
) -> None:
    files = big()
    path = write_zip(tmp_path / "export.zip", files)
    chance = random.Random(1)
    kills = 0
    for least in (0, 1, 3000):
        process = begin(path, conninfo, tmp_path)
        wait_for_rows(conninfo, least, process)
        time.sleep(chance.random() / 3)
        kills += process.poll() is None
        process.kill()
        process.communicate()
    assert kills >= 2
    account = finish(path, conninfo, tmp_path)
    counted = count_files(files)
    assert account["resumed"]
    total = account["messages"]
    assert total["read"] == total["inserted"] == counted.read == 6_000
    assert total["reactions"] == count(conninfo, "select count(*) from slack.reaction")
    assert count(conninfo, MESSAGES) == len(counted.messages)
    files_done = "select count(*) from slack.import_file where is_done"
    assert count(conninfo, files_done) == account["files"]["done"] == 12
    shown = "select coalesce(sum(jsonb_array_length(reactions)), 0) from slack.message"
    assert count(conninfo, shown) == total["reactions"]


def test_the_next_run_continues_after_the_database_was_killed(tmp_path: Path) -> None:
    files = big()
    path = write_folder(tmp_path / "export", files)
    tmp_path.chmod(0o711)
    home = with_data(tmp_path / "postgres")
    with EmbeddedPostgres.start(home, durable=False) as server:
        process = begin(path, server.conninfo, tmp_path)
        wait_for_schema(server.conninfo)
        wait_for_rows(server.conninfo, 1500, process)
        _signal_server(home, signal.SIGKILL)
        _, log = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "database" in log
        assert "Traceback" not in log
    with EmbeddedPostgres.start(home, durable=False) as server:
        account = finish(path, server.conninfo, tmp_path)
        assert account["resumed"]
        assert account["messages"]["inserted"] == count(server.conninfo, MESSAGES) == 6_000


def wait_for_schema(conninfo: str) -> None:
    deadline = time.monotonic() + 30
    while not count(conninfo, "select count(*) from pg_tables where tablename = 'import_problem'"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_next_run_continues_after_a_signal(conninfo: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path / "export", big())
    process = begin(path, conninfo, tmp_path)
    wait_for_rows(conninfo, 1, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    account = json.loads(output)
    assert process.returncode == 1
    assert account["outcome"] == "cancelled"
    assert account["messages"]["read"] == count(conninfo, MESSAGES) < 6_000
    assert finish(path, conninfo, tmp_path)["messages"]["inserted"] == 6_000


SECRET = "xoxe-1-verysecret"
SMALL = export(
    {
        "general": {
            "2023-11-14": [
                message(1, "MARKED", files=[{"url_private": f"https://x/f?t={SECRET}&a=b"}]),
                message(2, f"MARKED https:\\/\\/x/f?token={SECRET}"),
            ]
        }
    }
)
BAD = SMALL | {
    "general/2023-11-15.json": day_file(
        "MARKED", {"text": "MARKED", "ts": "MARKED"}, message(90_000)
    ),
    "general/2023-11-16.json": b'[{"ts": "1700200000.0", "text": "MARKED", "f": "'
    + SECRET.encode(),
    "general/2023-11-17.json": day_file(
        message(300_000, "MARKED") | {"user": random.Random(1).randbytes(9000).hex() + "MARKED"}
    ),
    "users.json": day_file({"id": "U1", "name": "one", "deleted": "MARKED"}, "MARKED"),
}


def test_exit_codes_and_what_is_printed(tmp_path: Path, conninfo: str) -> None:
    path = write_zip(tmp_path / "good.zip", SMALL)
    good = tiger_slack("import", str(path), cwd=tmp_path, DATABASE_URL=conninfo)
    assert good.returncode == 0, good.stderr
    assert "All accounted for:\n  2 read = 2 inserted" in good.stdout
    assert max(map(len, good.stdout.splitlines())) <= 80
    assert re.search(r"general +1 +2 +2 ", good.stdout)
    (tmp_path / "nothing").mkdir()
    refused = in_this_process("import", "nothing", cwd=tmp_path, DATABASE_URL=conninfo)
    assert refused.returncode == 2
    assert "not a Slack export" in refused.stderr
    for option in (
        ["--since", "2024-01-01"],
        ["--since", "2023-11-14T23:59"],
        ["--channel", "generl"],
    ):
        nothing = in_this_process(
            "import", "good.zip", *option, cwd=tmp_path, DATABASE_URL=conninfo
        )
        assert nothing.returncode == 1, option
        assert "generl" not in option or "Did you mean general?" in nothing.stderr
        assert ("channel" in option[0]) == ("No channel" in nothing.stderr)
        assert (
            "The archive has the channels general and the days 2023-11-14 to 2023-11-14."
            in nothing.stderr
        )
    dry = in_this_process(
        "import",
        "good.zip",
        "--channel",
        "general",
        "--dry-run",
        cwd=tmp_path,
        DATABASE_URL=conninfo,
    )
    assert "2 read = 0 would be inserted + 2 already there + 0 would be updated" in dry.stdout
    assert max(map(len, dry.stdout.splitlines())) <= 80
    for wrong in (
        ["import", "missing.zip"],
        ["import", "good.zip", "--since", "2024-01-02", "--until", "2024-01-01"],
        ["import", "good.zip", "--channel-map", "good.zip"],
        ["import", "good.zip", "--errors", "nowhere/errors"],
    ):
        usage = in_this_process(*wrong, cwd=tmp_path, DATABASE_URL=conninfo)
        assert usage.returncode == 2, wrong
        assert "Traceback" not in usage.stderr


def test_no_secret_and_no_text_leaves_the_tables(tmp_path: Path, conninfo: str) -> None:
    write_folder(tmp_path / "bad", BAD)
    for options in (["--dry-run", "--errors", "dry"], ["--errors", "errors", "--json"]):
        done = tiger_slack("import", "bad", *options, cwd=tmp_path, DATABASE_URL=conninfo)
        assert done.returncode == 3, done.stderr
        assert "2023-11-15.json, record 2: no usable ts" in done.stderr
        if "--json" not in options:
            assert "All accounted for" not in done.stdout
            assert "1 file only in part" in done.stdout
            assert re.search(r"^[0-9]+ warnings, see above", done.stdout, re.MULTILINE)
        for said in (
            done.stdout,
            done.stderr,
            (tmp_path / options[options.index("--errors") + 1]).read_text(),
        ):
            assert said
            assert "MARKED" not in said
            assert "xoxe" not in said
    problems = [json.loads(line) for line in (tmp_path / "errors").read_text().splitlines()]
    found = {(p["file"], p["position"], p["reason"]) for p in problems}
    assert found >= {
        ("general/2023-11-15.json", 1, "no JSON object"),
        ("general/2023-11-15.json", 2, "no usable ts"),
        ("general/2023-11-16.json", None, "malformed JSON"),
        ("general/2023-11-17.json", 1, "refused by the database"),
        ("users.json", 2, "no JSON object"),
    }
    account = json.loads(done.stdout)
    assert account["messages"]["skipped"] == {
        "no JSON object": 1,
        "no usable ts": 1,
        "refused by the database": 1,
    }
    assert account["files"]["failed"] == 1
    kept = "select count(*) from slack.import_problem p, slack.import i, slack.import_file f"
    assert count(conninfo, kept) > 0
    assert count(conninfo, kept + " where concat(p, i, f) ~ 'xoxe|MARKED'") == 0
    assert count(conninfo, "select count(*) from slack.message m where m::text ~ 'xoxe'") == 0
    assert (
        count(conninfo, "select count(*) from slack.message where files::text like '%f?a=b%'") == 1
    )


def test_a_bar_on_a_terminal_and_lines_elsewhere(tmp_path: Path, conninfo: str) -> None:
    path = write_folder(tmp_path / "export", big(2))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tiger_slack_tui", "import", str(path)],
        env=CLEAN
        | {
            "TIGER_SLACK_HOME": str(tmp_path),
            "DATABASE_URL": conninfo,
            "TERM": "xterm",
            "COLUMNS": "140",
        },
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65_536)
        except OSError:
            break
    os.close(ours)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "━".encode() in shown
    assert b"4/4 files" in shown
    assert b"\x1b" not in output
    lines = tiger_slack("import", str(path), cwd=tmp_path, DATABASE_URL=conninfo).stderr
    assert "reading 4 files" in lines
    assert "\x1b" not in lines
    assert "━" not in lines


def test_an_import_into_the_embedded_database_without_any_setup(tmp_path: Path) -> None:
    write_zip(tmp_path / "e.zip", SMALL)
    (tmp_path / "psycopg.py").write_text("raise SystemExit('an archive ran as a program')")
    program = Path(sys.executable).with_name("tiger-slack")
    for options in (["--dry-run"], []):
        done = subprocess.run(
            [program, "import", "e.zip", "--json", *options],
            cwd=tmp_path,
            env=CLEAN | {"TIGER_SLACK_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["messages"]["inserted"] == 2
