"""Servers of a test's own, from data that is made once a run: initdb takes ten times the CPU time of a copy."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres

DIRECTORY = "TIGER_SLACK_TEST_DIRECTORY"
"""The variable that names the directory of the run. All workers inherit it."""


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
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of the file; other workers wait for it."""
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
