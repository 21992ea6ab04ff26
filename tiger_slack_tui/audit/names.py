"""Finds channels and users by id or by name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.names import channels_of_name, users_of_name

_ID = re.compile(r"[A-Z][A-Z0-9]+")
"""An id of Slack. Names are in lower case."""


class NameUnknown(TigerSlackError):
    """No channel or user has this name, or several have it."""


async def find_channel(connection: Connection, name: str) -> str:
    """The id of a channel, given by id or by name (with or without #). Raises NameUnknown."""
    if _ID.fullmatch(name):
        return name
    return _single(await channels_of_name(connection, name.removeprefix("#")), "channel", name)


async def find_user(connection: Connection, name: str) -> str:
    """The id of a user, given by id or by handle (with or without @). Raises NameUnknown."""
    if _ID.fullmatch(name):
        return name
    return _single(await users_of_name(connection, name.removeprefix("@")), "user", name)


def _single(ids: Sequence[str], kind: str, name: str) -> str:
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise NameUnknown(
            f"Several {kind}s have or had the name {name}.", hint=f"Use an id: {', '.join(ids)}"
        )
    raise NameUnknown(f"No {kind} has the name {name}.", hint="Use its id, or its name in Slack.")
