"""Finds TimescaleDB in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from tiger_slack_tui.postgres.connection import Connection

_EXTENSION: LiteralString = """
select e.extversion, n.nspname, coalesce(current_setting('timescaledb.license', true), 'apache')
from pg_extension e
join pg_namespace n on n.oid = e.extnamespace
where e.extname = 'timescaledb'
"""
_HYPERTABLES: LiteralString = """
select h.hypertable_name::text
from timescaledb_information.hypertables h
where h.hypertable_schema = 'slack'
"""


@dataclass(frozen=True, slots=True)
class TimescaleDB:
    """The extension. `edition` is community or Apache; its functions are in `schema`."""

    version: str
    edition: str
    schema: str


async def find_timescaledb(connection: Connection) -> TimescaleDB | None:
    """The extension in this database; None on plain PostgreSQL. Raises psycopg.Error."""
    row = await (await connection.execute(_EXTENSION)).fetchone()
    if row is None:
        return None
    version, schema, license_ = row
    return TimescaleDB(version, "community" if license_ == "timescale" else "Apache", schema)


async def fetch_hypertables(connection: Connection) -> list[str]:
    """The names of the hypertables of the schema slack. Raises psycopg.Error."""
    if await find_timescaledb(connection) is None:
        return []
    return [row[0] for row in await (await connection.execute(_HYPERTABLES)).fetchall()]
