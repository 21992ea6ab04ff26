"""The demo as a process: it checks itself, is stopped, and is kept."""

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from tests.acceptance.test_cli import CLEAN, tiger_slack
from tiger_slack_tui.base.settings import load_with_slack
from tiger_slack_tui.demo.home import remove_killed

pytestmark = pytest.mark.slow


def test_the_demo_checks_itself(tmp_path: Path) -> None:
    result = tiger_slack(
        "demo", "--no-ui", "--events", "400", "--rate", "400", "--json", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["sent"], summary["acked"], summary["differences"]) == (400, 400, [])
    assert summary["rows"]["event"] == 400
    assert sum(summary["outcomes"].values()) == 400
    assert summary["ack_ms"]["p99"] > 0
    for line in result.stderr.splitlines():
        json.loads(line)  # each log line is one


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_is_stopped_from_the_terminal(tmp_path: Path, number: signal.Signals) -> None:
    """Such a signal goes to all processes of the terminal's foreground."""
    command = [sys.executable, "-m", "tiger_slack_tui", "demo", "--no-ui", "--events", "9000"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=CLEAN, start_new_session=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line)["message"] == "connected":
                break
        os.killpg(process.pid, number)
        rest = process.stderr.read()
    assert process.returncode == 1
    assert "stopped before all events were sent" in rest
    assert "Traceback" not in rest


def test_a_demo_that_is_kept(tmp_path: Path) -> None:
    """It also removes the directory of a demo that was killed, and not that of one that runs."""
    for name in ("killed", "running"):
        (tmp_path / f"tiger-slack-demo-{name}").mkdir()
        (tmp_path / f"tiger-slack-demo-{name}" / "demo.lock").touch()
    kept = tmp_path / "it's kept"
    with (tmp_path / "tiger-slack-demo-running" / "demo.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_killed(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tiger-slack-demo-running"]
    command = [
        sys.executable,
        "-m",
        "tiger_slack_tui",
        "demo",
        "--no-ui",
        "--mcp",
        "--keep",
        str(kept),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=CLEAN
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(json.loads(line))
            if lines[-1]["message"] == "connected":
                break
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    assert process.returncode == 0
    assert out.startswith("Stopped. ")
    program = f"{shlex.quote(sys.executable)} -m tiger_slack_tui"
    assert f"TIGER_SLACK_HOME={shlex.quote(str(kept))} {program} observe" in out
    begun = next(line for line in lines if line["message"] == "the demo has started")
    assert begun["observe"] == f"DATABASE_URL='{begun['database']}' {program} observe"
    assert begun["mcp"] == f"DATABASE_URL='{begun['database']}' {program} mcp"
    assert (kept / ".env").stat().st_mode & 0o777 == 0o600
    given = {name: value or "" for name, value in dotenv_values(kept / ".env").items()}
    loaded, slack = load_with_slack(given)
    assert (loaded.home, slack.api_url.startswith("http://127.0.0.1:")) == (kept, True)
    found = tiger_slack("events", "--limit", "1", cwd=tmp_path, **given)
    assert found.returncode == 0, found.stderr
    again = tiger_slack("demo", "--no-ui", "--keep", str(kept), cwd=tmp_path)
    assert (again.returncode, "is not empty" in again.stderr) == (2, True)
