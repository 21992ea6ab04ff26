"""slack.gap and how far a backfill of it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

import orjson
from psycopg.rows import class_row, scalar_row, tuple_row

from tiger_slack_tui.postgres.connection import Connection

_COLUMNS: LiteralString = (
    "g.id, g.reason, g.started_at, g.ended_at, g.channel_id, g.instance, g.found_at, g.tried_at, g.closed_at"
    ", g.account, g.error"
)
_STANDING: LiteralString = """
select count(*), coalesce(bool_or(g.tried_at is null and slack.is_settled(g)), false), max(g.id)
from slack.gap g
where g.closed_at is null
and (g.team_id is null or %(team)s::text is null or g.team_id = %(team)s)
"""
_HAS_DUE: LiteralString = """
select exists
( select from slack.gap g
  where g.closed_at is null
  and (g.tried_at is null or g.tried_at < %(since)s)
  and slack.is_settled(g)
  and (g.team_id is null or g.team_id = %(team)s)
)
"""
_DUE: LiteralString = f"""
select {_COLUMNS} from slack.gap g
where g.closed_at is null
and g.ended_at is not null
and (%(all)s or slack.is_settled(g))
and (g.team_id is null or g.team_id = %(team)s)
order by g.id
"""  # noqa: S608 columns of ours
_GET: LiteralString = f"""
select {_COLUMNS} from slack.gap g
where g.id = any (%(ids)s)
order by g.id
"""  # noqa: S608
_NEWEST: LiteralString = f"""
select {_COLUMNS} from slack.gap g
order by g.closed_at is not null, g.id desc
limit %(most)s
"""  # noqa: S608
_ADD: LiteralString = f"""
insert into slack.gap as g (team_id, reason, started_at, ended_at, channel_id, instance)
values (%(team)s, 'by hand', %(since)s, %(until)s, %(channel)s, %(instance)s)
returning {_COLUMNS}
"""  # noqa: S608
_OPEN: LiteralString = """
select count(*), count(*) filter (where g.ended_at is null), min(g.started_at)
from slack.gap g
where g.closed_at is null
"""
# slack.record_gap() makes no row longer that has begun.
_BEGIN: LiteralString = f"""
update slack.gap g set begun_at = coalesce(g.begun_at, now()), closed_at = null, account = null, error = null
where g.id = %(gap)s
and g.ended_at is not null
returning {_COLUMNS}
"""  # noqa: S608
_BEGIN_CHANNELS: LiteralString = """
insert into slack.gap_channel (gap_id, channel_id)
select %(gap)s, c from unnest(%(channels)s::text[]) c
on conflict do nothing
"""
# Skipped ones are asked again: the app may have been invited since.
_RETRY_SKIPPED: LiteralString = """
update slack.gap_channel set skipped = null, is_done = false
where gap_id = %(gap)s
and skipped is not null
"""
_CHANNELS: LiteralString = """
select c.channel_id, c.reached, c.is_done, c.skipped, c.threads, c.deleted, c.account
from slack.gap_channel c
where c.gap_id = %(gap)s
order by c.channel_id
"""
_SAVE: LiteralString = """
update slack.gap_channel set
  reached = %(reached)s
, is_done = %(is_done)s
, skipped = %(skipped)s
, threads = %(threads)s
, deleted = %(deleted)s
, account = %(account)s::jsonb
where gap_id = %(gap)s
and channel_id = %(channel)s
"""
_ADD_THREADS: LiteralString = """
insert into slack.gap_thread (gap_id, channel_id, thread_ts)
select %(gap)s, %(channel)s, t from unnest(%(threads)s::timestamptz[]) t
on conflict do nothing
"""
_THREADS: LiteralString = """
select t.thread_ts from slack.gap_thread t
where t.gap_id = %(gap)s
and t.channel_id = %(channel)s
order by t.thread_ts desc
"""
_END_THREAD: LiteralString = """
delete from slack.gap_thread
where gap_id = %(gap)s
and channel_id = %(channel)s
and thread_ts = %(thread)s
"""
# Threads that began before the history that is read, and were answered lately or since.
_OLD_THREADS: LiteralString = """
select distinct m.thread_ts
from slack.message m
where m.channel_id = %(channel)s
and m.ts >= %(from)s
and m.thread_ts < %(from)s
"""
# What was deleted while events reached us is gone already; what changed after the gap was there then.
_MESSAGES: LiteralString = """
select m.ts
from slack.message m
where m.channel_id = %(channel)s
and m.ts >= %(oldest)s
and m.ts < %(before)s
and (m.thread_ts is null or m.thread_ts = m.ts)
and coalesce(m.event_ts, m.ts) <= %(ended)s
order by m.ts desc
"""
_END: LiteralString = """
update slack.gap set
  tried_at = now()
, closed_at = case when %(is_closed)s then now() end
, account = %(account)s::jsonb
, error = %(error)s
where id = %(gap)s
"""
_FORGET: LiteralString = "delete from slack.gap_channel where gap_id = %(gap)s"


@dataclass(frozen=True, slots=True)
class Gap:
    """A row. `ended_at` is None while it goes on, `channel_id` None where it concerns all channels."""

    id: int
    reason: str
    started_at: datetime
    ended_at: datetime | None
    channel_id: str | None
    instance: str | None
    found_at: datetime
    tried_at: datetime | None
    closed_at: datetime | None
    account: dict[str, Any] | None
    error: str | None


@dataclass(slots=True)
class ChannelState:
    """How far the backfill of a gap is in a channel."""

    channel_id: str
    reached: datetime | None = None
    """ts of the oldest message read; None before the first page."""
    is_done: bool = False
    skipped: str | None = None
    threads: int = 0
    deleted: int = 0
    account: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """The gaps that are not closed, those that go on among them."""

    count: int = 0
    is_due: bool = False
    """Whether there is one that the job should close now: over, and not tried to the end yet."""
    newest: int | None = None


@dataclass(frozen=True, slots=True)
class OpenGaps:
    """The gaps that are not closed."""

    count: int
    going_on: int
    """Those that have not ended."""
    since: datetime | None
    """When the oldest began; None where there are none."""


async def open_gaps(connection: Connection) -> OpenGaps:
    """The gaps that are not closed, of all workspaces."""
    row = await (await connection.execute(_OPEN)).fetchone()
    return OpenGaps(*row) if row else OpenGaps(0, 0, None)


async def standing(connection: Connection, team: str | None) -> Standing:
    """How the gaps stand."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_STANDING, {"team": team})
        row = await cursor.fetchone()
    return Standing(*row) if row else Standing()


async def database_time(connection: Connection) -> datetime:
    """The time by the database's clock, which is the one of all columns of slack.gap."""
    (now,) = await _times(connection, "select now()", {})
    return now


async def has_due(connection: Connection, team: str, since: datetime) -> bool:
    """Whether `due` has gaps that were not tried to the end since then, by the database's clock."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_HAS_DUE, {"team": team, "since": since})
        return bool(await cursor.fetchone())


async def due(connection: Connection, team: str, *, growing: bool) -> list[Gap]:
    """The gaps that are over and not closed; with `growing`, also those that may still become longer."""
    return await _gaps(connection, _DUE, {"team": team, "all": growing})


async def get(connection: Connection, ids: Sequence[int]) -> list[Gap]:
    """The gaps of these ids, as far as there are."""
    return await _gaps(connection, _GET, {"ids": list(ids)})


async def newest(connection: Connection, *, most: int) -> list[Gap]:
    """The newest gaps, open ones first."""
    return await _gaps(connection, _NEWEST, {"most": most})


async def add(
    connection: Connection,
    *,
    team: str | None,
    since: datetime,
    until: datetime,
    channel: str | None,
    instance: str,
) -> Gap:
    """Write down a gap that an operator told of."""
    values = {
        "team": team,
        "since": since,
        "until": until,
        "channel": channel,
        "instance": instance,
    }
    return (await _gaps(connection, _ADD, values))[0]


async def begin(
    connection: Connection, gap_id: int, channels: Sequence[str]
) -> tuple[Gap, list[ChannelState]] | None:
    """Record that a backfill of the gap begins; the gap, and how far the backfill is in each channel.

    From now on the gap's span stays as it is here: before, it may have grown since it was read. None where the gap is
    gone or goes on.
    """
    values = {"gap": gap_id, "channels": list(channels)}
    async with connection.transaction():
        found = await _gaps(connection, _BEGIN, values)
        if not found:
            return None
        for query in (_RETRY_SKIPPED, _BEGIN_CHANNELS):
            await connection.execute(query, values)
    async with connection.cursor(row_factory=class_row(ChannelState)) as cursor:
        await cursor.execute(_CHANNELS, values)
        return found[0], await cursor.fetchall()


async def save(connection: Connection, gap: Gap, state: ChannelState) -> None:
    """Keep how far the backfill is in a channel."""
    values = {
        "gap": gap.id,
        "channel": state.channel_id,
        "reached": state.reached,
        "is_done": state.is_done,
        "skipped": state.skipped,
        "threads": state.threads,
        "deleted": state.deleted,
        "account": orjson.dumps(state.account).decode(),
    }
    await connection.execute(_SAVE, values)


async def add_threads(
    connection: Connection, gap: Gap, channel: str, threads: Sequence[datetime]
) -> None:
    """Keep threads that are to be read."""
    values = {"gap": gap.id, "channel": channel, "threads": list(threads)}
    await connection.execute(_ADD_THREADS, values)


async def threads(connection: Connection, gap: Gap, channel: str) -> list[datetime]:
    """The threads that are still to be read."""
    return await _times(connection, _THREADS, {"gap": gap.id, "channel": channel})


async def end_thread(connection: Connection, gap: Gap, channel: str, thread: datetime) -> None:
    """Take note that the thread was read."""
    await connection.execute(_END_THREAD, {"gap": gap.id, "channel": channel, "thread": thread})


async def old_threads(connection: Connection, channel: str, since: datetime) -> list[datetime]:
    """Threads that began before `since`, with replies after it that we know of."""
    return await _times(connection, _OLD_THREADS, {"channel": channel, "from": since})


async def messages(
    connection: Connection,
    channel: str,
    *,
    oldest: datetime,
    before: datetime,
    ended: datetime,
) -> list[datetime]:
    """Our messages of that time that the channel's history should hold, where nothing changed them since `ended`."""
    values = {"channel": channel, "oldest": oldest, "before": before, "ended": ended}
    return await _times(connection, _MESSAGES, values)


async def end(
    connection: Connection,
    gap: Gap,
    *,
    is_closed: bool,
    account: Mapping[str, Any],
    error: str | None,
) -> None:
    """Record that the backfill came to its end, and with `is_closed` that nothing of the gap is left."""
    values = {
        "gap": gap.id,
        "is_closed": is_closed,
        "account": orjson.dumps(account).decode(),
        "error": error,
    }
    async with connection.transaction():
        await connection.execute(_END, values)
        if is_closed:
            await connection.execute(_FORGET, values)


async def _gaps(
    connection: Connection, query: LiteralString, values: Mapping[str, Any]
) -> list[Gap]:
    async with connection.cursor(row_factory=class_row(Gap)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def _times(
    connection: Connection, query: LiteralString, values: Mapping[str, Any]
) -> list[datetime]:
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
