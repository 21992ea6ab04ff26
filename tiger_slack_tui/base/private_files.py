"""Files that may hold messages or names of private channels, and are for nobody but the owner of the process."""

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
    """Make a new file NAME-TIME and the suffix, where others have the name with a number; its path, and the file.

    The directory is made, and closed to others. A file or a symlink that has the name is left alone. Blocks.
    Raises OSError.
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
    """Write the file in place of one that has the name; as for `create`, but not through a symlink. Blocks.

    Raises OSError.
    """
    with _opened(path.parent) as place:
        fd = os.open(path.name, _NEW | os.O_TRUNC, 0o600, dir_fd=place)
        os.fchmod(fd, 0o600)  # one that was made by an earlier version
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(place, 0o700)  # one that was made by an earlier version
        yield place
    finally:
        os.close(place)
