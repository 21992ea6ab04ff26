"""Finds the ids of channels and users by name."""

from __future__ import annotations

from typing import LiteralString

from psycopg.rows import scalar_row

from tiger_slack_tui.postgres.connection import Connection

_CHANNELS: LiteralString = """
select n.channel_id from slack.channel_name n where n.channel_name = %(name)s
union
select c.id from slack.channel c where c.channel_name = %(name)s
order by 1
"""
_ALL_CHANNELS: LiteralString = """
select n.channel_name, n.channel_id
from slack.channel_name n
where to_jsonb(n) -> 'is_by_message' is distinct from 'true' -- older versions have no such column
union
select c.id, c.id from slack.channel c
order by 1, 2
"""
_USERS: LiteralString = """
select u.id from slack."user" u where u.user_name = %(name)s order by 1
"""


async def channels_of_name(connection: Connection, name: str) -> list[str]:
    """The ids of the channels that have or had this name (without #)."""
    return await _ids(connection, _CHANNELS, name)


async def channels_by_name(connection: Connection) -> dict[str, list[str]]:
    """The ids of channels by id and by every name that they have or had; empty if there are no tables yet.

    Names that come only from messages about a rename are left out: an export's own messages would add them too late
    for its first import, and in time for its second.
    """
    cursor = await connection.execute("select to_regclass('slack.channel_name') is not null")
    found: dict[str, list[str]] = {}
    if (await cursor.fetchone() or [False])[0]:
        async for name, channel in await connection.execute(_ALL_CHANNELS):
            found.setdefault(name, []).append(channel)
    return found


async def users_of_name(connection: Connection, name: str) -> list[str]:
    """The ids of the users that have this handle (without @)."""
    return await _ids(connection, _USERS, name)


async def _ids(connection: Connection, query: LiteralString, name: str) -> list[str]:
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, {"name": name})
        return await cursor.fetchall()
