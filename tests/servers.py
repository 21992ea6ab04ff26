"""Servers of a test's own, from data that is made once a run: initdb takes ten times the CPU time of a copy."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import disk_usage

from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres

DIRECTORY = "TIGER_SLACK_TEST_DIRECTORY"
"""The variable that names the directory of the run. All workers inherit it."""


_IN_MEMORY = Path("/dev/shm")  # noqa: S108 the directories in it are made by mkdtemp
_NEEDED = 12 << 30
"""Bytes of memory that a run in memory needs, with room to spare: 800 databases of 9 MB, and what tests write."""


def run_directory() -> str:
    """A new directory for a run: in memory where there is much, which halves the time that a database takes."""
    prefix = "tiger-slack-test-"
    for left in _IN_MEMORY.glob(f"{prefix}*"):  # of runs that were killed
        if not Path("/proc", left.name.split("-")[3]).exists():
            shutil.rmtree(left, ignore_errors=True)
    in_memory = _IN_MEMORY.is_dir() and min(_available(), disk_usage(_IN_MEMORY).free) > _NEEDED
    return tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=_IN_MEMORY if in_memory else None)


def _available() -> int:
    """Bytes of memory that are not in use. https://docs.kernel.org/filesystems/proc.html#meminfo"""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if "MemAvailable" in line), 0)


def with_data(home: Path) -> Path:
    """Give a home of an embedded server its data, as the first start does. Returns the home."""
    run = Path(os.environ[DIRECTORY])
    with exclusive(run / "new.lock"):
        if not (run / "new" / "data").is_dir():
            EmbeddedPostgres.start(run / "new", durable=False).close()
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", run / "new" / "data", home / "data"], check=True)
    return home


@contextmanager
def frozen(home: Path) -> Iterator[None]:
    """Stop all processes of the server of that home by SIGSTOP inside the block. Its sockets stay open."""
    postmaster = (home / "data" / "postmaster.pid").read_text().split()[0]
    found = subprocess.run(["pgrep", "-P", postmaster], capture_output=True, text=True)
    pids = [int(pid) for pid in (postmaster, *found.stdout.split())]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of the file; other workers wait for it."""
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
