"""Writes the binary format of COPY. The server need not parse text, and nothing has to be escaped.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". A row is the number of its cells, then the
cells. A cell is the number of its bytes, then the bytes. Numbers are in network byte order.
"""

from __future__ import annotations

import asyncio
import struct
from binascii import unhexlify
from collections.abc import Iterable, Sequence
from typing import Any, LiteralString

import orjson

from tiger_slack_tui.postgres.connection import Connection

_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_POSTGRES_EPOCH = 946_684_800_000_000
"""Microseconds from 1970 to 2000, the epoch of PostgreSQL."""

_LAST_SECONDS = 1.0
"""How long a COPY goes on after its cancellation. One of a page of messages takes milliseconds."""

NULL = b"\xff\xff\xff\xff"
"""A cell that is NULL."""
TRUE, FALSE = b"\0\0\0\1\1", b"\0\0\0\1\0"

_count = struct.Struct("!i").pack
_time = struct.Struct("!iq").pack
_json = struct.Struct("!ib").pack
row_of = struct.Struct("!h").pack
"""The beginning of a row, of a number of cells."""


def _copy_data(rows: Iterable[bytes]) -> bytes:
    """The data of a whole COPY."""
    return b"".join((_BEGIN, *rows, _END))


async def copy_rows(
    connection: Connection, statement: LiteralString, rows: Sequence[bytes]
) -> None:
    """Run a COPY of these rows; nothing without rows.

    A cancellation is raised after the COPY, or after a second if the COPY waits for a lock. psycopg 3.3 leaves the
    connection unusable if it is cancelled while a COPY begins, and the end of the work could not be recorded.
    """
    if not rows:
        return
    copying = asyncio.ensure_future(_copy(connection, statement, rows))
    try:
        await asyncio.shield(copying)
    except asyncio.CancelledError:
        await asyncio.wait({copying}, timeout=_LAST_SECONDS)
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)
        raise


async def _copy(connection: Connection, statement: LiteralString, rows: Sequence[bytes]) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(_copy_data(rows))


def text_cell(value: Any) -> bytes:
    """A cell of type text; NULL if the value is not a string, as in slack.text_of()."""
    if value.__class__ is not str:
        return NULL
    content = value.encode()
    return _count(len(content)) + content


def json_cell(value: Any) -> bytes:
    """A cell of type jsonb. Raises TypeError if the value is nested too deeply."""
    return written_json_cell(orjson.dumps(value))


def written_json_cell(content: bytes) -> bytes:
    """A cell of type jsonb, from JSON."""
    return _json(len(content) + 1, 1) + content  # the format has a version, 1


def bool_cell(value: Any) -> bytes:
    """A cell of type bool; NULL if the value is not a bool."""
    return (TRUE if value else FALSE) if isinstance(value, bool) else NULL


def uuid_cell(value: Any) -> bytes:
    """A cell of type uuid; NULL if the value is not a UUID."""
    # Some clients of Slack omit the hyphens. A regular expression would take twice as long.
    if not isinstance(value, str):
        return NULL
    if not (len(value) == 36 and value[8:24:5] == "----") and len(value) != 32:
        return NULL
    try:
        content = unhexlify(value.replace("-", ""))
    except ValueError:
        return NULL
    return _count(16) + content if len(content) == 16 else NULL


def time_cell(micros: int) -> bytes:
    """A cell of type timestamptz, from microseconds since 1970."""
    return _time(8, micros - _POSTGRES_EPOCH)
