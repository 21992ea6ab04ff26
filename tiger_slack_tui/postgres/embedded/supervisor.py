"""Keeps the embedded PostgreSQL running while it has users; see server.py.

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
from collections.abc import Callable
from pathlib import Path

from tiger_slack_tui.postgres.embedded import server_log
from tiger_slack_tui.postgres.embedded.binaries import ServerUser, server_user

_LOOK_SECONDS = 0.1
_INITDB_LOOK_SECONDS = 0.02
_STOP_SECONDS = 10
_PROVEN_SECONDS = 5
"""A server that ends by itself sooner has failed to start. After _MOST_FAILURES in a row, the supervisor gives up."""
_MOST_FAILURES = 6
_LINGER_SECONDS = 60.0
"""Processes of a killed server can keep its shared memory this long. A start that fails meanwhile is retried."""
_FAST = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    # With hundreds of small databases, autovacuum starts ten workers a second and finds nothing to do.
    "autovacuum=off",
    "max_connections=200",
)
_OPTIONS = (
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "max_connections=60",
    "timezone=UTC",
    *server_log.OPTIONS,
)


class Server:
    """The server of one data directory. This process can start, adopt and stop it."""

    def __init__(self, home: Path, binaries: Path, user: ServerUser, *, durable: bool) -> None:
        self._home = home
        self._data = home / "data"
        self._binaries = binaries
        self._user = user
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None

    def running(self) -> int | None:
        """The server's pid; None if it does not run. A server of an earlier supervisor counts."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        try:
            pid = int((self._data / "postmaster.pid").read_text().split("\n")[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes() if _has_proc() else b"postgres"
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        # A zombie has no command line, and another process can have the pid by now.
        return pid if b"postgres" in command.split(b"\0")[0] else None

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended the server that `start` started last."""
        return self._process is not None and (self._process.poll() or 0) < 0

    def start(self, is_wanted: Callable[[], bool]) -> None:
        """Start the server. Creates the data directory if there is none, unless nobody wants the server any more."""
        if not self._data.is_dir() and not self._make_data(is_wanted):
            return
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # left by a server that is gone
        if self._sockets is None:
            # Its path is short, because a socket's path has at most 107 bytes. Only the server's user can enter it.
            self._sockets = Path(tempfile.mkdtemp(prefix="tiger-slack-", dir="/tmp"))
            self._give(self._sockets)
        options = [*_OPTIONS, f"unix_socket_directories={self._sockets}"]
        options += () if self._durable else _FAST
        self._process = self._run(
            "postgres", self._data, [part for option in options for part in ("-c", option)]
        )

    def stop(self) -> None:
        """Stop the server. SIGINT ends its sessions and writes a checkpoint; SIGKILL comes last."""
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

    def _make_data(self, is_wanted: Callable[[], bool]) -> bool:
        """Create the data under another name and rename it, so that it is either complete or missing.

        Returns False, and leaves it missing, if nobody wants it any more.
        """
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
        initdb = self._run("initdb", new, options)
        while initdb.poll() is None:
            if not is_wanted():
                _end(initdb)
                return False
            time.sleep(_INITDB_LOOK_SECONDS)
        if initdb.returncode != 0:
            sys.exit(1)  # initdb has printed why
        if self._durable:
            subprocess.run(["/bin/sync"], check=False)
        new.rename(self._data)
        return True

    def _run(self, program: str, data: Path, options: list[str]) -> subprocess.Popen[bytes]:
        # Another user may be unable to enter the directories above (a home below /root). It reaches its working
        # directory all the same, because a process starts in it without using the path.
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
    """Run until no user is left. Ends at once if another supervisor runs."""
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
            server.start(lambda: _in_use(users))
        server_log.limit_log(home)
        time.sleep(_LOOK_SECONDS)
    server.stop()  # new users wait for the lock meanwhile


def _end(initdb: subprocess.Popen[bytes]) -> None:
    """End initdb, which then removes what it has made; by force if it does not end."""
    initdb.terminate()
    try:
        initdb.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        initdb.kill()
        initdb.wait()


def _owns(own: int) -> bool:
    """Take the supervisor's lock. `is_supervised` takes it for a moment as well, so try several times."""
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
