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
_USERS: LiteralString = """
select u.id from slack."user" u where u.user_name = %(name)s order by 1
"""


async def channels_of_name(connection: Connection, name: str) -> list[str]:
    """The ids of the channels that have or had this name (without #)."""
    return await _ids(connection, _CHANNELS, name)


async def users_of_name(connection: Connection, name: str) -> list[str]:
    """The ids of the users that have this handle (without @)."""
    return await _ids(connection, _USERS, name)


async def _ids(connection: Connection, query: LiteralString, name: str) -> list[str]:
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, {"name": name})
        return await cursor.fetchall()
