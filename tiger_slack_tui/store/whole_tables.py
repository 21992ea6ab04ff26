"""Reads whole tables, and counts their rows: for small databases, such as the demo's and the tests'."""

from __future__ import annotations

from typing import Any, Literal, LiteralString

from psycopg.rows import dict_row

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_value

Table = Literal["user", "channel", "message", "reaction", "tombstone", "event"]

_FROM: dict[Table, LiteralString] = {
    "user": 'from slack."user"',
    "channel": "from slack.channel",
    "message": "from slack.message",
    "reaction": "from slack.reaction",
    "tombstone": "from slack.tombstone",
    "event": "from slack.event",
}


async def fetch_table(connection: Connection, table: Table) -> list[dict[str, Any]]:
    """All rows of the table, as {column: value}."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("select * " + _FROM[table])
        return await cursor.fetchall()


async def count_rows(connection: Connection) -> dict[str, int]:
    """The number of rows of each table."""
    counts: dict[str, int] = {}
    for table, source in _FROM.items():
        counts[table] = await fetch_value(connection, "select count(*) " + source)
    return counts
