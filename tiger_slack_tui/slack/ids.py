"""Recognises ids of Slack."""

from __future__ import annotations

import re

CHANNEL_ID = r"[CDG][A-Z0-9]+"
"""Pattern of a channel's id: C for channels, D for direct messages, G for groups."""
_CHANNEL_ID = re.compile(CHANNEL_ID, re.ASCII)
_LEAST_REAL = 9
"""Length of the shortest ids that Slack gives."""


def is_channel_id(text: str) -> bool:
    """Whether the text has the form of a channel's id."""
    return _CHANNEL_ID.fullmatch(text) is not None


def is_surely_channel_id(text: str) -> bool:
    """Whether the text is an id and no name: it has the form of an id, and at least the length that Slack gives."""
    return len(text) >= _LEAST_REAL and is_channel_id(text)
