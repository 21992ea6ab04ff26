"""Writes a pane to a file that only its owner can read, because it may contain messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tiger_slack_tui.base import private_files
from tiger_slack_tui.base.errors import TigerSlackError

_CHUNK = 1 << 18
"""Characters that are written with one call."""


async def write_export(directory: Path, name: str, lines: AsyncIterator[str]) -> Path:
    """Write the lines to a new file NAME-TIME.txt that only its owner can read, and return its path.

    Makes the directory, and closes it to others. Never replaces a file and follows no symlink: the new file gets
    another name. A file that cannot be completed is removed. Raises TigerSlackError.
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
