"""Writes a pane to a file that only its owner can read, because it may contain messages."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import orjson

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.exported_rows import AllRows
from tiger_slack_tui.console.panes.pane import Pane
from tiger_slack_tui.console.time_slice import TimeSlice

SUFFIXES = (".txt", ".csv", ".json")
MOST_READ = 20_000
"""About the most rows of an export that are read for it. Rows that are in memory are all written."""
_CHUNK = 1 << 18
"""Characters that are written with one call."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def proposed_path(name: str, home: Path) -> Path:
    """A new file in the working directory, or in `home` if that is not writable."""
    try:
        directory = Path.cwd() if os.access(".", os.W_OK) else home
    except OSError:  # the working directory was removed
        directory = home
    return directory / f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.txt"


class FileRefused(TigerSlackError):
    """The file cannot be written. Another name may help."""


async def write_rows(
    path: Path, pane: Pane[Any], read: Callable[[], Awaitable[AllRows[Any]]]
) -> tuple[Path, AllRows[Any]]:
    """Write rows of the pane to a new file, as its suffix says: .txt as they are shown, .csv or .json by field.

    The file is there before `read` gives the rows. Returns its absolute path, and the rows; a ~ at the beginning of
    `path` is the operator's home directory.

    Only the owner can read the file. Never replaces a file, and follows no symlink. A file that cannot be completed
    is removed. Raises FileRefused, and what `read` raises.
    """
    kinds: dict[str, Callable[[Pane[Any], Sequence[Any]], AsyncIterator[str]]] = {
        ".txt": Pane.text_lines,
        ".csv": _csv_lines,
        ".json": _json_lines,
    }
    if path.suffix not in SUFFIXES:
        raise FileRefused(f"The file must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    found = AllRows[Any]((), True)

    async def lines() -> AsyncIterator[str]:
        nonlocal found
        found = await read()
        async for text in kinds[path.suffix](pane, found.rows):
            yield text

    path = await asyncio.to_thread(lambda: path.expanduser().absolute())
    await write_lines(path, lines())
    return path, found


async def write_lines(path: Path, lines: AsyncIterator[str]) -> None:
    """Write the lines to a new file, as `write_rows` does. Raises FileRefused, and what `lines` raises."""
    try:
        file = await asyncio.to_thread(_create, path)
    except FileExistsError:
        raise FileRefused(f"{path} exists already. Choose another name.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name is not possible"
        raise FileRefused(f"{path} cannot be written: {reason}") from None
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
        await asyncio.to_thread(path.unlink, missing_ok=True)
        if isinstance(error, OSError):
            raise FileRefused(f"{path} cannot be written: {error.strerror}") from None
        raise


def _create(path: Path) -> TextIO:
    return os.fdopen(os.open(path, _NEW, 0o600), "w", encoding="utf-8", errors="replace")


async def _csv_lines(pane: Pane[Any], rows: Sequence[Any]) -> AsyncIterator[str]:
    fields = _fields_of(pane)
    yield _csv_line([field.name for field in fields])
    async for values in _values(rows, fields):
        yield _csv_line(["" if value is None else value for value in values])


def _csv_line(values: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


async def _json_lines(pane: Pane[Any], rows: Sequence[Any]) -> AsyncIterator[str]:
    """An array with one object a line."""
    fields = _fields_of(pane)
    names = [field.name.replace(" ", "_") for field in fields]
    before = "["
    async for values in _values(rows, fields):
        row = orjson.dumps(dict(zip(names, values, strict=True)), default=str)
        yield f"{before}{row.decode(errors='replace')}"
        before = ","
    yield "]" if before == "," else "[]"


async def _values(rows: Sequence[Any], fields: Sequence[Field[Any]]) -> AsyncIterator[list[object]]:
    time_slice = TimeSlice(1)
    for row in rows:
        await time_slice.yield_if_due()
        yield [_plain(field.of(row)) for field in fields]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return value


def _fields_of(pane: Pane[Any]) -> Sequence[Field[Any]]:
    """The pane's fields. A pane without fields has its lines as the only one."""
    return pane.fields or (Field("line", lambda row: pane.text_of(row)),)
