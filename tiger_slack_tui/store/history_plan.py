"""What is left of histories that a backfill has begun, and which threads it would read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value
from tiger_slack_tui.store.gap_progress import HAS_GROWN, PendingThread
from tiger_slack_tui.store.gaps import GOES_ON

_BEGUN: LiteralString = f"""
select g.channel_id
, g.started_at as since
, coalesce(p.reached, g.ended_at) as until
, g.ended_at as planned_until
, (select count(*) from slack.gap_thread t where t.gap_id = g.id) as threads
, coalesce((p.account ->> 'read')::int8, 0) as read
from slack.gap g
left join slack.gap_channel p on p.gap_id = g.id and p.channel_id = g.channel_id
where g.channel_id = any (%(channels)s::text[])
and g.ended_at is not null
and {GOES_ON}
order by g.channel_id, g.id
"""  # noqa: S608 only constants
_GROWN: LiteralString = f"""
select count(*)
from unnest(%(threads)s::timestamptz[], %(counts)s::int4[], %(latest)s::timestamptz[])
  t (thread_ts, reply_count, latest_reply)
where {HAS_GROWN}
"""  # noqa: S608 only constants


@dataclass(frozen=True, slots=True)
class BegunHistory:
    """A history of a channel that is not finished. It is read from the newest message back."""

    channel_id: ChannelId
    since: datetime
    until: datetime
    """Until when it is still to read."""
    planned_until: datetime
    """Until when it was to read at first."""
    threads: int
    """The threads that were found and not read."""
    read: int
    """The messages that are read."""


async def begun_histories(
    connection: Connection, channels: Sequence[ChannelId], *, since: datetime, until: datetime
) -> list[BegunHistory]:
    """The histories that go on if `add_histories` adds those of these channels for this time."""
    values = {"channels": list(channels), "since": since, "until": until}
    return await fetch_rows(connection, BegunHistory, _BEGUN, values)


async def grown_threads(
    connection: Connection, channel: ChannelId, threads: Sequence[PendingThread]
) -> int:
    """How many of the threads have grown since a backfill read them, or were never read."""
    values = {
        "channel": channel,
        "threads": [thread.ts for thread in threads],
        "counts": [thread.reply_count for thread in threads],
        "latest": [thread.latest_reply for thread in threads],
    }
    return int(await fetch_value(connection, _GROWN, values))
