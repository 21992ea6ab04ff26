"""Tools about the workspace: its channels, its people, how much they write, and when data may be missing."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import Field

from tiger_slack_tui.base.times import EARLIEST, LATEST, shift
from tiger_slack_tui.mcp.answers import AnswerModel, AnswerPage, Time, fitting, noted, truncated
from tiger_slack_tui.mcp.call import ArgumentWrong, Call, name_filter
from tiger_slack_tui.mcp.cursors import CursorValues, CursorWrong
from tiger_slack_tui.mcp.quoting import quote, quote_name
from tiger_slack_tui.mcp.tools.parameters import Channel, Cursor, Since, Until, User
from tiger_slack_tui.store.activity import daily_activity
from tiger_slack_tui.store.conversations import (
    GapRow,
    gaps_between,
    list_channels,
    list_users,
)
from tiger_slack_tui.store.message_trail import CoveringGap
from tiger_slack_tui.store.readable_messages import plain_names

_MOST_TOPIC = 300
_MOST_DAYS = 92
_DAYS = 7


class ChannelInfo(AnswerModel):
    """A channel."""

    id: str
    name: str
    type: str | None = Field(
        default=None, description="channel (public), group (private), im or mpim (direct messages)."
    )
    quoted_topic: str | None = None
    quoted_purpose: str | None = None
    is_archived: bool
    is_shared: bool = Field(description="Whether it is shared with another workspace.")
    complete_since: Time | None = Field(
        default=None,
        description="Older messages may be missing. Absent if it is not known how far back the channel is complete.",
    )
    complete_until: Time | None = Field(
        default=None,
        description="Newer messages may be missing. Absent if it is complete until now.",
    )


class Channels(AnswerPage):
    """Channels by name."""

    channels: list[ChannelInfo]


class UserInfo(AnswerModel):
    """A person or a bot."""

    id: str
    handle: str
    name: str = Field(description="The name that Slack shows.")
    real_name: str | None = None
    email: str | None = None
    time_zone: str | None = None
    is_bot: bool
    is_deactivated: bool


class Users(AnswerPage):
    """Users by handle."""

    users: list[UserInfo]


class ActivityInfo(AnswerModel):
    """What happened in a channel on a day."""

    day: date
    channel_id: str
    channel: str | None = None
    messages: int
    people: int = Field(description="People who wrote.")
    threads: int = Field(description="Threads in which people replied.")
    reactions: int = Field(description="Reactions to the messages of the day.")
    first_reply_p50: float | None = Field(
        default=None,
        description="Seconds until the first reply to a message of the day, the median. Absent if none has replies.",
    )
    first_reply_p90: float | None = Field(
        default=None, description="The same, for 90 % of the messages with replies."
    )


class Activity(AnswerPage):
    """Messages by day and channel, the newest day first."""

    activity: list[ActivityInfo]


class GapInfo(AnswerModel):
    """A time in which messages may be missing."""

    id: int
    reason: str
    started_at: Time
    ended_at: Time | None = Field(default=None, description="Absent while it goes on.")
    channel_id: str | None = Field(
        default=None, description="The only channel that it concerns; absent: all."
    )
    closed_at: Time | None = Field(
        default=None,
        description="When the missing messages were fetched. Absent while the gap is open.",
    )


class Gaps(AnswerPage):
    """Gaps, the newest first."""

    gaps: list[GapInfo]


Name = Annotated[
    str | None, Field(description="Only names that contain this, or match a pattern with * and ?.")
]
Limit = Annotated[int, Field(ge=1, le=500, description="Most items of a page.")]


async def get_channels(
    call: Call,
    name: Name = None,
    include_archived: bool = False,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> Channels:
    """List the channels that are visible, by name."""
    after = call.position(str, str) or ("", "")
    found = await list_channels(
        call.connection,
        call.visible,
        name=name_filter(name),
        archived=include_archived,
        after=(str(after[0]), str(after[1])),
        n=limit + 1,
    )
    page = found[:limit]
    items, all_fit = fitting(
        ChannelInfo(
            id=row.id,
            name=quote_name(row.name) or row.id,
            type=call.visible.type_of(row.id),
            quoted_topic=quote(row.topic)[:_MOST_TOPIC] if row.topic else None,
            quoted_purpose=quote(row.purpose)[:_MOST_TOPIC] if row.purpose else None,
            is_archived=row.is_archived,
            is_shared=row.is_shared,
            complete_since=row.complete_since,
            complete_until=row.complete_until,
        )
        for row in page
    )
    last = page[len(items) - 1] if items and len(items) < len(found) else None
    return Channels(
        notes=noted(truncated(all_fit=all_fit), call.access.describe()),
        next_cursor=call.cursor(last.name, last.id) if last else None,
        channels=items,
    )


async def get_users(
    call: Call,
    name: Name = None,
    include_deactivated: bool = False,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> Users:
    """List people and bots, by handle. E-mail addresses are only shown if the operator allows it."""
    after = call.position(str, str) or ("", "")
    found = await list_users(
        call.connection,
        name=name_filter(name),
        deactivated=include_deactivated,
        emails=call.access.emails,
        after=(str(after[0]), str(after[1])),
        n=limit + 1,
    )
    page = found[:limit]
    items, all_fit = fitting(
        UserInfo(
            id=row.id,
            handle=quote_name(row.handle) or row.id,
            name=quote_name(row.display_name or row.real_name or row.handle) or row.id,
            real_name=quote_name(row.real_name),
            email=row.email,
            time_zone=row.tz,
            is_bot=row.is_bot,
            is_deactivated=row.is_deactivated,
        )
        for row in page
    )
    last = page[len(items) - 1] if items and len(items) < len(found) else None
    return Users(
        notes=noted(truncated(all_fit=all_fit)),
        next_cursor=call.cursor(last.handle, last.id) if last else None,
        users=items,
    )


async def get_activity(
    call: Call,
    since: Since = None,
    until: Until = None,
    channel: Channel | None = None,
    user: User | None = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> Activity:
    """Count messages, people, threads, reactions and the time until first replies, by day (UTC) and channel.

    Of the last 7 days, or of a period of at most 92 days.
    """
    begin, end = _activity_period(call, since, until)
    channel_id = await call.channel(channel) if channel else None
    user_id = await call.user(user) if user else None
    after = call.position(str, str)
    found = await daily_activity(
        call.connection,
        call.visible,
        since=begin,
        until=end,
        channel_id=channel_id,
        user_id=user_id,
        after=_day_and_channel(after) if after else None,
        n=limit + 1,
    )
    names = await plain_names(call.connection, {row.channel_id for row in found}, call.visible)
    items, all_fit = fitting(
        ActivityInfo(
            day=row.day,
            channel_id=row.channel_id,
            channel=quote_name(names.get(row.channel_id)),
            messages=row.messages,
            people=row.people,
            threads=row.threads,
            reactions=row.reactions,
            first_reply_p50=row.first_reply_p50,
            first_reply_p90=row.first_reply_p90,
        )
        for row in found[:limit]
    )
    last = items[-1] if items and len(items) < len(found) else None
    return Activity(
        notes=noted(truncated(all_fit=all_fit), await call.gap_note(begin, end, channel_id)),
        next_cursor=call.cursor(last.day.isoformat(), last.channel_id) if last else None,
        activity=items,
    )


def _activity_period(call: Call, since: str | None, until: str | None) -> tuple[datetime, datetime]:
    """The period, which ends now and has 7 days unless the arguments say otherwise. Raises ArgumentWrong."""
    begin, end = call.period(since, until)
    if end == LATEST:
        end = call.now
    if begin == EARLIEST:
        begin = shift(end, -timedelta(days=_DAYS))
    if end - begin > timedelta(days=_MOST_DAYS):
        raise ArgumentWrong(f"The period has more than {_MOST_DAYS} days.", hint="Ask for less.")
    return begin, end


async def get_gaps(
    call: Call,
    since: Since = None,
    until: Until = None,
    channel: Channel | None = None,
    include_closed: bool = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Gaps:
    """List times for which messages may be missing, because events were not received then."""
    begin, end = call.period(since, until)
    channel_id = await call.channel(channel) if channel else None
    after = call.position(int)
    found = await gaps_between(
        call.connection,
        call.visible,
        since=begin,
        until=end,
        channel_id=channel_id,
        closed=include_closed,
        before=int(str(after[0])) if after else None,
        n=limit + 1,
    )
    items, all_fit = fitting(gap_info(row) for row in found[:limit])
    is_more = len(items) < len(found)
    return Gaps(
        notes=noted(truncated(all_fit=all_fit)),
        next_cursor=call.cursor(items[-1].id) if is_more else None,
        gaps=items,
    )


def gap_info(gap: GapRow | CoveringGap) -> GapInfo:
    """The gap for a model."""
    return GapInfo(
        id=gap.id,
        reason=gap.reason,
        started_at=gap.started_at,
        ended_at=gap.ended_at,
        channel_id=gap.channel_id,
        closed_at=gap.closed_at,
    )


def _day_and_channel(position: CursorValues) -> tuple[str, str]:
    """The position in a list of days and channels. Raises CursorWrong."""
    try:
        return str(date.fromisoformat(str(position[0]))), str(position[1])
    except ValueError:
        raise CursorWrong from None
