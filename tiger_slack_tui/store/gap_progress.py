"""slack.gap_channel and slack.gap_thread: the progress of a backfill in each channel, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from psycopg.rows import scalar_row

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value, to_json
from tiger_slack_tui.store.gaps import BY_HAND, GAP_COLUMNS, JOINED, Gap
from tiger_slack_tui.store.history import refresh_all_heard
from tiger_slack_tui.store.import_account import Account, Reason
from tiger_slack_tui.store.lock_spans import lock_spans

# slack.record_gap() does not change the period of a gap whose backfill has begun.
_BEGIN: LiteralString = f"""
update slack.gap g set
  begun_at = coalesce(g.begun_at, now())
, started_at = case
    when g.reason <> 'joined' or g.begun_at is not null then g.started_at
    else least(greatest(g.started_at, %(since)s::timestamptz), g.ended_at)
  end
, tried_at = case when g.reason <> 'by hand' then g.tried_at end
, closed_at = null
, account = null
, error = null
where g.id = %(gap)s
and g.ended_at is not null
returning {GAP_COLUMNS}
"""  # noqa: S608
_BEGIN_CHANNELS: LiteralString = """
insert into slack.gap_channel (gap_id, channel_id)
select %(gap)s, c from unnest(%(channels)s::text[]) c
on conflict do nothing
"""
# Not only channels that Slack lists now: what the app heard before it left one is missing, too.
_BEGIN_HEARD: LiteralString = """
insert into slack.gap_channel (gap_id, channel_id)
select g.id, c.id
from slack.gap g
cross join slack.channel c
left join slack.channel_history h on h.channel_id = c.id
where g.id = %(gap)s
and g.channel_id is null
and slack.is_loss(g)
and (c.heard_since < g.ended_at or h.heard && tstzrange(g.started_at, g.ended_at))
and slack.is_history_kind(c.channel_type, %(kinds)s)
on conflict do nothing
"""
# Skipped channels are tried again: the app may have been invited since.
_RETRY_SKIPPED: LiteralString = """
update slack.gap_channel set skipped = null, is_done = false
where gap_id = %(gap)s
and skipped is not null
"""
_CHANNELS: LiteralString = """
select c.channel_id, c.reached, c.is_done, c.skipped, c.threads, c.deleted, c.account, c.shown_since
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
, shown_since = %(shown_since)s
where gap_id = %(gap)s
and channel_id = %(channel)s
"""
# A thread that has not grown since a backfill read all of it has nothing new.
HAS_GROWN: LiteralString = """not exists
( select from slack.thread_history h
  where h.channel_id = %(channel)s
  and h.thread_ts = t.thread_ts
  and h.reply_count >= t.reply_count
  and h.latest_reply >= t.latest_reply
)"""
_ADD_THREADS: LiteralString = f"""
insert into slack.gap_thread (gap_id, channel_id, thread_ts, reply_count, latest_reply)
select %(gap)s, %(channel)s, t.thread_ts, t.reply_count, t.latest_reply
from unnest(%(threads)s::timestamptz[], %(counts)s::int4[], %(latest)s::timestamptz[])
  t (thread_ts, reply_count, latest_reply)
where {HAS_GROWN}
on conflict do nothing
"""  # noqa: S608 only constants
_THREADS: LiteralString = """
select t.thread_ts as ts, t.reply_count, t.latest_reply, t.reached
from slack.gap_thread t
where t.gap_id = %(gap)s
and t.channel_id = %(channel)s
order by t.thread_ts desc
"""
_SAVE_THREAD: LiteralString = """
update slack.gap_thread set reached = %(reached)s
where gap_id = %(gap)s
and channel_id = %(channel)s
and thread_ts = %(thread)s
"""
_END_THREAD: LiteralString = """
delete from slack.gap_thread
where gap_id = %(gap)s
and channel_id = %(channel)s
and thread_ts = %(thread)s
"""
_SAVE_WHOLE_THREAD: LiteralString = """
insert into slack.thread_history as h (channel_id, thread_ts, reply_count, latest_reply)
values (%(channel)s, %(thread)s, %(count)s, %(latest)s)
on conflict (channel_id, thread_ts) do update set
  reply_count = excluded.reply_count
, latest_reply = excluded.latest_reply
where excluded.latest_reply >= h.latest_reply
"""
# Rows of channels before the gap's, and all of them in one step: that is the order of locks.
_LOCK_CHANNELS: LiteralString = """
select count(*)
from
( select c.id
  from slack.channel c
  where c.id in (select p.channel_id from slack.gap_channel p where p.gap_id = %(gap)s)
  or c.id in
  ( select o.id
    from slack.gap g
    cross join slack.channel o
    left join slack.channel_history h on h.channel_id = o.id
    where g.id = %(gap)s
    and slack.is_loss(g)
    and (o.heard_since < g.ended_at or h.heard && tstzrange(g.started_at, g.ended_at))
  )
  order by c.id collate "C"
  for update
) c
"""
# What the backfill has read of a channel. What Slack hides, it has not read. A record that could not be stored is
# missing, at a time that is not known.
_READ: LiteralString = """
select p.channel_id, p.shown_since
from slack.gap_channel p
where p.gap_id = %(gap)s
and p.is_done
and p.skipped is null
and not exists
( select from jsonb_object_keys(p.account -> 'skipped') s (reason)
  where s.reason <> all (%(harmless)s)
)
"""
_ADD_HISTORY: LiteralString = f"""
with done as materialized
( select r.channel_id, greatest(g.started_at, r.shown_since) as since, g.ended_at as until
  from slack.gap g
  cross join ({_READ}) r
  where g.id = %(gap)s
  and not slack.is_loss(g)
)
select count(slack.add_history(d.channel_id, tstzmultirange(tstzrange(d.since, greatest(d.since, d.until))))::text)
from done d
"""  # noqa: S608 only constants
# The gap is closed, and channels were heard in it that the backfill could not read, or of which Slack hides a part.
_LOSE_HEARD: LiteralString = f"""
with lost as materialized
( select c.id
  , tstzrange
    ( g.started_at
    , case when r.channel_id is null then g.ended_at else least(r.shown_since, g.ended_at) end
    ) as period
  from slack.gap g
  join slack.channel c on g.channel_id is null or c.id = g.channel_id
  left join slack.channel_history h on h.channel_id = c.id
  left join ({_READ}) r on r.channel_id = c.id
  where g.id = %(gap)s
  and slack.is_loss(g)
  and (c.heard_since < g.ended_at or h.heard && tstzrange(g.started_at, g.ended_at))
  and (r.channel_id is null or r.shown_since > g.started_at)
)
select count(slack.lose_heard(l.id, l.period)::text)
from lost l
"""  # noqa: S608 only constants
_LEAVE_CHANNEL = "select slack.absent_from(%(channel)s, %(since)s)"
# A channel that everyone may see is not found only if it does not exist.
_IS_DELETED: LiteralString = """
select exists
( select from slack.channel c
  where c.id = %(channel)s
  and (c.is_deleted or c.channel_type = 'channel')
)
"""
# Threads that began before the period that is read, with replies in it or after it.
_OLD_THREADS: LiteralString = """
select distinct m.thread_ts
from slack.message m
where m.channel_id = %(channel)s
and m.ts >= %(begin)s
and m.ts < %(end)s
and m.thread_ts < %(from)s
"""
# A message that was deleted while events arrived is gone already. One that changed after the gap existed in it.
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
_ABSENT = ("channel_not_found", "not_in_channel")
"""Slack's words for a channel that the app is not a member of."""
_DELETE_CHANNELS: LiteralString = "delete from slack.gap_channel where gap_id = %(gap)s"


@dataclass(slots=True)
class ChannelProgress:
    """The progress of a backfill in one channel."""

    channel_id: ChannelId
    reached: datetime | None = None
    """ts of the oldest message read, from the newest back; None before the first page."""
    is_done: bool = False
    skipped: str | None = None
    threads: int = 0
    deleted: int = 0
    account: Account = field(default_factory=Account)
    """The records that are merged."""
    shown_since: datetime | None = None
    """ts of the oldest message that Slack shows, if it hides older ones."""


@dataclass(frozen=True, slots=True)
class PendingThread:
    """A thread that a backfill has to read, and what Slack said of it when it was found."""

    ts: datetime
    """Of its parent."""
    reply_count: int | None = None
    latest_reply: datetime | None = None
    reached: datetime | None = None
    """ts of the newest reply that was read; None before the first page."""


async def begin(
    connection: Connection,
    gap_id: int,
    channels: Sequence[ChannelId],
    *,
    kinds: Sequence[str] | None = None,
    history_since: datetime | None = None,
) -> tuple[Gap, list[ChannelProgress]] | None:
    """Record that a backfill of the gap begins. Returns the gap, and the backfill's progress in each channel.

    If events are missing in all channels, those are added that the app heard in the gap, as far as they are of these
    `kinds` (None: all). Of the history before the app joined a channel, only that from `history_since` on is read.

    From then on the gap's period does not change. It may have become longer since the caller read the gap. None
    if the gap has been deleted, or goes on.
    """
    values = {
        "gap": gap_id,
        "channels": list(channels),
        "kinds": None if kinds is None else list(kinds),
        "since": history_since,
    }
    async with connection.transaction():
        found = await fetch_rows(connection, Gap, _BEGIN, values)
        if not found:
            return None
        for query in (_RETRY_SKIPPED, _BEGIN_CHANNELS, _BEGIN_HEARD):
            await connection.execute(query, values)
        rows = await (await connection.execute(_CHANNELS, values)).fetchall()
    return found[0], [
        ChannelProgress(
            channel, reached, is_done, skipped, threads, deleted, Account.from_json(account), shown
        )
        for channel, reached, is_done, skipped, threads, deleted, account, shown in rows
    ]


async def save(connection: Connection, gap: Gap, state: ChannelProgress) -> None:
    """Save the progress in a channel."""
    values = {
        "gap": gap.id,
        "channel": state.channel_id,
        "reached": state.reached,
        "is_done": state.is_done,
        "skipped": state.skipped,
        "threads": state.threads,
        "deleted": state.deleted,
        "account": to_json(state.account),
        "shown_since": state.shown_since,
    }
    await connection.execute(_SAVE, values)


async def skip(connection: Connection, gap: Gap, state: ChannelProgress) -> None:
    """Save that Slack does not show the channel. If the app is not in it, it is noted at once that the app has left.

    By the end of the backfill, which can be hours later, the app may have been invited again.
    """

    async def record() -> None:
        async with connection.transaction():
            if state.skipped in _ABSENT:
                values = {"channel": state.channel_id, "since": gap.started_at}
                await connection.execute(_LEAVE_CHANNEL, values)
            await save(connection, gap, state)

    await retry_deadlocks(record)


async def add_threads(
    connection: Connection, gap: Gap, channel: ChannelId, threads: Sequence[PendingThread]
) -> None:
    """Save threads that the backfill has to read, without those that have not grown since they were read."""
    values = {
        "gap": gap.id,
        "channel": channel,
        "threads": [thread.ts for thread in threads],
        "counts": [thread.reply_count for thread in threads],
        "latest": [thread.latest_reply for thread in threads],
    }
    await connection.execute(_ADD_THREADS, values)


async def threads(connection: Connection, gap: Gap, channel: ChannelId) -> list[PendingThread]:
    """The threads that the backfill still has to read, the newest first."""
    return await fetch_rows(
        connection, PendingThread, _THREADS, {"gap": gap.id, "channel": channel}
    )


async def save_thread(
    connection: Connection, gap: Gap, channel: ChannelId, thread: PendingThread, reached: datetime
) -> None:
    """Record that the thread's replies until `reached` were read."""
    values = {"gap": gap.id, "channel": channel, "thread": thread.ts, "reached": reached}
    await connection.execute(_SAVE_THREAD, values)


async def end_thread(
    connection: Connection,
    gap: Gap,
    channel: ChannelId,
    thread: PendingThread,
    *,
    is_whole: bool,
) -> None:
    """Record that the thread was read; with `is_whole`, all replies of it."""
    values = {
        "gap": gap.id,
        "channel": channel,
        "thread": thread.ts,
        "count": thread.reply_count,
        "latest": thread.latest_reply,
    }
    await connection.execute(_END_THREAD, values)
    if is_whole and thread.reply_count is not None and thread.latest_reply is not None:
        await connection.execute(_SAVE_WHOLE_THREAD, values)


async def old_threads(
    connection: Connection, channel: ChannelId, since: datetime
) -> list[datetime]:
    """Threads that began before `since` and have stored replies after it."""
    found: dict[datetime, None] = {}
    for begin, end in lock_spans(since, datetime.now(UTC) + timedelta(days=1)):
        values = {"channel": channel, "from": since, "begin": begin, "end": end}
        found |= dict.fromkeys(await _times(connection, _OLD_THREADS, values))
    return list(found)


async def messages(
    connection: Connection,
    channel: ChannelId,
    *,
    oldest: datetime,
    before: datetime,
    ended: datetime,
) -> list[datetime]:
    """Stored messages of that period that Slack's history must contain, unless they changed after `ended`."""
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
    """Record that the backfill has finished. `is_closed` says that nothing of the gap is left.

    What it has read of channels is then complete. What was heard in a gap and could not be read is missing for good.
    """
    values = {
        "gap": gap.id,
        "is_closed": is_closed,
        "account": to_json(account),
        "error": error,
        "harmless": [r.value for r in Reason if not r.is_bad or r is Reason.NO_MESSAGE],
    }

    async def record() -> None:
        async with connection.transaction():
            await connection.execute(_LOCK_CHANNELS, values)
            if is_closed:
                await connection.execute(_ADD_HISTORY, values)
                await connection.execute(_LOSE_HEARD, values)
            await connection.execute(_END, values)
            if is_closed:
                await connection.execute(_DELETE_CHANNELS, values)

    await retry_deadlocks(record)
    if is_closed and gap.reason not in (BY_HAND, JOINED):
        await refresh_all_heard(connection)


async def is_deleted(connection: Connection, channel: ChannelId) -> bool:
    """Whether a channel that Slack does not find is deleted. Others may only be hidden from the app."""
    return bool(await fetch_value(connection, _IS_DELETED, {"channel": channel}))


async def _times(
    connection: Connection, query: LiteralString, values: Mapping[str, Any]
) -> list[datetime]:
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
