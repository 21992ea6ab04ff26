"""Whether a backfill runs now, in any program, and how far it is."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.lock_keys import BACKFILL_LOCK_KEY
from tiger_slack_tui.postgres.locks import holders
from tiger_slack_tui.postgres.queries import fetch_value

_PROGRESS: LiteralString = """
select coalesce(
( select r.progress from slack.job_run r where r.job = 'backfill' and r.outcome is null order by r.id desc limit 1
), 'it has just begun')
"""
_IS_OWED: LiteralString = """
select exists
( select from slack.gap g
  where g.closed_at is null
  and g.error is null
  and not slack.is_loss(g)
  and (g.channel_id is null or g.channel_id = any (%(channels)s::text[]))
)
"""


async def running_backfill(
    connection: Connection, channels: Collection[ChannelId] | None = None
) -> str | None:
    """How far the backfill is that runs now, in words; None if none runs.

    With `channels`, also None if the history of none of them is to be read.
    """
    if not await holders(connection, [BACKFILL_LOCK_KEY]):
        return None
    values = {"channels": None if channels is None else list(channels)}
    if channels is not None and not await fetch_value(connection, _IS_OWED, values):
        return None
    return str(await fetch_value(connection, _PROGRESS))
