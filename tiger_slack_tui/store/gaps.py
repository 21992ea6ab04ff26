"""slack.gap: the periods in which events may be missing, and the progress of their backfills.

Gaps are recorded by the functions of `migrations/idempotent/008-gaps.sql`, mainly slack.record_gap().
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from tiger_slack_tui.base.ids import ChannelId, TeamId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value, to_json

BY_HAND = "by hand"
"""The reason of a period whose history an operator asked for. Events of it are not known to be missing."""
JOINED = "joined"
"""The reason of the history of a channel before the app joined it. No event of it is missing."""
GAP_COLUMNS: LiteralString = (
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
# was killed: it has begun, and its end is not recorded. It tries every hour to close a gap with missing
# events.
_HAS_DUE: LiteralString = """
select exists
( select from slack.gap g
  where g.closed_at is null
  and
  ( g.tried_at is null
  or (g.tried_at < %(since)s and g.reason <> 'by hand')
  or (g.tried_at < now() - interval '1 hour' and slack.is_loss(g))
  )
  and slack.is_settled(g)
  and (g.team_id is null or %(team)s::text is null or g.team_id = %(team)s)
  and (g.reason <> 'joined' or exists (select from slack.channel c where c.id = g.channel_id and c.is_member))
)
"""
_HAS_NEW_LOSS: LiteralString = """
select exists
( select from slack.gap g
  where g.closed_at is null
  and g.tried_at is null
  and slack.is_loss(g)
  and slack.is_settled(g)
  and (g.team_id is null or g.team_id = %(team)s)
)
"""
_DUE: LiteralString = f"""
select {GAP_COLUMNS} from slack.gap g
where g.closed_at is null
and g.ended_at is not null
and (%(all)s or (slack.is_settled(g) and (g.tried_at is null or g.reason <> 'by hand')))
and (g.team_id is null or g.team_id = %(team)s)
and (g.reason <> 'joined' or exists (select from slack.channel c where c.id = g.channel_id and c.is_member))
order by not slack.is_loss(g), g.id
"""  # noqa: S608 only constants
_GET: LiteralString = f"""
select {GAP_COLUMNS} from slack.gap g
where g.id = any (%(ids)s)
order by g.id
"""  # noqa: S608
_NEWEST: LiteralString = f"""
select {GAP_COLUMNS} from slack.gap g
where not %(troubles)s
or slack.is_loss(g)
or (g.error is not null and g.closed_at is null)
order by case when g.closed_at is not null then 2 when slack.is_loss(g) then 0 else 1 end, g.id desc
limit %(most)s
"""  # noqa: S608
_ADD: LiteralString = f"""
insert into slack.gap as g (team_id, reason, started_at, ended_at, channel_id, instance)
values (%(team)s, 'by hand', %(since)s, %(until)s, %(channel)s, %(instance)s)
returning {GAP_COLUMNS}
"""  # noqa: S608
# Histories of these channels that are not finished go on, and what came after them is added. One that begins long
# before what was asked for is another history: who asks for a year does not wait for ten.
GOES_ON: LiteralString = """g.closed_at is null
and not slack.is_loss(g)
and g.started_at <= %(since)s
and g.started_at >= %(since)s::timestamptz - (%(until)s::timestamptz - %(since)s::timestamptz)"""
_ADD_HISTORIES: LiteralString = f"""
with wanted as materialized
( select c.id, max(g.ended_at) as until
  from unnest(%(channels)s::text[]) c (id)
  left join slack.gap g
  on g.channel_id = c.id
  and {GOES_ON}
  group by c.id
)
, added as
( insert into slack.gap as g (team_id, reason, started_at, ended_at, channel_id, instance)
  select %(team)s, 'by hand', coalesce(w.until, %(since)s), %(until)s, w.id, %(instance)s
  from wanted w
  where w.until is null
  or w.until < %(until)s - interval '5 minutes'
  order by w.id
  returning {GAP_COLUMNS}
)
select {GAP_COLUMNS} from added g
union all
select {GAP_COLUMNS}
from slack.gap g
where g.channel_id = any (%(channels)s)
and {GOES_ON}
order by 1
"""  # noqa: S608
_OPEN: LiteralString = """
select count(*), count(*) filter (where g.ended_at is null), min(g.started_at)
from slack.gap g
where g.closed_at is null
and slack.is_loss(g)
"""
# Whoever notes that the app has left channels writes their gaps in another order, and says why they are not read. So
# no row is waited for.
_LEAVE: LiteralString = """
update slack.gap set tried_at = now(), account = '{}', error = %(error)s
where id in
( select g.id from slack.gap g
  where g.id = any (%(ids)s)
  and g.reason = 'by hand'
  and g.tried_at is null
  for update skip locked
)
"""
_FAIL: LiteralString = """
update slack.gap g set tried_at = now(), account = given.value, error = %(error)s
from jsonb_each(%(accounts)s::jsonb) given
where g.id = given.key::int8
and g.id in
( select o.id from slack.gap o
  where o.id = any (%(ids)s)
  and o.closed_at is null
  for update skip locked
)
"""
# Not of channels that the app has left: they are owed again once it joins.
_UNREAD: LiteralString = """
select count(*) filter (where o.is_owed)
, min(g.error) filter (where o.is_owed and g.error is not null)
, count(distinct g.channel_id) filter (where not o.is_owed)
from slack.gap g
cross join lateral
( select g.reason <> 'joined' or exists
    ( select from slack.channel c where c.id = g.channel_id and c.is_member ) as is_owed
) o
where g.closed_at is null
and not slack.is_loss(g)
"""


def row_title(id_: int, reason: str) -> str:
    """What people call a row of slack.gap; see `Gap.title`."""
    return f"{'gap' if is_loss(reason) else 'history'} {id_}"


def is_loss(reason: str) -> bool:
    """Whether events may be missing because of a gap with this reason. Else it is a history that is to be read."""
    return reason not in (BY_HAND, JOINED)


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
    def is_loss(self) -> bool:
        """Whether events may be or were missing because of it. Else it is a history that is to be read."""
        return is_loss(self.reason)

    @property
    def may_miss_events(self) -> bool:
        """Whether events of it may be missing: it is open, and not only a period whose history is to be read."""
        return self.closed_at is None and self.is_loss

    @property
    def title(self) -> str:
        """What people call it: a gap if events may be missing, or a history that is to be read, with its number."""
        return row_title(self.id, self.reason)

    @property
    def is_given_up(self) -> bool:
        """Whether it is closed as the history of a channel that Slack has no longer, so that nothing was read."""
        channels = (self.account or {}).get("channels")
        return self.closed_at is not None and self.is_history and channels == 0

    @property
    def state(self) -> str:
        """Whether it is closed, in a word: a history is read, given up, or not finished."""
        if self.closed_at is None:
            return "open" if self.is_loss else "not finished"
        if self.is_given_up:
            return "given up"
        return "closed" if self.is_loss else "read"

    @property
    def is_history(self) -> bool:
        """Whether it is the history of one channel. Such histories are read at once."""
        return self.channel_id is not None and self.reason in (BY_HAND, JOINED)


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


async def has_due(connection: Connection, team: TeamId | None, since: datetime) -> bool:
    """Whether `due` has a gap that no backfill has tried to close since then, by the database's clock.

    If `team` is None, a gap of any workspace counts.

    For a gap in which events are missing, an hour is enough.
    """
    return bool(await fetch_value(connection, _HAS_DUE, {"team": team, "since": since}))


async def has_new_loss(connection: Connection, team: TeamId) -> bool:
    """Whether there is a gap in which events are missing, that has ended, and that no backfill has tried to close."""
    return bool(await fetch_value(connection, _HAS_NEW_LOSS, {"team": team}))


async def due(connection: Connection, team: TeamId, *, growing: bool) -> list[Gap]:
    """The gaps that have ended and are not closed.

    With `growing`, also those that may still become longer, and periods that an operator asked for whose backfill was
    stopped or failed.
    """
    return await _gaps(connection, _DUE, {"team": team, "all": growing})


async def get(connection: Connection, ids: Sequence[int]) -> list[Gap]:
    """The gaps with these ids. Unknown ids are left out."""
    return await _gaps(connection, _GET, {"ids": list(ids)})


async def newest(connection: Connection, *, most: int, troubles: bool = False) -> list[Gap]:
    """At most `most` gaps: open ones first, then periods whose backfill is not finished, then the newest.

    `troubles` are gaps in which events are missing, and of the other periods those whose backfill has failed.
    """
    return await _gaps(connection, _NEWEST, {"most": most, "troubles": troubles})


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


async def add_histories(
    connection: Connection,
    *,
    team: TeamId | None,
    channels: Sequence[ChannelId],
    since: datetime,
    until: datetime,
    instance: str,
) -> list[Gap]:
    """Add the history of each channel as a period that an operator asks for.

    If the backfill of a channel's history is not finished, it goes on, and only what came after it is added. It does
    not go on if it is more than twice as long as the period that is asked for. Returns all of these periods.
    """
    values = {
        "team": team,
        "channels": list(channels),
        "since": since,
        "until": until,
        "instance": instance,
    }
    return await _gaps(connection, _ADD_HISTORIES, values)


async def leave(connection: Connection, ids: Sequence[int], error: str) -> None:
    """Leave the periods that an operator asked for, and that nobody has tried, to the operator."""
    await connection.execute(_LEAVE, {"ids": list(ids), "error": error})


async def fail(connection: Connection, accounts: Mapping[int, Any], error: str) -> None:
    """Record why backfills of these gaps have ended before their ends, and the account of each so far."""
    values = {
        "ids": list(accounts),
        "accounts": to_json({str(gap): account for gap, account in accounts.items()}),
        "error": error,
    }
    await connection.execute(_FAIL, values)


@dataclass(frozen=True, slots=True)
class UnreadHistories:
    """The histories of channels that are not read to their end."""

    count: int
    error: str | None
    """Why one of them is not; None if none was tried."""
    left: int
    """The channels that the app has left before their history was read. It is owed again once the app is invited."""


async def unread_histories(connection: Connection) -> UnreadHistories:
    """The histories that are owed since the app joined channels, or that an operator asked for."""
    row = await (await connection.execute(_UNREAD)).fetchone()
    return UnreadHistories(*row) if row else UnreadHistories(0, None, 0)


async def _gaps(
    connection: Connection, query: LiteralString, values: Mapping[str, Any]
) -> list[Gap]:
    return await fetch_rows(connection, Gap, query, values)
