"""The embedded PostgreSQL, for machines without a server: the first user starts it, the last one stops it.

A user is a process that needs the server. Each user holds a shared lock on `users.lock`. A supervisor, a separate
process, keeps the server running until it gets that lock for itself. The kernel releases the locks of a process that
dies, so a kill -9 of any process leaves nothing to clean up.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import psycopg

from tiger_slack_tui.base.errors import EmbeddedPostgresError
from tiger_slack_tui.postgres.embedded.binaries import (
    ServerUser,
    find_binaries,
    major_version,
    reachable,
    server_user,
)
from tiger_slack_tui.postgres.embedded.server_log import failure_reason, log_path, open_log
from tiger_slack_tui.postgres.pool import abort_connection

DATABASE = "tiger_slack"
_FIRST_WITHOUT_PATH = 16
_START_SECONDS = 60
_ANSWER_SECONDS = 12
"""Seconds for which a server that runs may be silent: it can be suspended, or the machine can be busy."""
_STOP_SECONDS = 15
_ABANDON_SECONDS = 4
"""Seconds for which a start that was interrupted waits for the end of what it began."""


class EmbeddedPostgres:
    """One user's share in the server of a home directory. `start` makes it. Methods block: call them in a thread."""

    def __init__(self, home: Path, share: int, conninfo: str) -> None:
        self._home = home
        self._share: int | None = share
        self.conninfo = conninfo
        """libpq's connection string for the database tiger_slack, as superuser."""

    @classmethod
    def start(cls, home: Path, *, durable: bool = True) -> EmbeddedPostgres:
        """Take a share in the server whose data is in `home`/data. Creates and starts it if necessary.

        With `durable` False, a crash of the machine can destroy data; that is faster, for tests. Raises
        EmbeddedPostgresError if the server cannot be found, started or reached.
        """
        user = server_user()
        binaries = reachable(find_binaries(), user)
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o711)  # the data directory has 0700
            _check_version(home / "data", major_version(binaries))
            _check_reach(home, user, major_version(binaries))
            share = _lock(
                home / "users.lock", fcntl.LOCK_SH
            )  # waits until a server that is stopping has stopped
        except OSError as error:
            raise EmbeddedPostgresError(f"{home} cannot be used: {error.strerror}") from None
        try:
            starting = _lock(home / "start.lock", fcntl.LOCK_EX)
            try:
                conninfo = _ensure_running(home, binaries, durable=durable)
            finally:
                os.close(starting)
        except EmbeddedPostgresError:
            os.close(share)
            raise
        except BaseException:
            # A signal. The caller may delete the directory, so nothing may write to it any more.
            cls(home, share, "").close(_ABANDON_SECONDS)
            raise
        return cls(home, share, conninfo)

    def close(self, seconds: float = _STOP_SECONDS) -> None:
        """Give up the share. If it was the last one, wait at most `seconds` until the server has stopped.

        The supervisor continues to stop a server that takes longer.
        """
        if self._share is None:
            return
        share, self._share = self._share, None
        try:
            fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
            was_last = True
        except BlockingIOError:
            was_last = False
        os.close(share)
        deadline = time.monotonic() + seconds
        while was_last and is_supervised(self._home) and time.monotonic() < deadline:
            time.sleep(0.02)

    def __enter__(self) -> EmbeddedPostgres:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def is_supervised(home: Path) -> bool:
    """Whether a supervisor of the server is running."""
    try:
        os.close(_lock(home / "supervisor.lock", fcntl.LOCK_SH | fcntl.LOCK_NB))
    except BlockingIOError:
        return True
    return False


def _ensure_running(home: Path, binaries: Path, *, durable: bool) -> str:
    """The server's connection string, once it answers. Starts a supervisor if there is none."""
    supervisor: subprocess.Popen[bytes] | None = None
    deadline = time.monotonic() + _START_SECONDS
    silent_since: float | None = None
    while (now := time.monotonic()) < deadline:
        if supervisor is None and not is_supervised(home):
            supervisor = _supervise(home, binaries, durable=durable)
        if (server := _ready_server(home)) is None:
            silent_since = None
        else:
            silent_since = silent_since or now
            give_up = deadline if supervisor else silent_since + _ANSWER_SECONDS
            if _answers(server.address, give_up - now) and is_supervised(home):
                return f"{server.address} dbname={DATABASE}"
            if time.monotonic() >= give_up and supervisor is None:
                raise EmbeddedPostgresError(
                    f"The embedded PostgreSQL (process {server.pid}) runs but does not answer.",
                    hint=f"If it is suspended, resume it with kill -CONT. See {log_path(home)}.",
                )
        if supervisor is not None and supervisor.poll() is not None:
            break
        time.sleep(0.02)
    raise EmbeddedPostgresError(
        f"The embedded PostgreSQL did not start: {failure_reason(home)}",
        hint=f"See {log_path(home)}.",
    )


def _supervise(home: Path, binaries: Path, *, durable: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tiger_slack_tui.postgres.embedded.supervisor"]
    command += [str(home), str(binaries), "durable" if durable else "fast"]
    log = open_log(home)
    try:
        # In its own session, because Ctrl-C in the terminal must not stop it before its users have stopped.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(log)


class _ReadyServer(NamedTuple):
    pid: str
    address: str
    """Part of a connection string: host, port and user."""


def _ready_server(home: Path) -> _ReadyServer | None:
    """The server that says in its file that it accepts connections; it can be gone, or suspended."""
    try:
        lines = (home / "data" / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    return _ReadyServer(lines[0], f"host={lines[4]} port={lines[3]} user=postgres")


def _answers(address: str, seconds: float) -> bool:
    """Whether the server answers within `seconds` (at least 2). Creates our database if it is missing."""
    limit = max(2, min(5, round(seconds)))
    try:
        with (
            psycopg.connect(
                f"{address} dbname=postgres connect_timeout={limit}", autocommit=True
            ) as connection,
            _cut_after(seconds, connection),
        ):
            known = connection.execute("select from pg_database where datname = %s", (DATABASE,))
            if known.fetchone() is None:
                connection.execute(f"create database {DATABASE}")
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def _cut_after(seconds: float, connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Abort the connection if the block takes longer, so that a server that is suspended is not waited for."""
    timer = threading.Timer(seconds, abort_connection, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _check_version(data: Path, ours: int) -> None:
    try:
        theirs = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return
    if theirs != str(ours):
        raise EmbeddedPostgresError(
            f"{data} was created by PostgreSQL {theirs}, but the PostgreSQL here is version {ours}.",
            hint=f"Set PG_BIN to the programs of PostgreSQL {theirs}, or move the directory away.",
        )


def _check_reach(home: Path, user: ServerUser, major: int) -> None:
    """Check that the server's user can enter `home`. Versions before 16 need that to find their own programs."""
    if major < _FIRST_WITHOUT_PATH and not user.can_enter(home):
        raise EmbeddedPostgresError(
            f"The server's user cannot enter {home}.",
            hint="Set TIGER_SLACK_HOME to a directory that all users can enter, or PG_BIN to PostgreSQL 16 or newer.",
        )


def _lock(path: Path, operation: int) -> int:
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(file, operation)
    except BaseException:
        os.close(file)
        raise
    return file
