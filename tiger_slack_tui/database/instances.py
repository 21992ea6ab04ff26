"""slack.instance and slack.connection: which instances run, and when they were connected; the gaps between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import class_row, scalar_row

from tiger_slack_tui.database.deadlocks import past_deadlocks

# Times come as ages in seconds: the clocks of several machines differ, the database has one.
_INSTANCE: LiteralString = """
update slack.instance set
  team_id = coalesce(%(team_id)s, team_id)
, last_seen_at = now()
, stopped_at = case when %(stopped)s then now() end
, status = %(status)s
, status_since = now() - make_interval(secs => %(status_age)s)
, reason = %(reason)s
, database_problem = %(database_problem)s
, queue = %(queue)s
, queue_limit = %(queue_limit)s
, spool_events = %(spool_events)s
, spool_bytes = %(spool_bytes)s
, spool_problem = %(spool_problem)s
, received = %(received)s
, acked = %(acked)s
, events_per_second = %(events_per_second)s
, ack_p99 = %(ack_p99)s
where id = %(id)s
returning id
"""
_NEW_INSTANCE: LiteralString = """
insert into slack.instance
( instance, team_id, version, host, pid, started_at, last_seen_at, status, status_since, reason, database_problem
, queue, queue_limit, spool_events, spool_bytes, spool_problem, received, acked, events_per_second, ack_p99
)
values
( %(instance)s, %(team_id)s, %(version)s, %(host)s, %(pid)s, now() - make_interval(secs => %(age)s), now(), %(status)s
, now() - make_interval(secs => %(status_age)s), %(reason)s, %(database_problem)s, %(queue)s, %(queue_limit)s
, %(spool_events)s, %(spool_bytes)s, %(spool_problem)s, %(received)s, %(acked)s, %(events_per_second)s, %(ack_p99)s
)
returning id
"""
_CONNECTION: LiteralString = """
update slack.connection set
  seen_at = greatest(seen_at, now() - make_interval(secs => %(seen_age)s))
, ended_at = case when %(is_over)s then now() end
where id = %(id)s
returning id
"""
_NEW_CONNECTION: LiteralString = """
insert into slack.connection (instance_id, connected_at, seen_at, ended_at)
values
( %(instance_id)s
, now() - make_interval(secs => %(began_age)s)
, now() - make_interval(secs => %(seen_age)s)
, case when %(is_over)s then now() end
)
returning id
"""
_LOCK: LiteralString = "select slack.lock_gaps()"
_STOPPED: LiteralString = """
select slack.record_gap
( %(team_id)s, 'queue stopped', now() - make_interval(secs => %(began_age)s)
, now() - make_interval(secs => %(ended_age)s), %(instance)s, '1 minute'
)
"""
_JUDGE: LiteralString = """
select slack.judge_connections
(%(team_id)s, %(instance)s, make_interval(secs => %(stale)s), %(steady)s, make_interval(secs => %(least)s))
"""


_NEWEST: LiteralString = """
select i.instance
, i.version
, i.host
, i.pid
, i.status
, extract(epoch from now() - i.status_since)::float8 as status_age
, i.reason
, i.database_problem
, i.queue
, i.queue_limit
, i.spool_events
, i.spool_problem
, i.received
, i.events_per_second
, i.ack_p99
, extract(epoch from now() - i.started_at)::float8 as age
, extract(epoch from now() - i.last_seen_at)::float8 as seen_age
, i.stopped_at is not null as is_stopped
from slack.instance i
where i.last_seen_at > now() - interval '1 day'
and i.pid > 0
order by i.stopped_at is not null, i.instance, i.id desc
limit %s
"""
STALE_SECONDS = 30.0
"""Age of the last heartbeat from which on an instance counts as lost."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as its last heartbeat told. Ages are in seconds, by the database's clock."""

    instance: str
    version: str
    host: str
    pid: int
    status: str
    """Of its connection to Slack."""
    status_age: float
    reason: str | None
    database_problem: str | None
    queue: int
    queue_limit: int
    spool_events: int
    spool_problem: str | None
    received: int
    events_per_second: float
    ack_p99: float | None
    age: float
    seen_age: float
    is_stopped: bool
    """Whether it was stopped in good order."""

    @property
    def is_lost(self) -> bool:
        """Whether it died, or has lost the database."""
        return not self.is_stopped and self.seen_age > STALE_SECONDS


async def newest(connection: AsyncConnection[Any], *, most: int) -> list[Instance]:
    """The instances of the last day: those that run or were lost first."""
    async with connection.cursor(row_factory=class_row(Instance)) as cursor:
        await cursor.execute(_NEWEST, (most,))
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class InstanceState:
    """How an instance is; the columns of slack.instance. Ages are in seconds."""

    instance: str
    version: str
    host: str
    pid: int
    age: float
    team_id: str | None
    stopped: bool
    status: str
    status_age: float
    reason: str | None
    database_problem: str | None
    queue: int
    queue_limit: int
    spool_events: int
    spool_bytes: int
    spool_problem: str | None
    received: int
    acked: int
    events_per_second: float
    ack_p99: float | None


@dataclass(frozen=True, slots=True)
class ConnectionSpan:
    """A time of being connected; ages in seconds. `id` is None until it was written."""

    id: int | None
    began_age: float
    seen_age: float
    is_over: bool


@dataclass(frozen=True, slots=True)
class Beaten:
    """What a heartbeat wrote."""

    instance_id: int
    connection_ids: list[int]


async def beat(
    connection: AsyncConnection[Any],
    instance_id: int | None,
    state: InstanceState,
    spans: Sequence[ConnectionSpan],
    stops: Sequence[tuple[float, float]],
    *,
    stale: float,
    is_steady: bool,
    least_gap: float,
) -> Beaten:
    """Write how the instance is, and which gaps show by that; all or nothing.

    `stops` are the spans in which its queue stood still, as ages of their beginning and end. Gaps are those of a
    workspace, so they are looked for once that is known; for the rest see slack.judge_connections(). Raises
    psycopg.Error.
    """

    async def write() -> Beaten:
        async with connection.transaction(), connection.cursor(row_factory=scalar_row) as cursor:

            async def value(query: LiteralString, values: Any) -> Any:
                await cursor.execute(query, values)
                return await cursor.fetchone()

            # First, because slack.judge_connections() changes rows of other instances, too: see slack.ingest().
            await value(_LOCK, {})
            row = asdict(state) | {"id": instance_id}
            written = instance_id and await value(_INSTANCE, row)
            is_known = bool(written)  # else it is new, or the database is another one now
            row["id"] = own = written or await value(_NEW_INSTANCE, row)
            ids = []
            for span in spans:
                values = asdict(span) | {"instance_id": own}
                found = await value(_CONNECTION, values) if is_known and span.id else None
                ids.append(found or await value(_NEW_CONNECTION, values))
            for began, ended in stops:
                await value(_STOPPED, row | {"began_age": began, "ended_age": ended})
            if state.team_id is not None:
                await value(_JUDGE, row | {"stale": stale, "steady": is_steady, "least": least_gap})
            return Beaten(own, ids)

    return await past_deadlocks(write)
