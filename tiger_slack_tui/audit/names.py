"""Finds channels and users by the names that people call them."""

from __future__ import annotations

import re
from typing import LiteralString

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.postgres.connection import Connection

_ID = re.compile(r"[A-Z][A-Z0-9]+")
_CHANNELS: LiteralString = """
select n.channel_id from slack.channel_name n where n.channel_name = %(name)s
union
select c.id from slack.channel c where c.channel_name = %(name)s
order by 1
"""
_USERS: LiteralString = """
select u.id from slack."user" u where u.user_name = %(name)s order by 1
"""


class NameUnknown(TigerSlackError):
    """Nothing, or more than one thing, is called so."""


async def find_channel(connection: Connection, name: str) -> str:
    """The id of a channel, given by id or name (with or without #). Raises NameUnknown."""
    return await _find(connection, _CHANNELS, "channel", name, "#")


async def find_user(connection: Connection, name: str) -> str:
    """The id of a user, given by id or handle (with or without @). Raises NameUnknown."""
    return await _find(connection, _USERS, "user", name, "@")


async def _find(
    connection: Connection, query: LiteralString, kind: str, name: str, sign: str
) -> str:
    if _ID.fullmatch(name):  # names are written in lower case
        return name
    cursor = await connection.execute(query, {"name": name.removeprefix(sign)})
    found = [row[0] for row in await cursor.fetchall()]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise NameUnknown(
            f"Several {kind}s are or were called {name}.", hint=f"Name one: {', '.join(found)}"
        )
    raise NameUnknown(f"No {kind} is called {name}.", hint="Write its id, or the name as in Slack.")
