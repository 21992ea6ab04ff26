"""Reads channels, users and threads page by page, for readers who see only some channels.

Each function that takes a channel's id trusts that the caller has checked it; the others take the visible channels.
A page begins after the position that the caller gives, so that a change of the tables skips or repeats nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypeVar

from tiger_slack_tui.base.ids import ChannelId, SlackTs, UserId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows
from tiger_slack_tui.store.history import KNOWN_UNTIL
from tiger_slack_tui.store.readable_messages import (
    MESSAGE_COLUMNS,
    ReadableMessage,
    time_text,
)
from tiger_slack_tui.store.visible_channels import VisibleChannels

T = TypeVar("T")

_CHANNELS: LiteralString = f"""
select c.id, c.channel_name as name, nullif(c.topic, '') as topic, nullif(c.purpose, '') as purpose, c.is_archived
, c.is_shared or c.is_ext_shared or c.is_org_shared as is_shared, c.complete_since, {KNOWN_UNTIL} as complete_until
from slack.channel c
where slack.is_visible(c.id, %(visible)s::text[])
and (%(name)s::text is null or lower(c.channel_name) like lower(%(name)s) or c.id = %(id)s)
and (%(archived)s or not c.is_archived)
and (c.channel_name, c.id) > (%(after_name)s, %(after_id)s)
order by c.channel_name, c.id
limit %(n)s
"""  # noqa: S608 only constants
_USERS: LiteralString = """
select u.id, u.user_name as handle, nullif(u.real_name, '') as real_name, nullif(u.display_name, '') as display_name
, u.tz, u.is_bot, u.deleted as is_deactivated, case when %(emails)s then u.email end as email
from slack."user" u
where
( %(name)s::text is null
  or u.id = %(id)s
  or lower(u.user_name) like lower(%(name)s)
  or lower(u.real_name) like lower(%(name)s)
  or lower(u.display_name) like lower(%(name)s)
  or %(emails)s and lower(u.email) like lower(%(name)s)
)
and (%(deactivated)s or not u.deleted)
and (u.user_name, u.id) > (%(after_name)s, %(after_id)s)
order by u.user_name, u.id
limit %(n)s
"""
_TOP_LEVEL: LiteralString = f"""
select {MESSAGE_COLUMNS}
from slack.channel_messages
( %(channel)s
, %(since)s::timestamptz
, least(%(until)s::timestamptz, %(before)s::timestamptz)
, %(n)s
, true
) m
order by m.ts desc
"""  # noqa: S608 our own text
_REPLIES: LiteralString = f"""
select {MESSAGE_COLUMNS}
from unnest(%(threads)s::timestamptz[]) t (ts)
cross join lateral slack.get_messages
( %(channel)s
, array
  ( select r
    from unnest(slack.thread_times(%(channel)s, t.ts)) r
    where r > t.ts
    order by r
    limit %(n)s
  )
) m
order by m.ts
"""  # noqa: S608 our own text
_REPLIED: LiteralString = """
select k.channel_id, k.ts
from unnest(%(channels)s::text[], %(ts)s::text[], %(times)s::timestamptz[]) k (channel_id, ts, time)
where k.time < any (slack.thread_times(k.channel_id, k.time))
"""
_GAPS: LiteralString = """
select g.id, g.reason, g.started_at, g.ended_at, g.channel_id, g.closed_at
from slack.gap g
where (g.channel_id is null or slack.is_visible(g.channel_id, %(visible)s::text[]))
and (%(channel)s::text is null or g.channel_id is null or g.channel_id = %(channel)s)
and (%(closed)s or g.closed_at is null)
and slack.is_loss(g)
and g.started_at < %(until)s::timestamptz
and coalesce(g.ended_at, 'infinity') >= %(since)s::timestamptz
and g.id < %(before)s
order by g.id desc
limit %(n)s
"""


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel. Name, topic and purpose were written by people."""

    id: ChannelId
    name: str
    topic: str | None
    purpose: str | None
    is_archived: bool
    is_shared: bool
    complete_since: datetime | None
    complete_until: datetime | None


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user. Names were written by people. `email` is None unless e-mail addresses were asked for."""

    id: UserId
    handle: str
    real_name: str | None
    display_name: str | None
    tz: str | None
    is_bot: bool
    is_deactivated: bool
    email: str | None


@dataclass(frozen=True, slots=True)
class GapRow:
    """A gap. `ended_at` is None while it goes on; `channel_id` is None if it concerns all channels."""

    id: int
    reason: str
    started_at: datetime
    ended_at: datetime | None
    channel_id: ChannelId | None
    closed_at: datetime | None


async def list_channels(
    connection: Connection,
    visible: VisibleChannels,
    *,
    name: tuple[str, str] | None,
    archived: bool,
    after: tuple[str, str],
    n: int,
) -> list[ChannelRow]:
    """Visible channels by name. `name` is a pattern of LIKE and an id; `after` is (name, id)."""
    values = {"visible": visible.parameter(), "archived": archived, "n": n}
    return await fetch_rows(connection, ChannelRow, _CHANNELS, values | _named(name, after))


async def list_users(
    connection: Connection,
    *,
    name: tuple[str, str] | None,
    deactivated: bool,
    emails: bool,
    after: tuple[str, str],
    n: int,
) -> list[UserRow]:
    """Users by handle. `name` is a pattern of LIKE and an id; `after` is (handle, id)."""
    values = {"deactivated": deactivated, "emails": emails, "n": n}
    return await fetch_rows(connection, UserRow, _USERS, values | _named(name, after))


async def fetch_top_level(
    connection: Connection,
    channel_id: ChannelId,
    *,
    since: datetime,
    until: datetime,
    before: SlackTs | None,
    n: int,
) -> list[ReadableMessage]:
    """The messages of a channel that are not replies, before a ts, the newest first."""
    values = {
        "channel": channel_id,
        "since": str(since),
        "until": str(until),
        "before": time_text(before) if before else "infinity",
        "n": n,
    }
    return await fetch_rows(connection, ReadableMessage, _TOP_LEVEL, values)


async def fetch_first_replies(
    connection: Connection, channel_id: ChannelId, threads: Sequence[SlackTs], *, n: int
) -> list[ReadableMessage]:
    """The first n replies of each thread, the oldest first."""
    if not threads:
        return []
    times = [time_text(ts) for ts in threads]
    values = {"channel": channel_id, "threads": times, "n": n}
    return await fetch_rows(connection, ReadableMessage, _REPLIES, values)


async def with_replies(
    connection: Connection, keys: Sequence[tuple[ChannelId, SlackTs]]
) -> set[tuple[ChannelId, SlackTs]]:
    """Those of the messages, given by channel id and ts, to which there are replies."""
    values = {
        "channels": [channel_id for channel_id, _ in keys],
        "ts": [ts for _, ts in keys],
        "times": [time_text(ts) for _, ts in keys],
    }
    cursor = await connection.execute(_REPLIED, values, prepare=False)
    return {(channel_id, ts) for channel_id, ts in await cursor.fetchall()}


async def gaps_between(
    connection: Connection,
    visible: VisibleChannels,
    *,
    since: datetime,
    until: datetime,
    channel_id: ChannelId | None = None,
    closed: bool = False,
    before: int | None = None,
    n: int,
) -> list[GapRow]:
    """The gaps that touch the period, the newest first, before an id: of all channels, and of visible ones.

    Periods of which an operator only asked for the history are left out.

    With `channel_id`, none of other channels. `closed` adds those that a backfill closed.
    """
    values = {
        "visible": visible.parameter(),
        "since": str(since),
        "until": str(until),
        "channel": channel_id,
        "closed": closed,
        "before": (1 << 62) if before is None else before,
        "n": n,
    }
    return await fetch_rows(connection, GapRow, _GAPS, values)


def _named(name: tuple[str, str] | None, after: tuple[str, str]) -> dict[str, Any]:
    pattern, id_ = name or (None, None)
    return {"name": pattern, "id": id_, "after_name": after[0], "after_id": after[1]}
