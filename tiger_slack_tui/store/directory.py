"""slack."user" and slack.channel: merges users and channels as Slack lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Literal, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.postgres.failures import is_unavailable
from tiger_slack_tui.postgres.queries import fetch_value

_ROWS = 100
"""Rows of a transaction. A live event about one of them waits until it ends."""

_CLOCK_MARGIN = 60.0
"""Seconds by which the time of a list can be wrong. An event of the last minute wins over a list."""

DirectoryKind = Literal["user", "channel"]
"""What a list of Slack contains."""

_UPSERT: dict[DirectoryKind, LiteralString] = {
    "user": "select count(*) filter (where slack.upsert_user(jsonb_build_object('user', u)))"
    " from jsonb_array_elements(%s) u",
    "channel": "select count(*) filter (where slack.upsert_channel(jsonb_build_object('channel', c - 'is_member')))"
    " from jsonb_array_elements(%s) c",
}
# Only a list that the app itself asked for says whether the app is a member.
_UPSERT_LISTED: LiteralString = (
    "select count(*) filter (where slack.upsert_channel(jsonb_build_object('channel', c, 'listed_at', %s::text)))"
    " from jsonb_array_elements(%s) c"
)


@dataclass(slots=True)
class UpsertResult:
    """What became of the rows."""

    changed: int = 0
    bad_rows: list[dict[str, str]] = field(default_factory=list)
    """Rows that PostgreSQL refused, as {"id", "sqlstate"}."""


def list_time(asked_at: float) -> str:
    """The time of a list as `upsert` takes it. Slack was asked for it then, in seconds since 1970 by its clock."""
    return f"{asked_at - _CLOCK_MARGIN:.6f}"


async def upsert(
    connection: Connection,
    kind: DirectoryKind,
    rows: Sequence[Mapping[str, Any]],
    *,
    listed_at: str | None = None,
) -> UpsertResult:
    """Merge users or channels, as Slack lists them, into the table. A refused row does not affect the others.

    `listed_at` is Slack's ts of the time of a list of channels that Slack gave to the app: `is_member` is then about
    the app. It is None for other lists.

    Commits after every 100 rows. Raises psycopg.Error if the database cannot be used.
    """
    result = UpsertResult()
    # Every transaction that locks several of these rows does it in this order, so that none meets a deadlock.
    ordered = iter(sorted(rows, key=lambda row: str(row.get("id"))))
    while batch := list(islice(ordered, _ROWS)):
        try:
            result.changed += await retry_deadlocks(
                partial(_upsert, connection, kind, batch, listed_at)
            )
        except psycopg.Error as error:
            if is_unavailable(error) or connection.broken:
                raise
            await _upsert_singly(connection, kind, batch, listed_at, result)
    return result


async def _upsert_singly(
    connection: Connection,
    kind: DirectoryKind,
    rows: Sequence[Mapping[str, Any]],
    listed_at: str | None,
    result: UpsertResult,
) -> None:
    for row in rows:
        try:
            result.changed += await retry_deadlocks(
                partial(_upsert, connection, kind, [row], listed_at)
            )
        except psycopg.Error as error:
            if is_unavailable(error) or connection.broken:
                raise
            reason = error.sqlstate or type(error).__name__
            result.bad_rows.append({"id": str(row.get("id"))[:40], "sqlstate": reason})


async def _upsert(
    connection: Connection,
    kind: DirectoryKind,
    rows: Sequence[Mapping[str, Any]],
    listed_at: str | None,
) -> int:
    if kind == "channel" and listed_at is not None:
        return int(await fetch_value(connection, _UPSERT_LISTED, (listed_at, Jsonb(rows))))
    return int(await fetch_value(connection, _UPSERT[kind], (Jsonb(rows),)))
