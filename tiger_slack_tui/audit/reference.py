"""Names one message as an operator does, and finds what is known about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tiger_slack_tui.audit.why import MessageHistory, SpooledEvent, read_history, read_spool
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.ts import read_permalink, read_ts
from tiger_slack_tui.store.message_history import MessageOfSecond, messages_of_second
from tiger_slack_tui.store.names import find_channel

HOW_TO_NAME = "Name the message by CHANNEL and TS (1700000000.000100), or by its link in Slack."


@dataclass(frozen=True, slots=True)
class MessageReference:
    """A message, or all messages of a second."""

    channel: str
    """An id or a name."""
    ts: str
    """Slack's text."""
    is_second: bool = False
    """Whether `ts` was written without a fraction."""

    @classmethod
    def read(cls, channel: str, ts: str | None) -> MessageReference | None:
        """The message of a channel and a ts, or, without `ts`, of a link (`channel`). None if it is neither."""
        linked = read_permalink(channel) if ts is None else None
        if linked is not None:
            return cls(*linked)
        exact = read_ts(ts or "")
        return None if exact is None else cls(channel, exact, "." not in (ts or ""))

    async def read_spool(self, spool: Path) -> tuple[SpooledEvent, ...]:
        """The events about it in the directory of this machine's spool. Call it while no transaction is open."""
        return await read_spool(spool, self.ts, is_second=self.is_second)

    async def explain(
        self, connection: Connection, spooled: Iterable[SpooledEvent]
    ) -> MessageHistory | list[MessageOfSecond]:
        """What is known about the message; the messages of the second if there are several.

        `spooled` is what `read_spool` found. Raises NameUnknown.
        """
        found = await self.find(connection)
        if isinstance(found, list):
            return found
        return await read_history(connection, *found, spooled=spooled)

    async def find(self, connection: Connection) -> tuple[str, str] | list[MessageOfSecond]:
        """The channel's id and the exact ts; the messages of the second if there are several. Raises NameUnknown."""
        channel_id = await find_channel(connection, self.channel)
        if not self.is_second:
            return channel_id, self.ts
        messages = await messages_of_second(connection, channel_id, self.ts)
        if len(messages) > 1:
            return messages
        return channel_id, messages[0].slack_ts if messages else self.ts
