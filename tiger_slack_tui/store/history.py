"""slack.channel.complete_since and complete_until: for which time each channel is complete.

`migrations/idempotent/014-history.sql` has the functions that keep them true.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value
from tiger_slack_tui.store.visible_channels import VisibleChannels, visible_parameter

_CHANNELS = 200
"""Channels of a transaction. Live events about one of them wait until it ends."""
_UPDATE_HEARD = "select slack.update_heard(%(kinds)s::text[])"
_REFRESH = "select r.last, r.has_locked from slack.refresh_heard(%(after)s, %(n)s) r"

# A channel that is complete until now is so until the last heartbeat. A heartbeat comes every 5 s.
KNOWN_UNTIL: LiteralString = """
case when c.complete_since is null or c.complete_until is not null then c.complete_until
else (select max(n.seen_at) from slack.connection n having max(n.seen_at) < now() - interval '1 minute')
end"""
"""complete_until of the channel `c`, for readers. That all instances are dead, no row says until one starts."""

# Of channels that nobody asked for, only the beginning counts: an export ends, and no backfill goes beyond now.
_INCOMPLETE: LiteralString = f"""
select *
from
( select c.id, c.channel_name as name, c.complete_since, k.complete_until
  , coalesce(c.complete_since > greatest(%(since)s::timestamptz, 'epoch'), false) as is_before
  , %(channels)s::text[] is not null
    and coalesce(k.complete_until < least(%(until)s::timestamptz, now() - interval '1 minute'), false) as is_after
  from slack.channel c
  cross join lateral (select {KNOWN_UNTIL}) k (complete_until)
  where slack.is_visible(c.id, %(visible)s::text[])
  and (%(channels)s::text[] is null or c.id = any (%(channels)s::text[]))
) c
where c.is_before
or c.is_after
order by c.name, c.id
limit 1000
"""  # noqa: S608 only constants


@dataclass(frozen=True, slots=True)
class IncompleteChannel:
    """A channel of which messages of a time may be missing. Its name was written by people."""

    id: ChannelId
    name: str
    complete_since: datetime
    complete_until: datetime | None
    """None if it is complete until now."""
    is_before: bool
    """Whether the time begins before `complete_since`."""
    is_after: bool
    """Whether the time ends after `complete_until`."""


async def incomplete_channels(
    connection: Connection,
    *,
    since: datetime | None,
    until: datetime | None,
    channels: Collection[ChannelId] | None,
    visible: VisibleChannels | None,
) -> list[IncompleteChannel]:
    """The channels that are known not to be complete for all of the time, at most 1,000; None is an open end.

    If `channels` were asked for, also those among them that end too early. A reader who may see only some channels
    gives them as `visible`.
    """
    values = {
        "since": since,
        "until": until,
        "channels": None if channels is None else list(channels),
        "visible": visible_parameter(visible),
    }
    return await fetch_rows(connection, IncompleteChannel, _INCOMPLETE, values)


async def update_heard(connection: Connection, kinds: Collection[str] | None) -> int:
    """Note up to 100 channels that are heard from now on, or no longer. Returns how many. Raises psycopg.Error.

    A channel is heard from now on if a list named it for the first time: its history is owed. `kinds` has the types
    of channels whose history the app may read; None: all. A channel of another type is not heard. Channels whose
    rows are locked are left to the next call.
    """

    async def update() -> int:
        values = {"kinds": None if kinds is None else list(kinds)}
        return int(await fetch_value(connection, _UPDATE_HEARD, values))

    return await retry_deadlocks(update)


@dataclass(frozen=True, slots=True)
class RefreshedChannels:
    """Channels that are up to date with the gaps."""

    last: str | None
    """The id of the last one; None if there were no more."""
    has_locked: bool
    """Whether some were left out, because their rows are locked."""


async def refresh_heard(connection: Connection, after: str) -> RefreshedChannels:
    """Bring the next 200 channels that are or were heard, by id, up to date with the gaps. Raises psycopg.Error."""

    async def refresh() -> RefreshedChannels:
        values = {"after": after, "n": _CHANNELS}
        return (await fetch_rows(connection, RefreshedChannels, _REFRESH, values))[0]

    return await retry_deadlocks(refresh)


async def refresh_all_heard(connection: Connection) -> None:
    """Bring all channels that are or were heard up to date with the gaps. Raises psycopg.Error.

    Those whose rows are locked are left to the instances' next heartbeats.
    """
    after: str | None = ""
    while after is not None:
        after = (await refresh_heard(connection, after)).last
