"""Helpers for queries: the value of a query, its rows as objects, and JSON parameters."""

from __future__ import annotations

from typing import Any, LiteralString, TypeVar

import orjson
from psycopg.rows import class_row
from psycopg.sql import Composed

from tiger_slack_tui.postgres.connection import Connection

T = TypeVar("T")


async def fetch_value(
    connection: Connection,
    query: LiteralString | Composed,
    values: Any = None,
    *,
    prepare: bool | None = None,
) -> Any:
    """The first column of the first row; None if there is no row. `prepare` is as in psycopg's `execute`."""
    row = await (await connection.execute(query, values, prepare=prepare)).fetchone()
    return row[0] if row else None


async def fetch_rows(
    connection: Connection,
    row_type: type[T],
    query: LiteralString | Composed,
    values: Any = None,
) -> list[T]:
    """The rows as objects: `row_type` takes the columns by name.

    The query is not prepared, because the best plan depends on the values.
    """
    async with connection.cursor(row_factory=class_row(row_type)) as cursor:
        await cursor.execute(query, values, prepare=False)
        return await cursor.fetchall()


async def fetch_row(
    connection: Connection,
    row_type: type[T],
    query: LiteralString | Composed,
    values: Any = None,
) -> T | None:
    """The first row as an object; None if there is none. As `fetch_rows`."""
    found = await fetch_rows(connection, row_type, query, values)
    return found[0] if found else None


def to_json(value: Any) -> str:
    """The value as JSON, for a parameter of type jsonb. Raises TypeError if it is nested too deeply."""
    return orjson.dumps(value).decode()


async def ping(connection: Connection) -> None:
    """Ask the database for nothing. Raises psycopg.Error if it does not answer."""
    await connection.execute("select")
