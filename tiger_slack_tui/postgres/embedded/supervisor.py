"""Keeps the embedded PostgreSQL running while anybody uses it; see embedded.py.

python -m tiger_slack_tui.postgres.embedded.supervisor HOME BINARIES durable|fast
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tiger_slack_tui.postgres.embedded import server_log
from tiger_slack_tui.postgres.embedded.binaries import ServerUser, server_user

_LOOK_SECONDS = 0.1
_STOP_SECONDS = 10
_PROVEN_SECONDS = 5
"""A server that ends by itself sooner has failed to start; it is given up after so many failures in a row:"""
_MOST_FAILURES = 6
_LINGER_SECONDS = 60.0
"""Processes of a killed server may hold its shared memory for so long; a start that fails meanwhile is no failure."""
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")
_OPTIONS = (
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "max_connections=60",
    "timezone=UTC",
    *server_log.OPTIONS,
)


class Server:
    """The server of one data directory, which this process may start, adopt and stop."""

    def __init__(self, home: Path, binaries: Path, user: ServerUser, *, durable: bool) -> None:
        self._home = home
        self._data = home / "data"
        self._binaries = binaries
        self._user = user
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None

    def running(self) -> int | None:
        """The server's pid; None where it is gone. A server of an earlier supervisor counts."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        try:
            pid = int((self._data / "postmaster.pid").read_text().split("\n")[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes() if _has_proc() else b"postgres"
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        # A zombie has no command line; another process can have got the number.
        return pid if b"postgres" in command.split(b"\0")[0] else None

    @property
    def was_killed(self) -> bool:
        """Whether the server that `start` started last was ended by a signal."""
        return self._process is not None and (self._process.poll() or 0) < 0

    def start(self) -> None:
        """Start the server, on new data where there is none."""
        if not self._data.is_dir():
            self._make_data()
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # of a server that is gone
        if self._sockets is None:
            # Short, because a socket's path has at most 107 bytes; only its user and root get in.
            self._sockets = Path(tempfile.mkdtemp(prefix="tiger-slack-", dir="/tmp"))
            self._give(self._sockets)
        options = [*_OPTIONS, f"unix_socket_directories={self._sockets}"]
        options += () if self._durable else _FAST
        self._process = self._run(
            "postgres", self._data, [part for option in options for part in ("-c", option)]
        )

    def stop(self) -> None:
        """Stop it in order: SIGINT ends sessions and writes all down; at last SIGKILL."""
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            pid = self.running()
            if pid is None:
                break
            os.kill(pid, number)
            deadline = time.monotonic() + _STOP_SECONDS
            while self.running() is not None and time.monotonic() < deadline:
                time.sleep(0.01)
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _make_data(self) -> None:
        """Make it beside its place, so that data is either whole or not there."""
        new = self._home / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._give(new)
        options = [
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        if self._run("initdb", new, options).wait() != 0:
            sys.exit(1)  # it has said why
        if self._durable:
            subprocess.run(["/bin/sync"], check=False)
        new.rename(self._data)

    def _run(self, program: str, data: Path, options: list[str]) -> subprocess.Popen[bytes]:
        # Another user may not pass the directories above its own (a home below /root), but the working
        # directory that it is born in needs no path.
        place = str(data) if self._user.can_enter(data) else "/proc/self/cwd"
        return subprocess.Popen(
            [self._binaries / program, "-D", place, *options],
            cwd=data,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"},
            umask=0o077,
            **self._user.identity(),
        )

    def _give(self, directory: Path) -> None:
        if self._user.is_other:
            os.chown(directory, self._user.uid, self._user.gid)


def main() -> None:
    """Run until nobody holds a share. Ends at once where another supervisor is at work."""
    home, binaries, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    own = os.open(home / "supervisor.lock", os.O_CREAT | os.O_RDWR, 0o600)
    if not _owns(own):
        return
    users = os.open(home / "users.lock", os.O_CREAT | os.O_RDWR, 0o600)
    server = Server(home, binaries, server_user(), durable=kind == "durable")
    started, failures, killed = 0.0, 0, -_LINGER_SECONDS
    while _in_use(users):
        if server.running() is None:
            now = time.monotonic()
            if server.was_killed:
                killed = now
            has_failed = now - started < _PROVEN_SECONDS and not server.was_killed
            failures = min(failures + 1, _MOST_FAILURES) if has_failed else 0
            if failures == _MOST_FAILURES and now - killed >= _LINGER_SECONDS:
                sys.exit(server_log.GIVEN_UP)
            time.sleep(failures * _LOOK_SECONDS)
            started = time.monotonic()
            server.start()
        server_log.limit_log(home)
        time.sleep(_LOOK_SECONDS)
    server.stop()  # new users wait for the lock until then


def _owns(own: int) -> bool:
    """Take the supervisor's lock. Who asks whether it is held holds it for a moment, too."""
    for _ in range(20):
        try:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def _in_use(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _has_proc() -> bool:
    return Path("/proc/self/cwd").exists()


if __name__ == "__main__":
    main()
