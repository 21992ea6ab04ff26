"""Brings what Slack lists into slack."user" and slack.channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Literal, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import past_deadlocks
from tiger_slack_tui.postgres.failures import is_unavailable

_ROWS = 100
"""Rows of a transaction: a live event about one of them waits no longer than that."""

_UPSERT: dict[str, LiteralString] = {
    "user": "select count(*) filter (where slack.upsert_user(jsonb_build_object('user', u)))"
    " from jsonb_array_elements(%s) u",
    "channel": "select count(*) filter (where slack.upsert_channel(jsonb_build_object('channel', c)))"
    " from jsonb_array_elements(%s) c",
}


@dataclass(slots=True)
class Applied:
    """What became of rows."""

    changed: int = 0
    bad_rows: list[dict[str, str]] = field(default_factory=list)
    """Rows that the database refused: id and SQLSTATE."""


async def upsert(
    connection: Connection,
    kind: Literal["user", "channel"],
    rows: Sequence[Mapping[str, Any]],
) -> Applied:
    """Merge users or channels, as Slack lists them, into the table; a row that is refused harms no other.

    The connection commits by itself. Raises psycopg.Error where the database is away.
    """
    applied = Applied()
    # Everybody who locks several of the rows does it in this order.
    ordered = iter(sorted(rows, key=lambda row: str(row.get("id"))))
    while batch := list(islice(ordered, _ROWS)):
        try:
            applied.changed += await past_deadlocks(partial(_upsert, connection, kind, batch))
        except psycopg.Error as error:
            if is_unavailable(error) or connection.broken:
                raise
            await _upsert_singly(connection, kind, batch, applied)
    return applied


async def _upsert_singly(
    connection: Connection,
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    applied: Applied,
) -> None:
    for row in rows:
        try:
            applied.changed += await past_deadlocks(partial(_upsert, connection, kind, [row]))
        except psycopg.Error as error:
            if is_unavailable(error) or connection.broken:
                raise
            reason = error.sqlstate or type(error).__name__
            applied.bad_rows.append({"id": str(row.get("id"))[:40], "sqlstate": reason})


async def _upsert(connection: Connection, kind: str, rows: Sequence[Mapping[str, Any]]) -> int:
    cursor = await connection.execute(_UPSERT[kind], (Jsonb(rows),))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
