"""Names one message as an operator does, and finds what is known about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tiger_slack_tui.audit.why import MessageTrail, WaitingEvent, fetch_message_trail, read_spool
from tiger_slack_tui.base.ids import ChannelId, SlackTs
from tiger_slack_tui.base.text import visible
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.ts import parse_pasted_ts, parse_permalink
from tiger_slack_tui.store.message_trail import (
    MessageOfSecond,
    is_message_known,
    messages_of_second,
)
from tiger_slack_tui.store.names import find_channel

_HOW_TO_NAME = "Name the message by CHANNEL and TS (1700000000.000100), or by its link."


def how_to_name(channel: str, ts: str | None) -> str:
    """What is wrong with texts that name no message, and how to name one."""
    if ts is None:
        return f"{visible(channel)} does not name a message.\n  {_HOW_TO_NAME}"
    return f"{visible(ts)} is not the TS of a message.\n  {_HOW_TO_NAME}"


@dataclass(frozen=True, slots=True)
class MessageReference:
    """A message, or all messages of a second."""

    channel: str
    """An id, a name or a link."""
    ts: SlackTs
    """Slack's text."""
    is_second: bool = False
    """Whether only the second was given."""

    @classmethod
    def parse(cls, channel: str, ts: str | None) -> MessageReference | None:
        """The message that an operator names by a channel and a ts, or by one text (`channel`) that has both.

        Reads what people paste: see `parse_permalink` and `parse_pasted_ts`. None if the texts name no message.
        """
        if ts is None:
            if (linked := parse_permalink(channel)) is not None:
                return cls(*linked)
            words = channel.split()
            return cls.parse(*words) if len(words) == 2 else None
        if (found := parse_pasted_ts(ts)) is None:
            return None
        linked = parse_permalink(channel)
        return cls(linked[0] if linked else channel.strip(), *found)

    async def read_spool(self, spool: Path) -> tuple[WaitingEvent, ...]:
        """The events about it, or about other messages of its second, in the directory of this machine's spool.

        Call it while no transaction is open.
        """
        return await read_spool(spool, self.ts, is_second=True)

    async def explain(
        self, connection: Connection, spooled: Iterable[WaitingEvent] = ()
    ) -> MessageTrail | list[MessageOfSecond]:
        """What is known about the message; instead, as `find`, messages of the same second.

        `spooled` is what `read_spool` found. Raises NameUnknown.
        """
        spooled = tuple(spooled)
        found = await self.find(connection, spooled)
        if isinstance(found, list):
            return found
        channel_id, ts = found
        trail = await fetch_message_trail(connection, channel_id, ts, spooled=spooled)
        return replace(trail, is_second=self.is_second and ts == self.ts)

    async def find(
        self, connection: Connection, spooled: Iterable[WaitingEvent] = ()
    ) -> tuple[ChannelId, SlackTs] | list[MessageOfSecond]:
        """The channel's id and the exact ts.

        Instead, the messages of the second: if only the second was given and it has several, or if nothing is known
        of the message itself. Raises NameUnknown.
        """
        channel_id = await find_channel(connection, self.channel)
        waiting = {each.message_ts for each in spooled if each.channel_id == channel_id}
        if not self.is_second and (
            self.ts in waiting or await is_message_known(connection, channel_id, self.ts)
        ):
            return channel_id, self.ts
        messages = await messages_of_second(connection, channel_id, self.ts)
        unknown = waiting - {each.slack_ts for each in messages}
        messages += [MessageOfSecond(ts, None, None, None) for ts in sorted(unknown)]
        if len(messages) > 1 or (messages and not self.is_second):
            return messages
        return channel_id, messages[0].slack_ts if messages else self.ts
