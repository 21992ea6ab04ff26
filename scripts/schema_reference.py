"""Writes docs/schema.md from the comments of the database: python scripts/schema_reference.py"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.schema_comments import (
    ColumnComment,
    FunctionComment,
    column_comments,
    reader_functions,
)

TARGET = Path(__file__).parent.parent / "docs" / "schema.md"
_INTRODUCTION = """\
# Schema reference

The tables and functions of the schema `slack`, for programs that read them. The texts are the comments of the
database itself: `\\d+ slack.message` in psql shows them, and the MCP server gives them to AI clients. This page is
made by `just schema-reference`; a test compares it with a migrated database. [Security](security.md#roles) tells
which roles may read what.
"""


async def reference(connection: Connection) -> str:
    """The page, from the comments of a migrated database."""
    columns, functions = await column_comments(connection), await reader_functions(connection)
    return "\n".join([_INTRODUCTION, *_tables(columns), *_functions(functions)])


def _tables(columns: list[ColumnComment]) -> Iterator[str]:
    for (table, comment), rows in groupby(columns, key=lambda row: (row.table, row.table_comment)):
        yield f"## slack.{table}\n\n{comment or ''}\n"
        yield "| Column | Type | Meaning |\n|---|---|---|"
        for row in rows:
            yield f"| `{row.column}` | {row.type} | {_cell(row.comment)} |"
        yield ""


def _functions(functions: list[FunctionComment]) -> Iterator[str]:
    yield "## Functions for readers\n\n| Function | Result | What it gives |\n|---|---|---|"
    for function in functions:
        arguments = _cell(function.arguments)
        yield f"| `slack.{function.name}({arguments})` | {_cell(function.result)} | {_cell(function.comment)} |"
    yield ""


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


async def _write(conninfo: str) -> None:
    await migrate(conninfo)
    async with await connect(conninfo) as connection:
        TARGET.write_text(await reference(connection))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)
        with EmbeddedPostgres.start(Path(directory) / "postgres") as server:
            asyncio.run(_write(server.conninfo))
