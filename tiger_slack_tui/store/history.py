"""slack.channel.complete_since and complete_until: for which time each channel is complete.

`migrations/idempotent/014-history.sql` has the functions that keep them true.
"""

from __future__ import annotations

from typing import LiteralString

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.postgres.queries import fetch_value

_CHANNELS = 200
"""Channels of a transaction. Live events about one of them wait until it ends."""
_HEAR = "select slack.hear_members()"
_REFRESH: LiteralString = """
with next as materialized
( select c.id
  from slack.channel c
  where c.heard_since is not null
  and c.id collate "C" > %(after)s
  order by c.id collate "C"
  limit %(n)s
)
, refreshed as materialized
( select n.id, slack.refresh_complete(n.id)::text from next n )
select max(r.id collate "C") from refreshed r
"""


async def hear_members(connection: Connection) -> int:
    """Note up to 100 channels that a list named for the first time: their history is owed. Returns how many.

    Raises psycopg.Error.
    """

    async def hear() -> int:
        return int(await fetch_value(connection, _HEAR))

    return await retry_deadlocks(hear)


async def refresh_heard(connection: Connection, after: str) -> str | None:
    """Bring the next 200 channels that are heard, by id, up to date with the gaps. Raises psycopg.Error.

    Returns the last of them; None if there are no more.
    """

    async def refresh() -> str | None:
        values = {"after": after, "n": _CHANNELS}
        found: str | None = await fetch_value(connection, _REFRESH, values)
        return found

    return await retry_deadlocks(refresh)


async def refresh_all_heard(connection: Connection) -> None:
    """Bring all channels that are heard up to date with the gaps. Raises psycopg.Error."""
    after: str | None = ""
    while after is not None:
        after = await refresh_heard(connection, after)
