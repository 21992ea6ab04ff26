"""Writes files that only the owner of the process can read: they can contain messages."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TextIO

_NEW = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW


def create(directory: Path, name: str, suffix: str) -> tuple[Path, TextIO]:
    """Create a file with the name NAME-TIME and the suffix. Returns its path, and the file open for writing.

    Where the name exists, a number is added; the existing file or symlink is not touched. Creates the directory, and
    removes the rights of others from it. Blocks. Raises OSError.
    """
    now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    with _opened(directory) as place:
        for number in count(1):
            file = f"{name}-{now}{suffix if number == 1 else f'-{number}{suffix}'}"
            try:
                fd = os.open(file, _NEW | os.O_EXCL, 0o600, dir_fd=place)
            except FileExistsError:
                continue
            return directory / file, os.fdopen(fd, "w", encoding="utf-8", errors="replace")
    raise AssertionError("count never ends")


def write(path: Path, text: str) -> None:
    """Write the file, or overwrite it. Does not follow a symlink. The directory is as for `create`. Blocks.

    Raises OSError.
    """
    with _opened(path.parent) as place:
        fd = os.open(path.name, _NEW | os.O_TRUNC, 0o600, dir_fd=place)
        os.fchmod(fd, 0o600)  # an earlier version may have created it with more rights
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(place, 0o700)  # an earlier version may have created it with more rights
        yield place
    finally:
        os.close(place)
