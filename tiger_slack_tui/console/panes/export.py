"""Files that an operator writes from the console: they may hold messages, and are for nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tiger_slack_tui.base import private_files
from tiger_slack_tui.base.errors import TigerSlackError

_CHUNK = 1 << 18
"""Characters that are written at once."""


async def write_export(directory: Path, name: str, lines: AsyncIterator[str]) -> Path:
    """Write the lines to a new file NAME-TIME.txt that only its owner can read; where it is.

    The directory is made, and closed to others. A file or a symlink that has the name is left alone: the new file
    gets another one. One that cannot be written to its end is removed. Raises TigerSlackError.
    """
    try:
        path, file = await asyncio.to_thread(private_files.create, directory, name, ".txt")
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
