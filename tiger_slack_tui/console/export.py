"""Files that an operator writes from the console: they may hold messages, and are for nobody else."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import IO

from tiger_slack_tui.errors import TigerSlackError

_CHUNK = 1 << 18
"""Characters that are written at once."""


async def write_export(directory: Path, name: str, lines: AsyncIterator[str]) -> Path:
    """Write the lines to a new file NAME-TIME.txt that only its owner can read; where it is.

    The directory is made, and closed to others. A file or a symlink that has the name is left alone: the new file
    gets another one. One that cannot be written to its end is removed. Raises TigerSlackError.
    """
    try:
        path, file = await asyncio.to_thread(_create, directory, name)
    except OSError as error:
        raise TigerSlackError(f"{directory} cannot be written: {error.strerror}") from None
    try:
        try:
            chunk: list[str] = []
            size = 0
            async for line in lines:
                chunk.append(f"{line}\n")
                size += len(line)
                if size >= _CHUNK:
                    await asyncio.to_thread(file.write, "".join(chunk))
                    chunk, size = [], 0
            await asyncio.to_thread(file.write, "".join(chunk))
        finally:
            await asyncio.to_thread(file.close)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise TigerSlackError(f"{path} cannot be written: {error.strerror}") from None
        raise
    return path


def _create(directory: Path, name: str) -> tuple[Path, IO[str]]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(place, 0o700)  # one that was made by an earlier version
        base = f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        for number in count(1):
            file = f"{base}.txt" if number == 1 else f"{base}-{number}.txt"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            try:
                fd = os.open(file, flags, 0o600, dir_fd=place)
            except FileExistsError:
                continue
            return directory / file, os.fdopen(fd, "w", encoding="utf-8", errors="replace")
    finally:
        os.close(place)
    raise AssertionError("count never ends")
