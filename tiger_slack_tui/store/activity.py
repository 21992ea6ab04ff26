"""Counts what is written: messages, people, threads, reactions, and the time until first replies."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import LiteralString

from tiger_slack_tui.base.ids import ChannelId, UserId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows
from tiger_slack_tui.store.visible_channels import VisibleChannels

_BY_DAY_AND_CHANNEL: LiteralString = """
select a.*
from slack.get_activity
( %(since)s::timestamptz, %(until)s::timestamptz, %(channels)s::text[], %(users)s::text[], %(visible)s::text[] ) a
where (a.day, a.channel_id) < (%(day)s::date, %(after_id)s)
order by a.day desc, a.channel_id desc
limit %(n)s
"""
_SUMS: LiteralString = """
select a.*
from slack.get_activity
( %(since)s::timestamptz, %(until)s::timestamptz, %(channels)s::text[], %(users)s::text[], sums => true ) a
order by a.day, a.messages desc, a.channel_id
"""


@dataclass(frozen=True)
class Activity:
    """What was written; see slack.activity_daily."""

    messages: int
    people: int
    threads: int
    """Threads that got a reply."""
    reactions: int
    first_reply_p50: float | None
    """Seconds. None if there are no replies, or they are not known yet."""
    first_reply_p90: float | None


@dataclass(frozen=True)
class DailyActivity(Activity):
    """What was written in a channel on a day of UTC."""

    day: date
    channel_id: ChannelId


@dataclass(frozen=True)
class ActivitySum(Activity):
    """What was written on a day in all channels, in a channel in the whole period, or in all: what is None is all."""

    day: date | None
    channel_id: ChannelId | None


async def daily_activity(
    connection: Connection,
    visible: VisibleChannels,
    *,
    since: datetime,
    until: datetime,
    channel_id: ChannelId | None,
    user_id: UserId | None,
    after: tuple[str, str] | None,
    n: int,
) -> list[DailyActivity]:
    """What was written by day and visible channel, the newest day first, after (day, channel)."""
    day, after_id = after or ("infinity", "")
    values = {
        "visible": visible.parameter(),
        "since": str(since),
        "until": str(until),
        "channels": [channel_id] if channel_id else None,
        "users": [user_id] if user_id else None,
        "day": day,
        "after_id": after_id,
        "n": n,
    }
    return await fetch_rows(connection, DailyActivity, _BY_DAY_AND_CHANNEL, values)


async def activity_sums(
    connection: Connection,
    *,
    since: datetime,
    until: datetime,
    channel_ids: Collection[ChannelId] = (),
    user_ids: Collection[UserId] = (),
) -> list[ActivitySum]:
    """The sums of each day, the oldest first; of each channel, that with the most messages first; and of all.

    Without ids, of all channels, or of all users.
    """
    values = {
        "since": str(since),
        "until": str(until),
        "channels": list(channel_ids) or None,
        "users": list(user_ids) or None,
    }
    return await fetch_rows(connection, ActivitySum, _SUMS, values)
