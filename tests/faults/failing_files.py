"""A file system for the spool. A test sets which of its calls fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from tiger_slack_tui.ingest.spool.file_system import FileSystem

CALLS = tuple(name for name in vars(FileSystem) if not name.startswith("_"))
"""Every call that the spool makes."""


class FailingFiles(FileSystem):
    """Each call named in `failing` raises the error that stands there. `calls` counts all of them."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}
        self.bad: dict[str, range] = {}
        """By the name of a file: the bytes that cannot be read."""
        self.calls = 0

    def read(self, file: int, size: int, offset: int) -> bytes:
        name = Path(os.readlink(f"/proc/self/fd/{file}")).name
        bad = self.bad.get(name, range(0))
        if offset < bad.stop and bad.start < offset + size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(file, size, offset)


def _failing(name: str) -> Callable[..., Any]:
    call = getattr(FailingFiles, name)

    @wraps(call)
    def made(self: FailingFiles, *arguments: Any) -> Any:
        self.calls += 1
        if name in self.failing:
            number = self.failing[name]
            if name == "close":  # Linux frees the descriptor all the same
                call(self, *arguments)
            raise OSError(number, os.strerror(number))
        return call(self, *arguments)

    return made


for _name in CALLS:
    setattr(FailingFiles, _name, _failing(_name))
