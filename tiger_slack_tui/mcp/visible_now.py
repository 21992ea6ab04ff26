"""Which channels the clients of the server see now. This is the one place that decides it; queries enforce it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.base.name_patterns import NameUnknown
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.names import find_channel
from tiger_slack_tui.store.visible_channels import (
    ChannelType,
    VisibleChannels,
    channel_types,
    visible_by_type,
)

_SECONDS = 10.0
"""Seconds for which the visible channels are used. So long a channel that becomes private stays visible."""


@dataclass(slots=True)
class VisibleNow:
    """Reads which channels are visible, at most every 10 s."""

    access: Access
    clock: Callable[[], float] = time.monotonic
    _known: VisibleChannels | None = None
    _read_at: float = field(default=0.0)
    _named: tuple[ChannelId, ...] | None = None

    async def fetch(self, connection: Connection) -> VisibleChannels:
        """The visible channels. Raises NameUnknown for a channel of the allow-list that does not exist."""
        if self._known is None or self.clock() - self._read_at > _SECONDS:
            read_at = self.clock()
            channels = await channel_types(connection)
            if self.access.channels:
                known = await self._allowed(connection, channels)
            else:
                known = visible_by_type(
                    channels, private=self.access.private, direct=self.access.direct_messages
                )
            self._known, self._read_at = known, read_at
        return self._known

    async def _allowed(
        self, connection: Connection, channels: Sequence[ChannelType]
    ) -> VisibleChannels:
        """The channels of the allow-list. Their ids are looked up once: a later rename shows no other channel."""
        if self._named is None:
            self._named = tuple([await _find(connection, each) for each in self.access.channels])
        types = {channel.id: channel.type for channel in channels}
        return VisibleChannels({each: types.get(each) for each in self._named})


async def _find(connection: Connection, given: str) -> ChannelId:
    try:
        return await find_channel(connection, given)
    except NameUnknown as error:
        # Without the names that are like it: the client must not learn them.
        raise NameUnknown(
            f"The server was started with --channel {given}, which is not a single channel.",
            hint="Its operator should name the channel by its id.",
        ) from error
