"""Slack's ids: a type for each kind, so that one cannot be passed for another, and what a channel's id looks like.

A value gets its type where it enters: an envelope that is read, a row of the database, text that a person writes.
"""

from __future__ import annotations

import re
from typing import NewType, TypeGuard

ChannelId = NewType("ChannelId", str)
UserId = NewType("UserId", str)
BotId = NewType("BotId", str)
"""Identifies the author of a message without a user."""
TeamId = NewType("TeamId", str)
"""Identifies a workspace."""
EventId = NewType("EventId", str)
"""Identifies an event in all its deliveries. Slack's, or a digest of the content where Slack gave none."""
EnvelopeId = NewType("EnvelopeId", str)
"""Identifies one delivery of an event. Its ack names it."""
SlackTs = NewType("SlackTs", str)
"""Slack's time of a message, "seconds.microseconds". It identifies the message in its channel."""

CHANNEL_ID = r"[CDG][A-Z0-9]+"
"""Pattern of a channel's id: C for channels, D for direct messages, G for groups."""
_CHANNEL_ID = re.compile(CHANNEL_ID, re.ASCII)
_LEAST_REAL = 9
"""Length of the shortest ids that Slack gives."""


def is_channel_id(text: str) -> TypeGuard[ChannelId]:
    """Whether the text has the form of a channel's id."""
    return _CHANNEL_ID.fullmatch(text) is not None


def is_surely_channel_id(text: str) -> TypeGuard[ChannelId]:
    """Whether the text is an id and no name: it has the form of an id, and at least the length that Slack gives."""
    return len(text) >= _LEAST_REAL and is_channel_id(text)
