"""slack.instance and slack.connection: which instances run, and when each was connected to Slack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import scalar_row

from tiger_slack_tui.base.ids import TeamId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value

# Times are given as ages in seconds, and the database subtracts them from its own time: machines' clocks differ.
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
, ack_p95 = %(ack_p95)s
where start_id = %(start_id)s
returning id
"""
_NEW_INSTANCE: LiteralString = """
insert into slack.instance
( start_id, instance, team_id, version, host, pid, started_at, last_seen_at, status, status_since, reason
, database_problem, queue, queue_limit, spool_events, spool_bytes, spool_problem, received, acked
, events_per_second, ack_p99, ack_p95
)
values
( %(start_id)s, %(instance)s, %(team_id)s, %(version)s, %(host)s, %(pid)s
, now() - make_interval(secs => %(age)s), now(), %(status)s
, now() - make_interval(secs => %(status_age)s), %(reason)s, %(database_problem)s, %(queue)s, %(queue_limit)s
, %(spool_events)s, %(spool_bytes)s, %(spool_problem)s, %(received)s, %(acked)s, %(events_per_second)s, %(ack_p99)s
, %(ack_p95)s
)
returning id
"""
_CONNECTION: LiteralString = """
update slack.connection set
  seen_at = greatest(seen_at, now() - make_interval(secs => %(seen_age)s))
, ended_at = case when %(is_over)s then now() end
where instance_id = %(instance_id)s
and number = %(number)s
returning id
"""
_NEW_CONNECTION: LiteralString = """
insert into slack.connection (instance_id, number, connected_at, seen_at, ended_at)
values
( %(instance_id)s
, %(number)s
, now() - make_interval(secs => %(began_age)s)
, now() - make_interval(secs => %(seen_age)s)
, case when %(is_over)s then now() end
)
returning id
"""
_END_OTHERS: LiteralString = """
update slack.connection set ended_at = now()
where instance_id = %(instance_id)s
and ended_at is null
and number <> all (%(numbers)s)
"""
_LOCK: LiteralString = "select slack.lock_gaps()"
_RECORD_STALL: LiteralString = """
select slack.record_gap
( %(team_id)s, 'queue stopped', now() - make_interval(secs => %(began_age)s)
, now() - make_interval(secs => %(ended_age)s), %(instance)s, '1 minute'
)
"""
_CHECK_CONNECTIONS: LiteralString = """
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
, extract(epoch from i.last_seen_at - i.started_at)::float8 as age
, extract(epoch from now() - i.last_seen_at)::float8 as seen_age
, i.stopped_at is not null as is_stopped
from slack.instance i
where i.last_seen_at > now() - interval '1 day'
and i.pid > 0
order by i.stopped_at is not null, i.instance, i.id desc
limit %s
"""
# Only what is known of now: a heartbeat is written every 5 s.
_SLOW: LiteralString = """
select i.instance
from slack.instance i
where i.stopped_at is null
and i.last_seen_at > now() - interval '15 seconds'
and (i.ack_p95 > %(limit)s or i.queue > i.queue_limit / 2)
limit 1
"""
LATE_HEARTBEAT_SECONDS = 8.0
"""A heartbeat is written every 5 s. One that is older says nothing of now: the next one is missing."""
STALE_HEARTBEAT_SECONDS = 30.0
"""An instance whose last heartbeat is older counts as lost."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance, as its last heartbeat described it. Ages are in seconds, by the database's clock."""

    instance: str
    version: str
    host: str
    pid: int
    status: str
    """Status of its connection to Slack."""
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
    """How long it had run at its last heartbeat: it does not grow after that."""
    seen_age: float
    """The age of its last heartbeat when this was read."""
    is_stopped: bool
    """Whether it ended by a regular stop."""
    read_age: float = 0.0
    """How long ago this was read, if the database has not answered since."""

    @property
    def silence(self) -> float:
        """Seconds since the last heartbeat that is known."""
        return self.seen_age + self.read_age

    @property
    def is_running(self) -> bool:
        """Whether it runs, as far as its heartbeats tell."""
        return not (self.is_stopped or self.is_late)

    @property
    def is_late(self) -> bool:
        """Whether nothing is known of now: the last heartbeat that was read is old."""
        return not self.is_stopped and self.silence > LATE_HEARTBEAT_SECONDS

    @property
    def is_lost(self) -> bool:
        """Whether it has crashed, or cannot reach the database. An answer that has grown old is no sign of that."""
        return not self.is_stopped and self.seen_age > STALE_HEARTBEAT_SECONDS


async def newest(connection: Connection, *, most: int) -> list[Instance]:
    """At most `most` instances of the last day. Those that run or are lost come first."""
    return await fetch_rows(connection, Instance, _NEWEST, (most,))


@dataclass(frozen=True, slots=True)
class InstanceState:
    """The state of an instance: the columns of slack.instance. Ages are in seconds."""

    start_id: UUID
    """Identifies this start of the program."""
    instance: str
    version: str
    host: str
    pid: int
    age: float
    team_id: TeamId | None
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
    ack_p95: float | None


@dataclass(frozen=True, slots=True)
class ConnectedAges:
    """The ages, in seconds, of the ends of a connected period."""

    number: int
    """Identifies it within this start of the program."""
    began_age: float
    seen_age: float
    is_over: bool


@dataclass(frozen=True, slots=True)
class StalledAges:
    """The ages, in seconds, of the ends of a stalled period: the instance could neither write nor spool events."""

    began_age: float
    ended_age: float


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What an instance reports at one moment."""

    state: InstanceState
    connections: Sequence[ConnectedAges]
    """The present connection, and those that have ended since the last heartbeat that was answered."""
    stalls: Sequence[StalledAges]
    """The periods in which it took no event, since the last heartbeat that was answered."""


async def slow_instance(connection: Connection, limit: float) -> str | None:
    """An instance whose live events wait: p95 of its newest acks is over `limit` seconds. None if there is none."""
    found: str | None = await fetch_value(connection, _SLOW, {"limit": limit})
    return found


async def write_heartbeat(
    connection: Connection,
    make_heartbeat: Callable[[], Heartbeat],
    *,
    stale: float,
    others_are_up_to_date: bool,
    least_gap: float,
) -> None:
    """Write the state of the instance, and the gaps that follow from it, in one transaction.

    `make_heartbeat` is called for each try, because a retry after a deadlock comes later, when ages have grown. A
    heartbeat that was committed without an answer can be repeated: it finds its rows by their keys. Connections of
    this start that are not in the heartbeat are marked as ended.

    Gaps belong to a workspace, so none is written before the workspace is known. `stale` and `least_gap` are in
    seconds; for them and `others_are_up_to_date` (`steady`) see slack.judge_connections(). Raises psycopg.Error.
    """

    async def write() -> None:
        heartbeat = make_heartbeat()
        async with connection.transaction(), connection.cursor(row_factory=scalar_row) as cursor:

            async def value(query: LiteralString, values: Any) -> Any:
                await cursor.execute(query, values)
                return await cursor.fetchone() if cursor.description else None

            # The lock comes first, because slack.judge_connections() also changes rows of other instances.
            await value(_LOCK, {})
            row = asdict(heartbeat.state)
            own = await value(_INSTANCE, row) or await value(_NEW_INSTANCE, row)
            for period in heartbeat.connections:
                values = asdict(period) | {"instance_id": own}
                if await value(_CONNECTION, values) is None:
                    await value(_NEW_CONNECTION, values)
            numbers = [period.number for period in heartbeat.connections]
            await value(_END_OTHERS, {"instance_id": own, "numbers": numbers})
            for stall in heartbeat.stalls:
                await value(_RECORD_STALL, row | asdict(stall))
            if heartbeat.state.team_id is not None:
                await value(
                    _CHECK_CONNECTIONS,
                    row | {"stale": stale, "steady": others_are_up_to_date, "least": least_gap},
                )

    await retry_deadlocks(write)
