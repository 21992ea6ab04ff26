"""The columnstore of the hypertables: what is in it and what waits for it. Runs its policy after a large import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString

from psycopg.sql import SQL, Identifier

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows
from tiger_slack_tui.postgres.timescale import find_timescaledb

_POLICY = """
select j.job_id
from timescaledb_information.jobs j
where j.proc_name in ('policy_compression', 'policy_columnstore')
and j.hypertable_schema = 'slack'
and j.hypertable_name = 'message'
"""
# A chunk in the columnstore that was written to since has rows outside of it (8) or out of order (2). The policy
# converts it again. The bits: chunk_status in TimescaleDB's src/ts_catalog/chunk.h.
_CHUNKS: LiteralString = """
with policy as materialized
( select j.hypertable_name
  , (j.config ->> 'compress_after')::interval as after
  , s.last_run_status = 'Failed' as has_failed
  from timescaledb_information.jobs j
  left join timescaledb_information.job_stats s on s.job_id = j.job_id
  where j.proc_name in ('policy_compression', 'policy_columnstore')
  and j.hypertable_schema = 'slack'
)
select c.hypertable_name::text as hypertable
, count(*) as chunks
, count(*) filter (where c.is_compressed) as converted
, count(*) filter
  ( where p.after is not null
    and c.range_end < now() - p.after
    and _timescaledb_functions.chunk_status(format('%I.%I', c.chunk_schema, c.chunk_name)::regclass) & 11 <> 1
  ) as waiting
, coalesce(bool_or(p.has_failed), false) as has_failed
from timescaledb_information.chunks c
left join policy p on p.hypertable_name = c.hypertable_name
where c.hypertable_schema = 'slack'
group by c.hypertable_name
order by c.hypertable_name
"""


@dataclass(frozen=True, slots=True)
class ChunkCounts:
    """The chunks of a hypertable."""

    hypertable: str
    chunks: int
    converted: int
    """Chunks in the columnstore, with those that were written to since."""
    waiting: int
    """Chunks that the policy has to convert, for the first time or again; 0 if there is no policy."""
    has_failed: bool
    """Whether the policy's last run failed."""


async def chunk_counts(connection: Connection) -> list[ChunkCounts]:
    """The chunks of each hypertable of the schema slack. The database must have TimescaleDB."""
    return await fetch_rows(connection, ChunkCounts, _CHUNKS)


async def compress(connection: Connection, on_start: Callable[[], None]) -> None:
    """Compress the old chunks of slack.message, if TimescaleDB has a policy for that. Can take minutes.

    `on_start` is called before the work begins. The connection must not be in a transaction. Raises psycopg.Error;
    the policy then compresses the chunks at its next run.
    """
    timescaledb = await find_timescaledb(connection)
    if timescaledb is None:
        return
    policy = await (await connection.execute(_POLICY)).fetchone()
    if policy is None:
        return
    on_start()
    await connection.execute(
        SQL("call {}.run_job(%s)").format(Identifier(timescaledb.schema)), policy
    )
