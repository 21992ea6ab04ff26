"""The channels that a client of the MCP server may see. A channel of unknown type is hidden."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows

PUBLIC: Final = "channel"
PRIVATE: Final = "group"
DIRECT: Final = ("im", "mpim")
"""The types of channels, as in slack.message.channel_type."""
_ALL_DIRECT: Final = "D*"
"""Stands for all direct messages of two people, as in slack.is_visible(): they have no rows in slack.channel."""

# A message shows the type of a channel that Slack has not listed yet, and that a public channel became private today.
_TYPES: LiteralString = """
select c.id, c.channel_name as name
, case
    when c.id like 'D%' then 'im'
    when c.channel_type = 'channel' then coalesce(recent.channel_type, 'channel')
    when c.channel_type is not null then c.channel_type
    else newest.channel_type
  end as type
from slack.channel c
left join lateral
( select m.channel_type
  from slack.message m
  where c.channel_type = 'channel'
  and m.channel_id = c.id
  and m.ts > now() - interval '2 days'
  and m.channel_type is not null -- not a message without a type: an earlier one may have it
  order by m.ts desc
  limit 1
) recent on true
left join lateral
( select m.channel_type
  from slack.channel_messages(c.id, '-infinity', 'infinity', 100, true, true) m
  where c.channel_type is null
  and m.channel_type is not null
  order by m.ts desc
  limit 1
) newest on true
order by c.id
"""


@dataclass(frozen=True, slots=True)
class ChannelType:
    """A channel of slack.channel. `type` is None where nobody has said it: neither Slack nor a message."""

    id: ChannelId
    name: str
    type: str | None


@dataclass(frozen=True, slots=True)
class VisibleChannels:
    """The channels that a reader may see, with their types."""

    types: Mapping[ChannelId, str | None]
    """The type by id, as in slack.message.channel_type."""
    all_direct: bool = False
    """Whether all direct messages of two people are visible, too."""

    def __contains__(self, channel_id: object) -> bool:
        return channel_id in self.types or (self.all_direct and str(channel_id).startswith("D"))

    def type_of(self, channel_id: ChannelId) -> str | None:
        """The type of a channel, None if it is not known."""
        return self.types.get(channel_id) or ("im" if channel_id.startswith("D") else None)

    def parameter(self) -> list[str]:
        """What queries pass to slack.is_visible()."""
        return [*self.types, *([_ALL_DIRECT] if self.all_direct else [])]


def visible_parameter(visible: VisibleChannels | None) -> list[str] | None:
    """As `VisibleChannels.parameter`; None for a reader who may see all channels."""
    return None if visible is None else visible.parameter()


async def channel_types(connection: Connection) -> list[ChannelType]:
    """The channels of slack.channel with their types."""
    return await fetch_rows(connection, ChannelType, _TYPES)


def visible_by_type(
    channels: Sequence[ChannelType], *, private: bool, direct: bool
) -> VisibleChannels:
    """The public channels; with `private`, the private ones, too; with `direct`, all direct messages, too."""
    types: Collection[str | None] = {
        PUBLIC,
        *([PRIVATE] if private else []),
        *(DIRECT if direct else ()),
    }
    return VisibleChannels({c.id: c.type for c in channels if c.type in types}, direct)
