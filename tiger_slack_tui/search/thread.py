"""Reads a thread, or what was said around a message, for people: with names, plain text and links."""

from __future__ import annotations

from dataclasses import dataclass

from tiger_slack_tui.base.errors import NotFound
from tiger_slack_tui.base.ids import ChannelId, SlackTs
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.search.search import Message, describe
from tiger_slack_tui.store.readable_messages import fetch_around, fetch_messages, fetch_thread
from tiger_slack_tui.store.visible_channels import VisibleChannels

MOST_REPLIES = 1000
"""Most messages of a thread that are read at once."""


class MessageUnknown(NotFound):
    """No message is stored with this channel and ts."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A message and its neighbours, the oldest first."""

    before: tuple[Message, ...]
    message: Message
    after: tuple[Message, ...]


async def thread_of(
    connection: Connection, channel_id: ChannelId, ts: SlackTs, *, most: int = MOST_REPLIES
) -> list[Message]:
    """The thread of a message, the oldest first; the message alone if it has none.

    Reads at most `most` messages. Raises MessageUnknown.
    """
    found = await fetch_messages(connection, [(channel_id, ts)])
    thread_ts = (found[0].thread_ts or ts) if found else ts
    messages = await fetch_thread(connection, channel_id, thread_ts, most)
    if not messages:
        raise _unknown(channel_id, ts)
    return await describe(connection, messages)


async def around(
    connection: Connection,
    channel_id: ChannelId,
    ts: SlackTs,
    n: int,
    visible: VisibleChannels | None = None,
    *,
    in_channel: bool = False,
) -> Surroundings:
    """A message with the n messages before it and the n after it. Raises MessageUnknown.

    For a reply they are of its thread, unless `in_channel`: then they were written in the channel at that time.
    Of channels that are not `visible`, no names are shown.
    """
    found = await fetch_messages(connection, [(channel_id, ts)])
    if not found:
        raise _unknown(channel_id, ts)
    before, after = await fetch_around(connection, found[0], n, in_channel=in_channel)
    described = await describe(connection, [*before, found[0], *after], visible)
    at = len(before)
    return Surroundings(tuple(described[:at]), described[at], tuple(described[at + 1 :]))


def _unknown(channel_id: ChannelId, ts: SlackTs) -> MessageUnknown:
    return MessageUnknown(
        f"No message {ts} is stored in channel {channel_id}.",
        hint=f"To find out why: tiger-slack why {channel_id} {ts}",
    )
