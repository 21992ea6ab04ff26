"""Of which channels the app is no member: Slack sends it none of their messages."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from psycopg.rows import scalar_row

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.visible_channels import VisibleChannels, visible_parameter

_NOT_MEMBER: LiteralString = """
select coalesce(nullif(c.channel_name, ''), c.id)
from slack.channel c
where c.id = any (%(channels)s::text[])
and c.is_member is false
and not c.is_archived
and slack.is_visible(c.id, %(visible)s::text[])
order by 1
limit 100
"""


async def channels_without_app(
    connection: Connection, channels: Collection[ChannelId], visible: VisibleChannels | None
) -> list[str]:
    """The names, which people wrote, of those channels that the app is known to be no member of; at most 100.

    A reader who may see only some channels gives them as `visible`.
    """
    values = {"channels": list(channels), "visible": visible_parameter(visible)}
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_NOT_MEMBER, values)
        return await cursor.fetchall()
