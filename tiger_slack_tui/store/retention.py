"""Deletes old rows in small batches. The retention job decides which rows are old.

A delete leaves out rows that another transaction has locked. So it waits only for a replay, and cannot deadlock.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, LiteralString, NamedTuple

from psycopg.sql import SQL, Identifier

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.lock_keys import REPLAY_LOCK_KEY
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value
from tiger_slack_tui.postgres.timescale import TimescaleDB

_POLICY: LiteralString = """
select max((j.config ->> 'drop_after')::interval)
from timescaledb_information.jobs j
where j.proc_name = 'policy_retention'
and j.hypertable_schema = 'slack'
and j.hypertable_name = 'event'
and j.scheduled
"""
_OLD_CHUNKS: LiteralString = """
select c.chunk_schema as schema, c.chunk_name as name, c.range_start, c.range_end
from timescaledb_information.chunks c
where c.hypertable_schema = 'slack'
and c.hypertable_name = 'event'
and c.range_end < now() - %s
order by c.range_start
"""
# A replay writes the rows of events anew: no event may be deleted meanwhile.
_NO_REPLAY = "select pg_advisory_xact_lock_shared(%s)"
_LOCK_CHUNK = SQL("lock table {} in share row exclusive mode")
_IS_NEEDED = SQL("select exists (select from {} where received_at >= now() - %s)")
_DROP_CHUNK = SQL(
    "select count(*) from {}.drop_chunks('slack.event', newer_than => %s, older_than => %s)"
)

OldTable = Literal["event", "delivery", "reaction", "job_run", "connection", "instance", "gap"]
"""The tables of the schema slack whose old rows are deleted."""
_DELETE: dict[OldTable, LiteralString] = {
    # Its age counts from its time or its receipt, whichever is later.
    "event": """
delete from slack.event e
where (e.event_ts, e.id) in
( select o.event_ts, o.id
  from slack.event o
  where o.event_ts < now() - %(age)s
  and o.received_at < now() - %(age)s
  order by o.event_ts
  limit %(rows)s
  for update skip locked
)
""",
    # From the event's time or the last delivery, whichever is later.
    "delivery": """
delete from slack.delivery d
where d.ctid = any (array
( select o.ctid
  from slack.delivery o
  where o.received_at < now() - %(age)s
  and o.last_received_at < now() - %(age)s
  and o.event_ts < now() - %(age)s
  limit %(rows)s
  for update skip locked
))
""",
    # From the deletion of its message. Reactions to other messages stay.
    "reaction": """
delete from slack.reaction r
where r.ctid = any (array
( select o.ctid
  from slack.tombstone t
  join slack.reaction o on o.channel_id = t.channel_id and o.ts = t.ts
  where t.deleted_at < now() - %(age)s
  limit %(rows)s
  for update of o skip locked
))
""",
    # From its start.
    "job_run": """
delete from slack.job_run r
where r.id in
( select o.id
  from slack.job_run o
  where o.started_at < now() - %(age)s
  limit %(rows)s
  for update skip locked
)
""",
    # From when it was last seen. The newest connection of each workspace stays.
    "connection": """
delete from slack.connection c
where c.id in
( select o.id
  from slack.connection o
  join slack.instance i on i.id = o.instance_id
  where o.seen_at < now() - %(age)s
  and o.is_judged
  and exists
  ( select
    from slack.connection n
    join slack.instance j on j.id = n.instance_id
    where j.team_id is not distinct from i.team_id
    and n.is_judged
    and n.seen_at > o.seen_at
  )
  limit %(rows)s
  for update of o skip locked
)
""",
    # From its last heartbeat. An instance with a connection stays.
    "instance": """
delete from slack.instance i
where i.id in
( select o.id
  from slack.instance o
  where o.last_seen_at < now() - %(age)s
  and not exists (select from slack.connection c where c.instance_id = o.id)
  limit %(rows)s
  for update skip locked
)
""",
    # From its closing. An open gap stays.
    "gap": """
delete from slack.gap g
where g.id in
( select o.id
  from slack.gap o
  where o.closed_at < now() - %(age)s
  limit %(rows)s
  for update skip locked
)
""",
}


class Chunk(NamedTuple):
    """A chunk of slack.event, and the times of the events that it can hold."""

    schema: str
    name: str
    range_start: datetime
    range_end: datetime


async def event_policy_age(connection: Connection) -> timedelta | None:
    """The age at which TimescaleDB's retention policy drops events; None without a policy.

    Call it only if TimescaleDB is installed. Its Apache edition has no policies.
    """
    age: timedelta | None = await fetch_value(connection, _POLICY)
    return age


async def drop_old_chunks(connection: Connection, timescaledb: TimescaleDB, age: timedelta) -> None:
    """Drop the chunks of slack.event in which every event is older than `age` and was received that long ago."""
    chunks = await fetch_rows(connection, Chunk, _OLD_CHUNKS, (age,))
    drop = _DROP_CHUNK.format(Identifier(timescaledb.schema))
    for chunk in chunks:
        name = Identifier(chunk.schema, chunk.name)
        async with connection.transaction():
            await connection.execute(_NO_REPLAY, (REPLAY_LOCK_KEY,))
            # The lock keeps others from adding an event to the chunk until it is dropped.
            await connection.execute(_LOCK_CHUNK.format(name))
            if not await fetch_value(connection, _IS_NEEDED.format(name), (age,)):
                await connection.execute(drop, (chunk.range_start, chunk.range_end))


async def delete_old(connection: Connection, table: OldTable, age: timedelta, rows: int) -> int:
    """Delete at most `rows` rows of the table that are older than `age`, and return how many.

    `_DELETE` says from when a row's age counts.
    """
    async with connection.transaction():
        if table == "event":
            await connection.execute(_NO_REPLAY, (REPLAY_LOCK_KEY,))
        return (await connection.execute(_DELETE[table], {"age": age, "rows": rows})).rowcount
