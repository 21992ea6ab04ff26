"""The binary format of COPY: it spares the server the reading of text, and us the escaping.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". A row is the number of its cells and the
cells, a cell the number of its bytes and the bytes, in network order.
"""

from __future__ import annotations

import struct
from binascii import unhexlify
from collections.abc import Iterable
from typing import Any

import orjson

_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_POSTGRES_EPOCH = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL's times begin."""

NULL = b"\xff\xff\xff\xff"
"""A cell that is NULL."""
TRUE, FALSE = b"\0\0\0\1\1", b"\0\0\0\1\0"

_count = struct.Struct("!i").pack
_time = struct.Struct("!iq").pack
_json = struct.Struct("!ib").pack
row_of = struct.Struct("!h").pack
"""What a row of so many cells begins with."""


def copy_data(rows: Iterable[bytes]) -> bytes:
    """All that COPY is sent."""
    return b"".join((_BEGIN, *rows, _END))


def text_cell(value: Any) -> bytes:
    """A cell of type text; NULL of what is no string, as slack.text_of() has it."""
    if value.__class__ is not str:
        return NULL
    content = value.encode()
    return _count(len(content)) + content


def json_cell(value: Any) -> bytes:
    """A cell of type jsonb. Raises TypeError where the value is nested too deeply."""
    return written_json_cell(orjson.dumps(value))


def written_json_cell(content: bytes) -> bytes:
    """A cell of type jsonb, of JSON."""
    return _json(len(content) + 1, 1) + content  # the format has a version, 1


def bool_cell(value: Any) -> bytes:
    """A cell of type bool; NULL of what is none."""
    return (TRUE if value else FALSE) if isinstance(value, bool) else NULL


def uuid_cell(value: Any) -> bytes:
    """A cell of type uuid; NULL of what is none."""
    # Some clients of Slack leave the hyphens out. A pattern would take twice as long.
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
    """A cell of type timestamptz; of microseconds since 1970."""
    return _time(8, micros - _POSTGRES_EPOCH)
