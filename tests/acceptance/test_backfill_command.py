"""`tiger-slack backfill` as a process: what it prints, its exit codes, and a kill in its middle."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.test_cli import in_this_process
from tests.acceptance.test_observing import command, run
from tests.acceptance.test_processes import Program
from tests.support import count, slack_in_a_thread, until
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.postgres.lock_keys import BACKFILL_LOCK_KEY

pytestmark = pytest.mark.slow

NOW = time.time()
SINCE = datetime.fromtimestamp(NOW - 7200, UTC).isoformat()


def post(number: int, channel: str = "C1") -> dict[str, Any]:
    ts = f"{NOW - 3600 + number:.6f}"
    event = {
        "type": "message",
        "channel": channel,
        "user": "U1",
        "text": f"SECRET {number}",
        "ts": ts,
    }
    return {"event_id": f"Ev{number}", "event": event | {"event_ts": ts}}


def directory(channels: int = 2) -> Directory:
    return Directory([], [{"id": f"C{n}", "name": f"place-{n}"} for n in range(1, channels + 1)])


def workspace(channels: int = 2) -> LocalSlack:
    return LocalSlack(directory=directory(channels))


def test_history_is_read_by_channel_and_time(conninfo: str, tmp_path: Path) -> None:
    with slack_in_a_thread(directory=directory()) as slack:
        for number in range(300):
            slack.lose(post(number, f"C{number % 2 + 1}"))
        program = Program(slack, conninfo, tmp_path)
        code, out, err = run(program, "backfill", "--channel", "#*-2", "--since", SINCE, "--json")
        assert code == 0, err
        (gap,) = json.loads(out)["gaps"]
        assert (gap["channel_id"], gap["reason"], gap["is_closed"]) == ("C2", "by hand", True)
        assert (gap["channels"], gap["messages"]["read"], gap["messages"]["inserted"]) == (
            1,
            150,
            150,
        )
        assert "SECRET" not in out + err
        code, out, _ = run(program, "backfill", "--since", SINCE)
        assert code == 0
        assert "300 messages read = 150 inserted + 150 already there + 0 updated" in out
        code, out, _ = run(program, "backfill")
        assert (code, out) == (0, "There are no gaps to close, and no histories to read.\n")
        code, out, _ = run(program, "backfill", "--status")
        assert code == 0
        assert [line.split(",")[0] for line in out.splitlines() if line[:1] > " "] == [
            "Gaps",
            "Histories: 2 read",
            "300 messages inserted by all of them.",
            "history 2",
            "history 1",
        ]
        code, out, _ = run(program, "backfill", "--status", "--limit", "1")
        assert out.splitlines()[-1] == "The first 1 of 2. --limit shows more."
        code, out, _ = run(program, "backfill", "--gap", "1", "--json")
        assert json.loads(out)["gaps"][0]["messages"]["already_there"] == 150
    assert count(conninfo, "select count(*) from slack.message") == 300


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--channel", "place-1"), "--since"),
        (("--until", "2024-01-01"), "--since"),
        (("--gap", "1", "--since", "1D"), "--gap"),
        (("--gap", "1", "--all"), "--gap"),
        (("--slow",), "--all"),
        (("--all", "--until", "2024-01-01"), "--until"),
        (("--since", "soon"), "neither a date"),
        (("--all", "--plan", "--since", "2999-01-01"), "in the future"),
        (("--since", "2024-02-01", "--until", "2024-01-01"), "not before"),
    ],
)
def test_what_makes_no_sense_is_said(
    conninfo: str, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    given = {
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_APP_TOKEN": "xapp-1",
        "DATABASE_URL": conninfo,
    }
    refused = in_this_process("backfill", *arguments, cwd=tmp_path, **given)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_channel_that_slack_does_not_list(conninfo: str, tmp_path: Path) -> None:
    with slack_in_a_thread(directory=directory()) as slack:
        program = Program(slack, conninfo, tmp_path)
        code, out, err = run(program, "backfill", "--since", "1D", "--channel", "plce-1")
    assert (code, out) == (2, "")
    assert "in no channel that matches 'plce-1'" in err
    assert "Did you mean #place-1" in err
    assert "Traceback" not in err


def test_a_gap_that_goes_on_is_not_closed(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    database.execute(
        "insert into slack.gap (team_id, reason, started_at) values ('T0LOCAL', 'not connected', now())"
    )
    with slack_in_a_thread(directory=directory()) as slack:
        program = Program(slack, conninfo, tmp_path)
        code, _, err = run(program, "backfill", "--gap", "1")
        assert (code, "has not ended yet" in err) == (2, True)
        code, out, _ = run(program, "backfill", "--status")
        assert "not ended" in out
        code, out, _ = run(program, "doctor")
        assert "1 open" in out


async def test_the_restricted_tier_and_a_channel_that_is_not_shown_end_with_3(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    async with workspace() as slack:
        for number in range(31):
            slack.lose(post(number))
        program = Program(slack, conninfo, tmp_path)
        slack.directory.is_restricted = True
        slack.tiers = {"conversations.history": (100, 1.0)}
        database.execute(
            "insert into slack.gap (team_id, reason, started_at, ended_at, channel_id)"
            " values ('T0LOCAL', 'by hand', now() - interval '2 hours', now(), 'C9')"
        )
        code, out, _ = await command(program, "backfill")
        assert code == 3
        assert "history 1, by hand: not finished" in out
        assert "channel_not_found" in out
        database.execute("delete from slack.gap")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tiger_slack_tui", "backfill", "--since", SINCE),
            env=program.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        await until(lambda: slack.calls["conversations.history"] == 2)
        await until(lambda: count(conninfo, "select count(*) from slack.message") == 30)
        process.send_signal(signal.SIGTERM)  # it would wait for a minute
        account, err = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 1
        assert b"30 messages read = 30 inserted" in account
        assert b"restricts this app to one call a minute" in err
        assert b"To continue: tiger-slack backfill --history 2" in err
        assert b"Traceback" not in err
        slack.directory.is_restricted = False
        code, out, _ = await command(program, "backfill")
        assert code == 0
        assert "31 messages read = 31 inserted" in out


def test_the_whole_history_has_a_plan_and_an_account(conninfo: str, tmp_path: Path) -> None:
    listed = directory()
    listed.channels["C3"] = {"id": "C3", "name": "other", "is_member": False}
    with slack_in_a_thread(directory=listed) as slack:
        for number in range(40):
            slack.lose(post(number, f"C{number % 2 + 1}"))
        program = Program(slack, conninfo, tmp_path)
        code, out, err = run(program, "backfill", "--all", "--plan")
        assert code == 0, err
        assert "To read: 2 channels (2 public)" in out
        assert "1 public channel is left out, because the app is not in it" in out
        assert "about 40 messages and 0 threads, 2 calls" in out
        code, out, err = run(program, "backfill", "--all", "--plan", "--channel", "place-1")
        assert (code, "left out" in out) == (0, False)
        code, out, err = run(program, "backfill", "--all", "--plan", "--json")
        assert (code, json.loads(out)["messages"]) == (0, 40)
        assert count(conninfo, "select count(*) from slack.gap") == 0
        code, out, err = run(program, "backfill", "--all", "--channel", "place-*")
        assert code == 0, err
        assert "#place-1" in out
        assert "2 channels, 2 of them read to the end" in out
        assert "40 messages read = 40 inserted + 0 already there" in out
        assert "SECRET" not in out + err
    query = (
        "select count(*) from slack.channel_history where complete @> '1970-01-01Z'::timestamptz"
    )
    assert count(conninfo, query) == 2


def test_a_plan_has_only_what_is_left_of_a_history_that_goes_on(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    listed = directory(1)
    with slack_in_a_thread(directory=listed) as slack:
        for number in range(40):
            slack.lose(post(number))
        program = Program(slack, conninfo, tmp_path)
        assert run(program, "backfill", "--all")[0] == 0
        database.execute(
            "update slack.gap set closed_at = null, error = 'it was stopped', account = null;"
            "insert into slack.gap_channel (gap_id, channel_id, reached, account)"
            " select g.id, g.channel_id, (select m.ts from slack.message m order by m.ts offset 10 limit 1)"
            """, '{"read": 30, "inserted": 30}' from slack.gap g"""
        )
        code, out, err = run(program, "backfill", "--all", "--plan")
        assert code == 0, err
        assert "It goes on where it stopped: 1 channel is begun, 30 messages of it read" in out
        assert "Left of the history from the beginning on: about 1" in out
        code, out, err = run(program, "backfill", "--status")
        assert "Histories: 0 read, 1 not finished, 1 of them stopped or with an error." in out
        assert "    30 messages read, back to " in out
        assert run(program, "backfill", "--history", "1", "--json")[0] == 0


def test_a_backfill_that_runs_already_is_said_without_a_plan(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    with slack_in_a_thread(directory=directory(1)) as slack:
        program = Program(slack, conninfo, tmp_path)
        database.execute("select pg_advisory_lock(%s)", (BACKFILL_LOCK_KEY,))
        code, out, err = run(program, "backfill", "--all")
        assert (code, "a backfill runs already" in out, "To read:" in err) == (1, True, False)
        assert slack.calls["conversations.history"] == 0


def test_a_restricted_app_reads_the_whole_history_only_if_it_is_asked_to(
    conninfo: str, tmp_path: Path
) -> None:
    listed = directory()
    listed.is_restricted = True
    with slack_in_a_thread(directory=listed) as slack:
        for number in range(400):
            slack.lose(post(number, f"C{number % 2 + 1}"))
        program = Program(slack, conninfo, tmp_path)
        code, out, err = run(program, "backfill", "--all")
    assert (code, out) == (3, "")
    assert "the history takes about" in err
    assert " min." in err
    assert "import an export" in err
    assert "--slow" in err
    assert slack.calls["conversations.history"] == 2
    assert count(conninfo, "select count(*) from slack.message") == 0


async def test_kill_9_in_its_middle_and_once_more(conninfo: str, tmp_path: Path) -> None:
    async with workspace(3) as slack:
        for number in range(1200):
            slack.lose(post(number, f"C{number % 3 + 1}"))
        program = Program(slack, conninfo, tmp_path)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tiger_slack_tui", "backfill", "--since", SINCE),
            env=program.environ,
            stderr=subprocess.DEVNULL,
        )
        await until(lambda: slack.calls["conversations.history"] == 3)
        process.kill()
        await process.wait()
        before = count(conninfo, "select count(*) from slack.message")
        assert 0 < before < 1200
        code, out, _ = await command(program, "backfill", "--json")
    assert code == 0
    (gap,) = json.loads(out)["gaps"]
    assert gap["messages"]["read"] == gap["messages"]["inserted"] == 1200
    assert count(conninfo, "select count(*) from slack.message") == 1200
    assert slack.calls["conversations.history"] <= 7


async def test_the_job_closes_it_at_the_start_unless_it_is_switched_off(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    async with workspace() as slack:
        slack.lose(post(1))
        database.execute(
            "insert into slack.gap (team_id, reason, started_at, ended_at)"
            " values ('T0LOCAL', 'not connected', now() - interval '2 hours', now())"
        )
        program = Program(slack, conninfo, tmp_path / "home")
        program.environ["TIGER_SLACK_BACKFILL"] = "no"
        async with program():
            await slack.wait_connected()
            await until(lambda: "job channels: done" in program.log)
            await asyncio.sleep(0.5)
        assert count(conninfo, "select count(*) from slack.message") == 0
        program.environ["TIGER_SLACK_BACKFILL"] = "yes"
        async with program():
            await until(lambda: "gap 1 is closed" in program.log)
        assert count(conninfo, "select count(*) from slack.message") == 1
        assert "SECRET" not in program.log
