"""slack.gap: the periods in which events may be missing, and the progress of their backfills.

Gaps are recorded by the functions of `migrations/idempotent/008-gaps.sql`, mainly slack.record_gap().
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from psycopg.rows import scalar_row

from tiger_slack_tui.base.ids import ChannelId, TeamId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value, to_json
from tiger_slack_tui.store.import_account import Account
from tiger_slack_tui.store.lock_spans import lock_spans

BY_HAND = "by hand"
"""The reason of a period whose history an operator asked for. Events of it are not known to be missing."""
JOINED = "joined"
"""The reason of the history of a channel before the app joined it. No event of it is missing."""
_COLUMNS: LiteralString = (
    "g.id, g.reason, g.started_at, g.ended_at, g.channel_id, g.instance, g.found_at, g.tried_at, g.closed_at"
    ", g.account, g.error"
)
_SUMMARY: LiteralString = """
select count(*) filter (where slack.is_loss(g))
, coalesce(bool_or(g.tried_at is null and slack.is_settled(g)), false)
, max(g.id) filter (where slack.is_loss(g))
, max(g.id) filter (where g.tried_at is null and slack.is_settled(g))
, string_agg(g.id || '/' || g.started_at || '/' || coalesce(g.ended_at::text, ''), ',' order by g.id)
  filter (where slack.is_loss(g))
from slack.gap g
where g.closed_at is null
and (g.team_id is null or %(team)s::text is null or g.team_id = %(team)s)
"""
# Whoever asked for a backfill has seen how it ended, and decides whether it goes on. The job continues only one that
# was killed: it has begun, and its end is not recorded.
_HAS_DUE: LiteralString = """
select exists
( select from slack.gap g
  where g.closed_at is null
  and (g.tried_at is null or (g.tried_at < %(since)s and g.reason <> 'by hand'))
  and slack.is_settled(g)
  and (g.team_id is null or g.team_id = %(team)s)
  and (g.reason <> 'joined' or exists (select from slack.channel c where c.id = g.channel_id and c.is_member))
)
"""
_DUE: LiteralString = f"""
select {_COLUMNS} from slack.gap g
where g.closed_at is null
and g.ended_at is not null
and (%(all)s or (slack.is_settled(g) and (g.tried_at is null or g.reason <> 'by hand')))
and (g.team_id is null or g.team_id = %(team)s)
and (g.reason <> 'joined' or exists (select from slack.channel c where c.id = g.channel_id and c.is_member))
order by not slack.is_loss(g), g.id
"""  # noqa: S608 only constants
_GET: LiteralString = f"""
select {_COLUMNS} from slack.gap g
where g.id = any (%(ids)s)
order by g.id
"""  # noqa: S608
_NEWEST: LiteralString = f"""
select {_COLUMNS} from slack.gap g
order by case when g.closed_at is not null then 2 when slack.is_loss(g) then 0 else 1 end, g.id desc
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
and slack.is_loss(g)
"""
# slack.record_gap() does not change the period of a gap whose backfill has begun.
_BEGIN: LiteralString = f"""
update slack.gap g set
  begun_at = coalesce(g.begun_at, now())
, tried_at = case when g.reason <> 'by hand' then g.tried_at end
, closed_at = null
, account = null
, error = null
where g.id = %(gap)s
and g.ended_at is not null
returning {_COLUMNS}
"""  # noqa: S608
_BEGIN_CHANNELS: LiteralString = """
insert into slack.gap_channel (gap_id, channel_id)
select %(gap)s, c from unnest(%(channels)s::text[]) c
on conflict do nothing
"""
# Skipped channels are tried again: the app may have been invited since.
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
_LEAVE: LiteralString = """
update slack.gap set tried_at = now(), account = '{}', error = %(error)s
where id = any (%(ids)s)
and reason = 'by hand'
and tried_at is null
"""
_DELETE_CHANNELS: LiteralString = "delete from slack.gap_channel where gap_id = %(gap)s"


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap. `ended_at` is None while it goes on; `channel_id` is None if it concerns all channels."""

    id: int
    reason: str
    started_at: datetime
    ended_at: datetime | None
    channel_id: ChannelId | None
    instance: str | None
    found_at: datetime
    tried_at: datetime | None
    closed_at: datetime | None
    account: dict[str, Any] | None
    error: str | None

    @property
    def may_miss_events(self) -> bool:
        """Whether events of it may be missing: it is open, and not only a period whose history is to be read."""
        return self.closed_at is None and self.reason not in (BY_HAND, JOINED)


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


@dataclass(frozen=True, slots=True)
class GapSummary:
    """The gaps of a workspace that are not closed, including those that go on."""

    count: int = 0
    """Without the periods whose history is only to be read."""
    is_due: bool = False
    """Whether the job should close one now: it has ended, and no backfill of it has finished."""
    newest: int | None = None
    """The id of the newest that is counted."""
    newest_due: int | None = None
    """The id of the newest that the job should close now."""
    periods: str | None = None
    """The periods of those that are counted. Equal texts are equal periods."""


@dataclass(frozen=True, slots=True)
class OpenGaps:
    """The gaps that are not closed, without the periods whose history is only to be read."""

    count: int
    going_on: int
    """Those that have not ended."""
    since: datetime | None
    """When the oldest began; None if there are none."""


async def open_gaps(connection: Connection) -> OpenGaps:
    """The gaps of all workspaces that are not closed, without the periods whose history is only to be read."""
    row = await (await connection.execute(_OPEN)).fetchone()
    return OpenGaps(*row) if row else OpenGaps(0, 0, None)


async def summarize(connection: Connection, team: TeamId | None) -> GapSummary:
    """The open gaps of the workspace; of all workspaces if `team` is None."""
    row = await (await connection.execute(_SUMMARY, {"team": team})).fetchone()
    return GapSummary(*row) if row else GapSummary()


async def database_time(connection: Connection) -> datetime:
    """The time by the database's clock. All columns of slack.gap are by that clock."""
    now: datetime = await fetch_value(connection, "select now()")
    return now


async def has_due(connection: Connection, team: TeamId, since: datetime) -> bool:
    """Whether `due` has a gap of which no backfill has finished since then, by the database's clock."""
    return bool(await fetch_value(connection, _HAS_DUE, {"team": team, "since": since}))


async def due(connection: Connection, team: TeamId, *, growing: bool) -> list[Gap]:
    """The gaps that have ended and are not closed.

    With `growing`, also those that may still become longer, and periods that an operator asked for whose backfill was
    stopped or failed.
    """
    return await _gaps(connection, _DUE, {"team": team, "all": growing})


async def get(connection: Connection, ids: Sequence[int]) -> list[Gap]:
    """The gaps with these ids. Unknown ids are left out."""
    return await _gaps(connection, _GET, {"ids": list(ids)})


async def newest(connection: Connection, *, most: int) -> list[Gap]:
    """At most `most` gaps: open ones first, then periods whose backfill is not finished, then the newest."""
    return await _gaps(connection, _NEWEST, {"most": most})


async def add(
    connection: Connection,
    *,
    team: TeamId | None,
    since: datetime,
    until: datetime,
    channel: ChannelId | None,
    instance: str,
) -> Gap:
    """Add a period whose history an operator asks for, and return it."""
    values = {
        "team": team,
        "since": since,
        "until": until,
        "channel": channel,
        "instance": instance,
    }
    return (await _gaps(connection, _ADD, values))[0]


async def begin(
    connection: Connection, gap_id: int, channels: Sequence[ChannelId]
) -> tuple[Gap, list[ChannelProgress]] | None:
    """Record that a backfill of the gap begins. Returns the gap, and the backfill's progress in each channel.

    From then on the gap's period does not change. It may have become longer since the caller read the gap. None
    if the gap has been deleted, or goes on.
    """
    values = {"gap": gap_id, "channels": list(channels)}
    async with connection.transaction():
        found = await _gaps(connection, _BEGIN, values)
        if not found:
            return None
        for query in (_RETRY_SKIPPED, _BEGIN_CHANNELS):
            await connection.execute(query, values)
    cursor = await connection.execute(_CHANNELS, values)
    return found[0], [
        ChannelProgress(
            channel, reached, is_done, skipped, threads, deleted, Account.from_json(account)
        )
        async for channel, reached, is_done, skipped, threads, deleted, account in cursor
    ]


async def leave(connection: Connection, ids: Sequence[int], error: str) -> None:
    """Leave the periods that an operator asked for, and that nobody has tried, to the operator."""
    await connection.execute(_LEAVE, {"ids": list(ids), "error": error})


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
    }
    await connection.execute(_SAVE, values)


async def add_threads(
    connection: Connection, gap: Gap, channel: ChannelId, threads: Sequence[datetime]
) -> None:
    """Save threads that the backfill has to read."""
    values = {"gap": gap.id, "channel": channel, "threads": list(threads)}
    await connection.execute(_ADD_THREADS, values)


async def threads(connection: Connection, gap: Gap, channel: ChannelId) -> list[datetime]:
    """The threads that the backfill still has to read."""
    return await _times(connection, _THREADS, {"gap": gap.id, "channel": channel})


async def end_thread(
    connection: Connection, gap: Gap, channel: ChannelId, thread: datetime
) -> None:
    """Record that the thread was read."""
    await connection.execute(_END_THREAD, {"gap": gap.id, "channel": channel, "thread": thread})


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
    """Record that the backfill has finished. `is_closed` says that nothing of the gap is left."""
    values = {
        "gap": gap.id,
        "is_closed": is_closed,
        "account": to_json(account),
        "error": error,
    }
    async with connection.transaction():
        await connection.execute(_END, values)
        if is_closed:
            await connection.execute(_DELETE_CHANNELS, values)


async def _gaps(
    connection: Connection, query: LiteralString, values: Mapping[str, Any]
) -> list[Gap]:
    return await fetch_rows(connection, Gap, query, values)


async def _times(
    connection: Connection, query: LiteralString, values: Mapping[str, Any]
) -> list[datetime]:
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
