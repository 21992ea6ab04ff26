"""Helpers for queries: the value of a query, and JSON parameters."""

from __future__ import annotations

from typing import Any, LiteralString

import orjson
from psycopg.sql import Composed

from tiger_slack_tui.postgres.connection import Connection


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


def to_json(value: Any) -> str:
    """The value as JSON, for a parameter of type jsonb. Raises TypeError if it is nested too deeply."""
    return orjson.dumps(value).decode()
