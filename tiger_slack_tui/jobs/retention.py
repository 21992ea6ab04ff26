"""Deletes what nothing needs any more.

The rules, and why:

- slack.event: kept for TIGER_SLACK_EVENT_DAYS (90), counted from its receipt, however late that was. Where
  TimescaleDB has a retention policy for it, that one rules (by event_ts), also over what follows.
- slack.delivery: kept as long as its event. It keeps a repeated delivery from a second audit row; Slack repeats for
  a day at most, our spool for as long as a database is away. Past that, a repetition still changes no message,
  because every effect is idempotent.
- slack.tombstone: kept for ever. An export of any age can bring the original of a deleted message, and nothing but
  its tombstone keeps it out. A tombstone is three short columns and holds no content.
- slack.reaction: rows of a message that is deleted since so many days; it will never show them.
- slack.job_run: kept for a year, which is one row a day and job.
- slack.connection, slack.instance: kept for 30 days. The workspace's last connection stays, however old: by it the
  next start finds since when events may be missing.
- slack.gap: kept for a year after it was closed. One that is open stays.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, LiteralString

from psycopg.sql import SQL, Composed, Identifier

from tiger_slack_tui.jobs.job import Job, Run
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.lock_keys import RETENTION_LOCK_KEY

_JOB_RUN_AGE = timedelta(days=366)
_INSTANCE_AGE = timedelta(days=30)
_GAP_AGE = timedelta(days=366)
_ROWS = 5000
"""Rows of a transaction, so that none holds up the ingestion."""

_TIMESCALEDB = """
select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'timescaledb'
"""
_POLICY = """
select max((j.config ->> 'drop_after')::interval)
from timescaledb_information.jobs j
where j.proc_name = 'policy_retention'
and j.hypertable_schema = 'slack'
and j.hypertable_name = 'event'
and j.scheduled
"""
_OLD_CHUNKS = """
select c.chunk_schema, c.chunk_name, c.range_start, c.range_end
from timescaledb_information.chunks c
where c.hypertable_schema = 'slack'
and c.hypertable_name = 'event'
and c.range_end < now() - %s
order by c.range_start
"""
_LOCK_CHUNK = SQL("lock table {} in share row exclusive mode")
_IS_NEEDED = SQL("select exists (select from {} where received_at >= now() - %s)")
_DROP_CHUNK = SQL(
    "select count(*) from {}.drop_chunks('slack.event', newer_than => %s, older_than => %s)"
)

# Rows that others have locked are left for the next run: so this job waits for nobody, and takes part in no deadlock.
_EVENTS = """
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
"""
_DELIVERIES = """
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
"""
_REACTIONS = """
delete from slack.reaction r
where r.ctid = any (array
( select o.ctid
  from slack.tombstone t
  join slack.reaction o on o.channel_id = t.channel_id and o.ts = t.ts
  where t.deleted_at < now() - %s
  limit %s
  for update of o skip locked
))
"""
_JOB_RUNS = """
delete from slack.job_run r
where r.id in (select o.id from slack.job_run o where o.started_at < now() - %s limit %s for update skip locked)
"""
_CONNECTIONS = """
delete from slack.connection c
where c.id in
( select o.id
  from slack.connection o
  join slack.instance i on i.id = o.instance_id
  where o.seen_at < now() - %s
  and o.is_judged
  and exists
  ( select
    from slack.connection n
    join slack.instance j on j.id = n.instance_id
    where j.team_id is not distinct from i.team_id
    and n.is_judged
    and n.seen_at > o.seen_at
  )
  limit %s
  for update of o skip locked
)
"""
_INSTANCES = """
delete from slack.instance i
where i.id in
( select o.id
  from slack.instance o
  where o.last_seen_at < now() - %s
  and not exists (select from slack.connection c where c.instance_id = o.id)
  limit %s
  for update skip locked
)
"""
_GAPS = """
delete from slack.gap g
where g.id in (select o.id from slack.gap o where o.closed_at < now() - %s limit %s for update skip locked)
"""


def retention(event_days: int) -> Job:
    """Deletes by the rules above, a few thousand rows at a time."""

    async def work(run: Run) -> None:
        await _work(run, timedelta(days=event_days))

    return Job("retention", RETENTION_LOCK_KEY, work)


async def _work(run: Run, age: timedelta) -> None:
    connection = run.connection
    policy = None
    if schema := await _value(connection, _TIMESCALEDB):
        policy = await _value(connection, _POLICY)
        if policy is None:  # the Apache edition has none
            await _drop_chunks(connection, schema, age)
    if policy is None:
        await _delete(run, _EVENTS, {"age": age, "rows": _ROWS})
    else:
        age = policy
    await _delete(run, _DELIVERIES, {"age": age, "rows": _ROWS})
    await _delete(run, _REACTIONS, (age, _ROWS))
    await _delete(run, _JOB_RUNS, (_JOB_RUN_AGE, _ROWS))
    await _delete(run, _CONNECTIONS, (_INSTANCE_AGE, _ROWS))
    await _delete(run, _INSTANCES, (_INSTANCE_AGE, _ROWS))
    await _delete(run, _GAPS, (_GAP_AGE, _ROWS))


async def _drop_chunks(connection: Connection, schema: str, age: timedelta) -> None:
    """Drop the chunks in which every event is both older than `age` and was received so long ago."""
    cursor = await connection.execute(_OLD_CHUNKS, (age,))
    for chunk_schema, name, start, end in await cursor.fetchall():
        chunk = Identifier(chunk_schema, name)
        async with connection.transaction():
            await connection.execute(_LOCK_CHUNK.format(chunk))  # no event is stored between
            if not await _value(connection, _IS_NEEDED.format(chunk), (age,)):
                await connection.execute(_DROP_CHUNK.format(Identifier(schema)), (start, end))


async def _delete(run: Run, query: LiteralString, values: Any) -> None:
    """Run it until it finds nothing more."""
    while True:
        cursor = await run.connection.execute(query, values)
        if cursor.rowcount > 0:
            await run.advance(seen=cursor.rowcount, changed=cursor.rowcount)
        if cursor.rowcount < _ROWS:
            return


async def _value(connection: Connection, query: LiteralString | Composed, values: Any = ()) -> Any:
    cursor = await connection.execute(query, values)
    row = await cursor.fetchone()
    return row[0] if row else None
