"""Reads a database of Slackdump (`slackdump archive` writes slackdump.sqlite) like an export.

Tables and columns as of https://github.com/rusq/slackdump, internal/chunk/backend/dbase/repository/migrations: each
row holds what Slack sent as JSON in DATA. A message has a row for each time that it was loaded; the row with the
greatest CHUNK_ID is the newest. MESSAGE.ID is the ts in microseconds.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote

import orjson

from tiger_slack_tui.imports.archive.members import (
    ArchiveLimits,
    ArchiveRefused,
    Listing,
    Member,
    MemberDamaged,
)
from tiger_slack_tui.imports.archive.names import from_path, shown

_MAGIC = b"SQLite format 3\0"
_BAD_RECORD = b'{"": not JSON}'
"""Takes the place of a row whose DATA is not JSON, so that the other rows can be read."""

_TABLES = {"CHUNK", "MESSAGE", "CHANNEL", "S_USER", "WORKSPACE"}
# Of chunks, TYPE_ID 0 holds messages, 1 replies in threads, 4 and 5 channels (5 with all attributes), 12 and 13
# comments on canvases.
_CHANNELS = """
select m.CHANNEL_ID, count(*), sum(length(cast(m.DATA as blob)))
from MESSAGE m
where m.CHUNK_ID = (
  select max(n.CHUNK_ID) from MESSAGE n join CHUNK d on d.ID = n.CHUNK_ID
  where n.ID = m.ID and n.CHANNEL_ID = m.CHANNEL_ID and d.TYPE_ID in (0, 1)
)
group by 1
"""
# In the order of the index: sorting would copy the whole channel.
_MESSAGES = """
select cast(m.DATA as blob)
from MESSAGE m
where m.CHANNEL_ID = ?
and m.CHUNK_ID = (
  select max(n.CHUNK_ID) from MESSAGE n join CHUNK d on d.ID = n.CHUNK_ID
  where n.ID = m.ID and n.CHANNEL_ID = m.CHANNEL_ID and d.TYPE_ID in (0, 1)
)
"""
_LISTS = {
    "users.json": """
select cast(u.DATA as blob) from S_USER u
where u.CHUNK_ID = (select max(n.CHUNK_ID) from S_USER n where n.ID = u.ID)
order by u.ID
""",
    "channels.json": """
select cast(c.DATA as blob) from CHANNEL c
where c.CHUNK_ID = (
  select n.CHUNK_ID from CHANNEL n join CHUNK d on d.ID = n.CHUNK_ID
  where n.ID = c.ID
  order by d.TYPE_ID = 5 desc, n.CHUNK_ID desc
  limit 1
)
order by c.ID
""",
    "workspace.json": """
select cast(w.DATA as blob) from WORKSPACE w
where w.ID = (select max(n.ID) from WORKSPACE n)
""",
}
_OTHERS = {
    "SEARCH_MESSAGE": ("select count(*) from SEARCH_MESSAGE", "results of a search"),
    "MESSAGE": (
        "select count(*) from MESSAGE m join CHUNK d on d.ID = m.CHUNK_ID where d.TYPE_ID not in (0, 1, 12, 13)",
        "messages of a kind that is not known",
    ),
}
_UNFINISHED = "select count(*) from SESSION s where not s.FINISHED"


@dataclass(frozen=True, slots=True)
class DatabaseKind:
    """Whether an SQLite database is one of Slackdump. `about` completes the sentence "It is …"."""

    is_slackdump: bool
    about: str


def archive_kind(path: Path) -> DatabaseKind | None:
    """The kind of an SQLite database; None if the file is not one. Blocks. Raises OSError."""
    if path.suffix.lower() not in (".sqlite", ".sqlite3", ".db"):
        return None
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return None
    try:
        with closing(_connect(path)) as connection:
            rows = connection.execute("select upper(name) from sqlite_master where type = 'table'")
            missing = sorted(_TABLES - {name for (name,) in rows})
    except sqlite3.Error as error:
        return DatabaseKind(False, f"a damaged SQLite database: {error}")
    if missing:
        about = (
            f"an SQLite database, but not one of Slackdump: it has no table {', '.join(missing)}"
        )
        return DatabaseKind(False, about)
    return DatabaseKind(True, "a database of Slackdump")


class SlackdumpSource:
    """Reads the database like a dump of Slackdump: lists, and one file for each channel, named by its id.

    The sizes of its members are estimates: rows that cannot be read make a member longer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def list(self, limits: ArchiveLimits) -> Listing:
        """List the members. Raises ArchiveRefused if the database is damaged, or a part of it is still in its log."""
        self._check_log()
        found = Listing()
        try:
            with closing(_connect(self._path)) as connection:
                for name, query in _LISTS.items():
                    sizes = [len(row[0]) for row in connection.execute(query) if row[0] is not None]
                    if sizes:
                        found.members.append(Member(name, _size(len(sizes), sum(sizes)), None))
                for channel, rows, size in connection.execute(_CHANNELS):
                    found.members.append(Member(f"{channel}.json", _size(rows, size), None))
                for table, (query, why) in _OTHERS.items():
                    if number := _value(connection, query):
                        found.left_out.append((table, f"{number:,} {why}"))
                if number := _value(connection, _UNFINISHED):
                    found.warnings.append(
                        f"Slackdump did not finish {number:,} of its runs: messages may be missing."
                    )
        except sqlite3.Error as error:
            raise ArchiveRefused(
                f"{self._shown} is damaged: {error}.",
                hint="`slackdump convert -f export` may still save it as a folder.",
            ) from None
        found.members.sort(key=lambda member: member.path)
        return found

    def open(self, member: Member) -> IO[bytes]:
        path = member.name or member.path
        query = _LISTS.get(path)
        rows = self._rows(query) if query else self._rows(_MESSAGES, path.removesuffix(".json"))
        # workspace.json holds one object, the others arrays.
        return cast(IO[bytes], _Stream(rows if path == "workspace.json" else _array(rows)))

    def _rows(self, query: str, *values: Any) -> Iterator[bytes]:
        try:
            with closing(_connect(self._path)) as connection:
                for (data,) in connection.execute(query, values):
                    yield data if data is not None and _is_json(data) else _BAD_RECORD
        except sqlite3.Error:
            raise MemberDamaged from None

    def _check_log(self) -> None:
        log = Path(f"{self._path}-wal")
        if log.exists() and log.stat().st_size:
            raise ArchiveRefused(
                f"A part of {self._shown} is still in its log, {shown(log.name)}.",
                hint="Wait for Slackdump to end. If the log stays, run: sqlite3 FILE 'pragma wal_checkpoint'",
            )

    @property
    def _shown(self) -> str:
        return shown(from_path(self._path))


class _Stream(io.BufferedIOBase):
    """Parts as one stream of bytes. It keeps no more in memory than one read needs."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._kept = bytearray()
        self._position = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        while wanted < 0 or len(self._kept) < wanted:
            if (part := next(self._parts, None)) is None:
                break
            self._kept += part
        end = len(self._kept) if wanted < 0 else wanted
        block = bytes(self._kept[:end])
        del self._kept[:end]
        self._position += len(block)
        return block

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if (close := getattr(self._parts, "close", None)) is not None:
            close()
        super().close()


def _connect(path: Path) -> sqlite3.Connection:
    # Without lock files beside the database: an archive may be on a read-only disk.
    name = quote(os.fsencode(path.resolve()))
    return sqlite3.connect(f"file:{name}?mode=ro&immutable=1", uri=True)


def _array(rows: Iterator[bytes]) -> Iterator[bytes]:
    mark = b"["
    for row in rows:
        yield mark + row
        mark = b","
    yield b"[]" if mark == b"[" else b"]"


def _size(rows: int, size: int) -> int:
    return size + rows + 1


def _value(connection: sqlite3.Connection, query: str) -> int:
    try:
        return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # an older version has no such table
        return 0


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except ValueError:
        try:
            json.loads(data)  # accepts what can be repaired: lone surrogates, NaN
        except (ValueError, RecursionError):
            return False
    return True
