"""Reads what the database knows about itself: sessions, sizes, settings. No query here blocks other sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

from tiger_slack_tui.postgres.columnstore import ChunkCounts, chunk_counts
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_row, fetch_rows
from tiger_slack_tui.postgres.timescale import TimescaleDB, fetch_hypertables

_SESSIONS: LiteralString = """
select a.pid
, coalesce(a.application_name, '') as application_name
, coalesce(host(a.client_addr), 'local') as host
, coalesce(a.state, '') as state
, coalesce(a.wait_event_type || ':' || a.wait_event, '-') as wait
, extract(epoch from now() - coalesce(a.state_change, a.backend_start))::float8 as seconds
, left(coalesce(a.query, ''), 300) as query
from pg_stat_activity a
where a.datname = current_database()
and a.pid <> pg_backend_pid()
and a.backend_type = 'client backend'
order by a.state = 'active' desc, a.application_name, a.pid
limit 200
"""
_TABLES: LiteralString = """
select c.relname::text as name
, case
  when c.reltuples > 0 then c.reltuples
  else coalesce(pg_stat_get_live_tuples(c.oid), 0) -- never analyzed, so use the counters of the statistics
  end::int8 as rows
, pg_total_relation_size(c.oid)::int8 as bytes
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'slack'
and c.relkind = 'r'
order by 3 desc, 1
"""
_INSTANCES: LiteralString = """
select distinct a.application_name
from pg_stat_activity a
where a.datname = current_database()
and a.application_name ~ '^.+@.+:[0-9]+$'
order by 1
"""
_RIGHTS: LiteralString = """
select current_user::text as role
, has_database_privilege(current_database(), 'create') as may_create
, (select n.nspowner::regrole::text from pg_namespace n where n.nspname = 'slack') as owner
, coalesce((select pg_has_role(n.nspowner, 'usage') from pg_namespace n where n.nspname = 'slack'), false) as is_owner
, coalesce(has_table_privilege(to_regclass('slack.message'), 'insert, update, delete'), false) as may_ingest
"""
_UNSAFE: LiteralString = """
select s.name
from pg_settings s
where s.name in ('fsync', 'full_page_writes')
and s.setting = 'off'
order by 1
"""
# A statement on a hypertable can lock each chunk, its compressed chunk, and the indexes of both. For the size of the
# server's table of locks see https://www.postgresql.org/docs/current/runtime-config-locks.html.
_CHUNK_LOCKS: LiteralString = """
with chunk as
( select t.name, i.inhrelid as id
  from unnest(%s::text[]) t (name)
  join pg_inherits i on i.inhparent = format('slack.%%I', t.name)::regclass
)
, taken as
( select c.name
  , count(*) as chunks
  , sum(1 + (select count(*) from pg_index x where x.indrelid = c.id)) as locks
  from chunk c
  group by c.name
)
select t.chunks
, t.locks::int8
, current_setting('max_locks_per_transaction')::int8
, current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8
from taken t
order by t.locks desc
limit 1
"""
_FIRST_ROWS: LiteralString = """
select count(*) from (select 1 from slack.{} limit {}) r
"""
_HYPERTABLE: LiteralString = """
select {}.hypertable_size(h.table_name)
, greatest
  ( {}.approximate_row_count(h.table_name) -- 0 before the first analyze
  , ( select sum(pg_stat_get_live_tuples(i.inhrelid)) from pg_inherits i where i.inhparent = h.table_name )
  )::int8
from (select format('slack.%%I', %s::text)::regclass as table_name) h
"""
_COLUMNSTORE: LiteralString = """
select sum(s.before_compression_total_bytes)::int8, sum(s.after_compression_total_bytes)::int8
from {}.hypertable_compression_stats(format('slack.%%I', %s::text)::regclass) s
"""


COUNTED_ROWS = 10_000
"""The most rows of a table that are counted. PostgreSQL's estimate is 0 for tables that were filled after the last
analyze, and for all tables after a crash."""


@dataclass(frozen=True, slots=True)
class Session:
    """Another session of this database. `seconds` says how long it has been in its state."""

    pid: int
    application_name: str
    host: str
    state: str
    wait: str
    seconds: float
    query: str


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table with its indexes."""

    name: str
    rows: int
    """The exact number up to `COUNTED_ROWS`. Above it: PostgreSQL's estimate, at least `COUNTED_ROWS` + 1."""
    bytes: int
    chunks: int = 0
    """Number of chunks of a hypertable."""
    compressed: int = 0
    """Chunks in the columnstore."""
    waiting: int = 0
    """Chunks that the columnstore policy has to convert, for the first time or again."""
    bytes_before: int | None = None
    """Size of the compressed chunks before their compression; None if that is not known."""
    bytes_after: int | None = None
    """Their size now."""


@dataclass(frozen=True, slots=True)
class ChunkLocks:
    """The locks that a statement on the largest hypertable takes, and the locks that the server has room for."""

    chunks: int
    needed: int
    per_session: int
    sessions: int

    @property
    def room(self) -> int:
        """Number of locks that the server's table can hold for all sessions together."""
        return self.per_session * self.sessions


@dataclass(frozen=True, slots=True)
class SchemaRights:
    """What our role may do with the schema slack."""

    role: str
    may_create: bool
    """Whether it may create the schema."""
    owner: str | None
    """The schema's owner; None if there is no schema yet."""
    is_owner: bool
    """Whether our role has the rights of the owner."""
    may_ingest: bool
    """Whether our role may store messages, if the schema is current."""


async def ping(connection: Connection) -> None:
    """Run the shortest query. Raises psycopg.Error."""
    await connection.execute("select 1")


async def schema_rights(connection: Connection) -> SchemaRights:
    """What our role may do with the schema slack."""
    found = await fetch_row(connection, SchemaRights, _RIGHTS)
    assert found is not None  # noqa: S101 for the types
    return found


async def connected_instances(connection: Connection) -> list[str]:
    """The names of the instances that are connected to this database: SERVICE_NAME@HOST:PID."""
    return [row[0] for row in await (await connection.execute(_INSTANCES)).fetchall()]


async def unsafe_settings(connection: Connection) -> list[str]:
    """The settings that are off although a crash can then lose commits or damage data."""
    return [row[0] for row in await (await connection.execute(_UNSAFE)).fetchall()]


async def chunk_locks(connection: Connection) -> ChunkLocks | None:
    """The locks of the largest hypertable; None if there are no chunks."""
    names = await fetch_hypertables(connection)
    row = await (await connection.execute(_CHUNK_LOCKS, (names,))).fetchone() if names else None
    return ChunkLocks(*row) if row else None


async def sessions(connection: Connection) -> list[Session]:
    """The other sessions of this database, active ones first. What our role may not see is empty."""
    return await fetch_rows(connection, Session, _SESSIONS)


async def table_sizes(connection: Connection, timescaledb: TimescaleDB | None) -> list[TableSize]:
    """The tables of the schema slack, the largest first. A hypertable includes its chunks."""
    sizes = await fetch_rows(connection, TableSize, _TABLES)
    if timescaledb is None:
        return [await _with_count(connection, size) for size in sizes]
    chunks = {counts.hypertable: counts for counts in await chunk_counts(connection)}
    whole = [
        await _hypertable(connection, size, timescaledb.schema, chunks[size.name])
        if size.name in chunks
        else size
        for size in sizes
    ]
    whole = [await _with_count(connection, size) for size in whole]
    return sorted(whole, key=lambda size: -size.bytes)


async def _hypertable(
    connection: Connection, size: TableSize, schema: str, counts: ChunkCounts
) -> TableSize:
    name = Identifier(schema)
    row = await (
        await connection.execute(SQL(_HYPERTABLE).format(name, name), (size.name,))
    ).fetchone()
    total, rows = row or (size.bytes, size.rows)
    before = after = None
    if counts.converted:
        try:
            stats = await connection.execute(SQL(_COLUMNSTORE).format(name), (size.name,))
            before, after = await stats.fetchone() or (None, None)
        except psycopg.errors.FeatureNotSupported:
            pass  # the Apache edition does not compress
    return TableSize(
        size.name,
        rows or 0,
        total or 0,
        counts.chunks,
        counts.converted,
        counts.waiting,
        before,
        after,
    )


async def _with_count(connection: Connection, size: TableSize) -> TableSize:
    """The table with its number of rows counted, as far as `COUNTED_ROWS`."""
    if size.rows > COUNTED_ROWS:
        return size
    question = SQL(_FIRST_ROWS).format(Identifier(size.name), COUNTED_ROWS + 1)
    try:
        row = await (await connection.execute(question)).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return size
    [counted] = row or (0,)
    return replace(size, rows=counted if counted <= COUNTED_ROWS else max(size.rows, counted))
