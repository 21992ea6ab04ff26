"""Searches messages, and reads the conversation around one, for the view Messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tiger_slack_tui.base.ids import ChannelId, SlackTs
from tiger_slack_tui.postgres.pool import connected
from tiger_slack_tui.search.search import Message, SearchPage, search
from tiger_slack_tui.search.thread import around, thread_of
from tiger_slack_tui.store.search import SearchPosition

PAGE = 50
"""Results of one page."""
_AROUND = 30
"""Messages of a channel that are read before and after the selected one."""
_MOST_OF_THREAD = 300
"""The most messages of a thread that are read."""
_STATEMENT_SECONDS = 10


class Place(StrEnum):
    """What is shown beside the results."""

    THREAD = "thread"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class MessageContext:
    """The messages around a message, the oldest first."""

    place: Place
    messages: tuple[Message, ...]
    selected: int
    """The index of the message itself."""


class MessageReader:
    """Opens a connection for each call. Each method raises DatabaseUnavailable, and what it names."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    async def search(
        self, text: str, *, newest: bool, after: SearchPosition | None, most: int
    ) -> SearchPage:
        """A page of at most `most` results. Raises QueryError and NameUnknown."""
        async with connected(self._conninfo, statement_seconds=_STATEMENT_SECONDS) as connection:
            return await search(connection, text, newest=newest, limit=most, after=after)

    async def context(self, channel_id: ChannelId, ts: SlackTs, place: Place) -> MessageContext:
        """The thread of the message, or what was written around it in its channel, without replies.

        Raises MessageUnknown.
        """
        async with connected(self._conninfo, statement_seconds=_STATEMENT_SECONDS) as connection:
            if place is Place.CHANNEL:
                near = await around(connection, channel_id, ts, _AROUND, in_channel=True)
                messages: Sequence[Message] = (*near.before, near.message, *near.after)
                return MessageContext(place, tuple(messages), len(near.before))
            messages = await thread_of(connection, channel_id, ts, most=_MOST_OF_THREAD)
            selected = next((n for n, one in enumerate(messages) if one.ts == ts), 0)
            return MessageContext(place, tuple(messages), selected)
