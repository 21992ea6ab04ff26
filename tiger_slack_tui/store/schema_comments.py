"""The tables of the schema slack as their comments describe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows

_COLUMNS: LiteralString = """
select c.relname as table, obj_description(c.oid, 'pg_class') as table_comment, a.attname as column
, format_type(a.atttypid, a.atttypmod) as type, col_description(c.oid, a.attnum) as comment
from pg_class c
join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = 'slack'::regnamespace
and c.relkind in ('r', 'p', 'v', 'm')
and a.attnum > 0
and not a.attisdropped
order by c.relname, a.attnum
"""


_FUNCTIONS: LiteralString = """
select p.proname as name, pg_get_function_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result
, obj_description(p.oid, 'pg_proc') as comment
from pg_proc p
where p.pronamespace = 'slack'::regnamespace
and p.proname ~ '^(find|search)_(user|channel)_by_|^get_(thread|channel)_|^get_(messages|activity)$'
order by p.proname, p.oid
"""


@dataclass(frozen=True, slots=True)
class ColumnComment:
    """A column of a table of the schema slack."""

    table: str
    table_comment: str | None
    column: str
    type: str
    comment: str | None


async def column_comments(connection: Connection) -> list[ColumnComment]:
    """All columns of the schema's tables and views, by table."""
    return await fetch_rows(connection, ColumnComment, _COLUMNS)


@dataclass(frozen=True, slots=True)
class FunctionComment:
    """A function of the schema slack that is made for readers."""

    name: str
    arguments: str
    result: str
    comment: str | None


async def reader_functions(connection: Connection) -> list[FunctionComment]:
    """The functions for readers, by name."""
    return await fetch_rows(connection, FunctionComment, _FUNCTIONS)
