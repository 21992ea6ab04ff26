"""The embedded PostgreSQL survives the death of its users, of its supervisor and of itself."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import tiger_slack_tui
from tests.servers import with_data
from tiger_slack_tui.base.errors import EmbeddedPostgresError
from tiger_slack_tui.postgres.embedded.binaries import (
    ServerUser,
    find_binaries,
    major_version,
    reachable,
)
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres, is_supervised

pytestmark = pytest.mark.slow


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def server_pid(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().split()[0])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def supervisor_pids(home: Path) -> list[int]:
    found = subprocess.run(
        ["pgrep", "-f", f"tiger_slack_tui.postgres.embedded.supervisor {home} "],
        capture_output=True,
        text=True,
    )
    return [int(pid) for pid in found.stdout.split()]


def rows(conninfo: str) -> int:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("select count(*) from kept").fetchone()
        assert row is not None
        return int(row[0])


@contextlib.contextmanager
def another_user(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the server."""
    code = (
        "import sys, pathlib; from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres\n"
        "server = EmbeddedPostgres.start(pathlib.Path(sys.argv[1]), durable=False)\n"
        "print('ready', flush=True); sys.stdin.read(); server.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.fixture
def empty_home() -> Iterator[Path]:
    """A home without data. It is deleted when the server has stopped."""
    with tempfile.TemporaryDirectory(prefix="tiger-slack-test-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory) / "home"
        until(lambda: not is_supervised(Path(directory) / "home"))


@pytest.fixture
def home(empty_home: Path) -> Path:
    """The same, with data."""
    return with_data(empty_home)


def test_it_keeps_its_data_and_stops_with_its_last_user(empty_home: Path) -> None:
    with EmbeddedPostgres.start(empty_home) as first:
        pid = server_pid(empty_home)
        with EmbeddedPostgres.start(empty_home) as second:
            assert second.conninfo == first.conninfo
            with psycopg.connect(first.conninfo) as connection:
                connection.execute("create table kept as select 1")
        assert alive(pid)
        assert rows(first.conninfo) == 1
    assert not alive(pid)
    assert not is_supervised(empty_home)
    with EmbeddedPostgres.start(empty_home, durable=False) as again:
        assert rows(again.conninfo) == 1


def test_it_does_not_listen_on_the_network_or_run_as_root(home: Path) -> None:
    with EmbeddedPostgres.start(home, durable=False) as server:
        with psycopg.connect(server.conninfo) as connection:
            shown = connection.execute("show listen_addresses").fetchone()
        assert shown == ("",)
        assert os.stat(f"/proc/{server_pid(home)}").st_uid != 0
        sockets = re.search(r"host=(\S+)", server.conninfo)
        assert sockets is not None
        assert Path(sockets[1]).stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(
    major_version(find_binaries()) < 16,
    reason="PostgreSQL before 16 needs a path that its user can pass",
)
def test_it_runs_below_a_directory_that_others_cannot_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres.start(closed / "home", durable=False) as server:
        with psycopg.connect(server.conninfo) as connection:
            connection.execute("create table kept as select 1")
        assert rows(server.conninfo) == 1
    assert closed.stat().st_mode & 0o777 == 0o700


def test_it_outlives_a_killed_user_while_another_uses_it(home: Path) -> None:
    with EmbeddedPostgres.start(home, durable=False) as server:
        with another_user(home) as other:
            other.send_signal(signal.SIGKILL)
            other.wait()
        pid = server_pid(home)
        time.sleep(0.5)  # the supervisor checks several times meanwhile
        assert alive(pid)
    assert not alive(pid)
    assert server.conninfo


def test_it_stops_when_all_users_are_killed(home: Path) -> None:
    with another_user(home) as only:
        pid = server_pid(home)
        only.send_signal(signal.SIGKILL)
        only.wait()
        until(lambda: not alive(pid))


def test_a_killed_server_comes_back_for_its_users(home: Path) -> None:
    with EmbeddedPostgres.start(home) as server:
        with psycopg.connect(server.conninfo) as connection:
            connection.execute("create table kept as select 1")
        killed = server_pid(home)
        os.kill(killed, signal.SIGKILL)
        until(lambda: not alive(killed))

        def answers() -> bool:
            try:
                return rows(server.conninfo) == 1
            except psycopg.OperationalError:
                return False

        until(answers)
        with EmbeddedPostgres.start(home) as second:
            assert rows(second.conninfo) == 1


def test_a_killed_supervisor_is_replaced_at_the_next_start(home: Path) -> None:
    with EmbeddedPostgres.start(home, durable=False) as server:
        pid = server_pid(home)
        for supervisor in supervisor_pids(home):
            os.kill(supervisor, signal.SIGKILL)
        until(lambda: not is_supervised(home))
        assert alive(pid)
        with EmbeddedPostgres.start(home, durable=False) as second:
            assert second.conninfo == server.conninfo
            assert is_supervised(home)
    until(lambda: not alive(pid))


def test_a_start_that_was_killed_does_not_prevent_the_next(empty_home: Path) -> None:
    (empty_home / "data.new" / "base").mkdir(parents=True)
    (empty_home / "data.new" / "PG_VERSION").write_text("18")
    with EmbeddedPostgres.start(empty_home, durable=False):
        assert not (empty_home / "data.new").exists()


def test_a_start_that_a_signal_ends_leaves_nothing_running(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo deletes its directory then, and initdb must not write to it any more."""

    def interrupt(_: float, sleep: Callable[[float], None] = time.sleep) -> None:
        sleep(0.02)
        if (empty_home / "data.new" / "PG_VERSION").exists():
            monkeypatch.undo()
            sys.exit(0)

    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(SystemExit):
        EmbeddedPostgres.start(empty_home, durable=False)
    assert not is_supervised(empty_home)
    assert not (empty_home / "data").exists()


def test_a_stale_pid_file_does_not_prevent_a_start(home: Path) -> None:
    with EmbeddedPostgres.start(home, durable=False):
        lines = (home / "data" / "postmaster.pid").read_text().splitlines()
    lines[0] = str(os.getpid())  # as if another process had this pid now
    (home / "data" / "postmaster.pid").write_text("\n".join(lines))
    with EmbeddedPostgres.start(home, durable=False):
        assert server_pid(home) != os.getpid()


def test_data_of_another_version_is_named(empty_home: Path) -> None:
    (empty_home / "data").mkdir(parents=True)
    (empty_home / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match="created by PostgreSQL 9"):
        EmbeddedPostgres.start(empty_home)


def test_a_server_that_cannot_start_is_reported_with_its_reason(home: Path) -> None:
    with (home / "data" / "postgresql.auto.conf").open("a") as configuration:
        configuration.write("nonsense = 5\n")
    with pytest.raises(EmbeddedPostgresError, match="did not start"):
        EmbeddedPostgres.start(home, durable=False)


def python_for_others() -> str | None:
    """A Python of this version that another user can run. This one can be below /root."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/python{ours}", f"/usr/local/bin/python{ours}"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [python, "-c", "import ssl"], check=True, user=65534, group=65534, cwd="/"
            )
            return python
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_for_an_ordinary_user_it_runs_as_that_user() -> None:
    python = python_for_others()
    if python is None:
        pytest.skip("no interpreter here can be run by another user")
    code = (
        "import os, sys, pathlib\n"
        "from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres\n"
        "with EmbeddedPostgres.start(pathlib.Path(sys.argv[1]), durable=False) as server:\n"
        "    pid = pathlib.Path(sys.argv[1], 'data', 'postmaster.pid').read_text().split()[0]\n"
        "    print(os.stat('/proc/' + pid).st_uid)\n"
    )
    with tempfile.TemporaryDirectory(prefix="tiger-slack-test-") as home:
        os.chown(home, 65534, 65534)
        path = os.pathsep.join(entry for entry in sys.path if "site-packages" in entry)
        checkout = Path(tiger_slack_tui.__file__).parent.parent
        said = subprocess.run(
            [python, "-c", code, home],
            capture_output=True,
            text=True,
            user=65534,
            group=65534,
            extra_groups=[],
            cwd="/",
            env={
                "PATH": os.environ["PATH"],
                "HOME": home,
                "PG_BIN": str(reachable(find_binaries(), ServerUser(65534, 65534, is_other=True))),
                "PYTHONPATH": f"{checkout}{os.pathsep}{path}",
            },
        )
    assert said.stdout == "65534\n", said.stderr
