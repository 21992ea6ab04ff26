"""Puts the names of channels and people beside their ids in the text of a discard rule."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.names import marked_names

_QUOTED_ID = re.compile(r'"([CDGUW][A-Z0-9]+)"')


def _ids_in(condition: str) -> list[str]:
    """The ids of channels and people that the condition compares with."""
    return _QUOTED_ID.findall(condition)


async def names_in(connection: Connection, *conditions: str) -> dict[str, str]:
    """The names (#channel, @person) of the ids that the conditions compare with, as far as they are known."""
    ids = {id_ for condition in conditions for id_ in _ids_in(condition)}
    return await marked_names(connection, ids) if ids else {}


def with_names(condition: str, names: Mapping[str, str]) -> str:
    """The condition with the name behind each id: $.channel == "C01AB2" (#releases)."""

    def named(match: re.Match[str]) -> str:
        name = names.get(match[1])
        return f"{match[0]} ({name})" if name else match[0]

    return _QUOTED_ID.sub(named, condition)
