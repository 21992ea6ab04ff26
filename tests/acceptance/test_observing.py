"""Traces, metrics, health, jobs and doctor; and that none of them contains texts or secrets."""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.test_cli import CLEAN, in_this_process
from tests.acceptance.test_processes import Program
from tests.support import ADVISORY_LOCKS, allow_connections, count, slack_in_a_thread, until
from tiger_slack_tui import __version__
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent


def marked(number: int, **fields: Any) -> dict[str, Any]:
    ts = f"{1_700_000_000 + number}.000100"
    event = {
        "type": "message",
        "channel": "C1",
        "user": "U1",
        "text": "MARKED text",
        "ts": ts,
        "event_ts": ts,
        "files": [{"url_private": "https://files.slack.com/x?t=xoxe-MARKED"}],
    }
    return {
        "team_id": "T1",
        "type": "event_callback",
        "event_id": f"Ev{number}",
        "event_time": 1,
        "event": event | fields,
    }


async def command(program: Program, *arguments: str) -> tuple[int, str, str]:
    """Run it as a process: its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tiger_slack_tui", *arguments),
        env=program.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


def run(program: Program, *arguments: str) -> tuple[int, str, str]:
    """The same in this process, for a program of `slack_in_a_thread`."""
    done = in_this_process(*arguments, cwd=program.home.parent, **program.environ)
    return done.returncode, done.stdout, done.stderr


def stored(conninfo: str) -> int:
    """Events in the database; 0 before it has the tables."""
    with contextlib.suppress(psycopg.errors.UndefinedTable):
        return count(conninfo, "select count(*) from slack.event")
    return 0


async def test_all_of_it_is_exported_but_no_text_and_no_secret(
    empty_conninfo: str, tmp_path: Path
) -> None:
    people = [{"id": "U1", "name": "one", "real_name": "MARKED name", "tz_offset": "9" * 40}]
    async with LocalSlack(directory=Directory(people)) as slack:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "tests/acceptance/exporting.py")),
            *(slack.url, slack.bot_token, slack.app_token, empty_conninfo, str(tmp_path)),
            env=CLEAN | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        await slack.wait_connected()
        for number in range(20):
            # Every fourth is refused by PostgreSQL, whose words then quote it.
            bad = {"ts": "MARKED no number"} if number % 4 == 0 else {}
            await slack.send(marked(number, **bad))
        await slack.flush()
        await slack.wait_acked()
        # They may have gone through the spool, while the database was migrated. This one is written at once.
        await until(lambda: stored(empty_conninfo) == 20)
        await slack.send(marked(21))
        await slack.flush()
        await slack.wait_acked()
        await asyncio.sleep(1)
        out, _ = await asyncio.wait_for(process.communicate(b""), 30)
    exported = json.loads(out)
    text = out.decode()
    for secret in ("MARKED", "xoxe-", slack.bot_token, slack.app_token, "ticket="):
        assert secret not in text
    names = {json.loads(span)["name"] for span in exported["spans"]}
    assert {"ingest batch", "job users", "job channels", "job retention"} <= names
    assert any(name.startswith("migration ") for name in names)
    assert any("users.list" in span for span in exported["spans"])  # the Web API
    assert any("slack.ingest" in span for span in exported["spans"])  # psycopg
    for metric in (
        "tiger_slack.events",
        "tiger_slack.ack",
        "tiger_slack.queue",
        "tiger_slack.spool_events",
        "tiger_slack.batch_events",
        "tiger_slack.commit",
        "tiger_slack.connects",
        "tiger_slack.lateness",
        "process.cpu.utilization",
        "process.cpu.core_utilization",
        "process.memory.usage",
        "process.memory.virtual",
        "process.thread.count",
    ):
        assert f'\\"{metric}\\"' in text, metric
    assert "nobody took it" not in text
    assert '"exception.type": "RuntimeError"' in text


async def test_health_and_metrics_over_http(
    conninfo: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    def get(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{unused_tcp_port}/{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    async with LocalSlack() as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        program.environ["TIGER_SLACK_HTTP"] = str(unused_tcp_port)
        code, _, err = await command(program, "health")
        assert (code, "No answer on port" in err) == (1, True)
        async with program() as process:
            await slack.wait_connected()
            await slack.send(marked(1))
            await slack.flush()
            await slack.wait_acked()
            assert await asyncio.to_thread(get, "healthz") == (200, '{"alive": true}')
            status, body = await asyncio.to_thread(get, "readyz")
            assert (status, json.loads(body)["ready"]) == (200, True)
            program.environ["http_proxy"] = "http://127.0.0.1:9"  # is not for this machine's port
            assert (await command(program, "health"))[0] == 0

            status, body = await asyncio.to_thread(get, "metrics")
            assert status == 200
            assert 'tiger_slack_events_total{outcome="stored",type="message"} 1.0' in body
            assert "tiger_slack_acks_total 1.0" in body
            assert re.search(r'tiger_slack_ack_seconds{quantile="0.99"} 0\.', body)
            assert "MARKED" not in body

            slack.refuse_opening = "internal_error"
            await slack.drop()
            async with asyncio.timeout(30):
                while (await asyncio.to_thread(get, "readyz"))[0] != 503:
                    await asyncio.sleep(0.05)
            status, body = await asyncio.to_thread(get, "readyz")
            assert (status, json.loads(body)["problems"][0][:6]) == (503, "Slack:")
            code, _, err = await command(program, "health")
            assert (code, "Not ready: Slack" in err) == (1, True)
            assert (await command(program, "health", "--live"))[0] == 0
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0


def test_jobs_by_hand_and_their_status(conninfo: str, tmp_path: Path) -> None:
    directory = Directory([{"id": "U1", "name": "one"}], [{"id": "C1", "name": "place"}])
    with slack_in_a_thread(directory=directory) as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        code, out, _ = run(program, "jobs")
        assert code == 0
        assert [line.split()[3:5] for line in out.splitlines()[::2]] == [
            ["users", "done,"],
            ["channels", "done,"],
        ]
        code, out, _ = run(program, "jobs", "retention", "--json")
        assert (code, json.loads(out)[0]["outcome"]) == (0, "done")

        with psycopg.connect(conninfo, autocommit=True) as other:
            other.execute("set application_name = 'a person'")
            other.execute("select pg_advisory_lock(5245366294413312)")
            code, out, _ = run(program, "jobs", "users")
            assert (code, "a person (local, pid" in out) == (0, True)
            code, out, _ = run(program, "jobs", "--status", "--json")
            assert code == 0
            users = json.loads(out)[0]
            assert users["holder"]["application_name"] == "a person"
            assert users["holder"]["pid"] == other.info.backend_pid
            assert [run["outcome"] for run in users["runs"]] == ["skipped", "done"]
            code, out, _ = run(program, "jobs", "--status")
            assert "users: next run" in out
            assert "held by a person" in out
            assert "lock  free" in out

        program.environ["SLACK_BOT_TOKEN"] = "xoxb-other"
        code, out, err = run(program, "jobs", "users")
        assert code == 1
        assert "invalid_auth" in out
        assert "1 job failed: users" in err
        assert "Traceback" not in err


async def test_a_killed_job_is_shown_as_cut_off(conninfo: str, tmp_path: Path) -> None:
    gate = asyncio.Event()

    async with LocalSlack() as slack:
        slack.hold = gate  # its Web API does not answer
        program = Program(slack, conninfo, tmp_path / "home")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tiger_slack_tui", "jobs", "users"), env=program.environ
        )
        with psycopg.connect(conninfo, autocommit=True) as database:

            def locks() -> int:
                return len(database.execute(ADVISORY_LOCKS).fetchall())

            def begun() -> int:
                row = database.execute("select count(*) from slack.job_run").fetchone()
                return int(row[0]) if row else 0

            await until(lambda: begun() == 1)
            assert locks() == 1
            process.kill()
            await process.wait()
            await until(lambda: locks() == 0)
        gate.set()
        code, out, _ = await command(program, "jobs", "--status", "--json")
        assert (code, json.loads(out)[0]["runs"][0]["outcome"]) == (0, "cut off")


def test_the_doctor_finds_what_is_wrong(conninfo: str, tmp_path: Path) -> None:
    with slack_in_a_thread() as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        code, out, _ = run(program, "doctor")
        assert code == 0, out
        assert "✓ bot token: U0TIGER of Local" in out
        assert "✓ delayed events" in out
        assert "✗" not in out
        assert out.splitlines()[-1].startswith("A run works. 1 warning: ")
        code, out, _ = run(program, "doctor", "--json")
        assert {check["state"] for check in json.loads(out)} == {"ok", "warning"}

        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("update slack.version set version = '99.0.0'")
        code, out, _ = run(program, "doctor")
        assert (code, "✗ migrations: the database has version 99.0.0" in out) == (1, True)
        assert "A run cannot work yet" in out
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("update slack.version set version = %s", (__version__,))

        slack.scopes.remove("reactions:read")
        allow_connections(conninfo, allowed=False)
        (tmp_path / "home").mkdir(exist_ok=True)
        (tmp_path / "home" / "spool").write_text("in the way")
        program.environ["SLACK_APP_TOKEN"] = "xapp-other"
        code, out, err = run(program, "doctor", "--json")
        assert code == 1
        states = {check["name"]: check for check in json.loads(out)}
        failed = {name for name, check in states.items() if check["state"] == "failed"}
        assert failed == {"scopes", "app token", "database", "spool"}
        assert "does not send reactions" in states["scopes"]["found"]
        assert all(states[name]["fix"] for name in ("scopes", "app token", "spool"))
        assert "Traceback" not in err
        allow_connections(conninfo, allowed=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIGER_SLACK_JOBS_SCHEDULE", "61 * * * *"),
        ("TIGER_SLACK_JOBS_SCHEDULE", "0 0 31 2 *"),
        ("TIGER_SLACK_JOBS_TIME_ZONE", "Europe/Atlantis"),
        ("TIGER_SLACK_JOBS_CATCH_UP", "perhaps"),
        ("TIGER_SLACK_JOBS_TIMEOUT", "-1"),
    ],
)
def test_wrong_settings_of_jobs_are_named(tmp_path: Path, name: str, value: str) -> None:
    done = in_this_process("jobs", "--status", cwd=tmp_path, **{name: value})
    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr
