"""Says for which part of a time the messages of channels may be missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from tiger_slack_tui.base.text import amount
from tiger_slack_tui.store.history import IncompleteChannel

_NAMED = 3
"""Most channels that a note names."""


def completeness_note(found: Sequence[IncompleteChannel], name: Callable[[str], str]) -> str | None:
    """What to tell a reader of messages of these channels; None if there are none.

    `name` makes a channel's name safe for where it is shown.
    """
    if not found:
        return None
    named = "; ".join(_channel(each, name(each.name)) for each in found[:_NAMED])
    if len(found) <= _NAMED:
        return f"Messages may be missing: {named}."
    return f"Messages of {amount(len(found), 'channel')} may be missing, for example: {named}."


def membership_note(names: Sequence[str], name: Callable[[str], str]) -> str | None:
    """What to tell a reader who asked for these channels, of which the app is no member; None if there are none."""
    if not names:
        return None
    named = ", ".join(f"#{name(each)}" for each in names[:_NAMED])
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return (
        f"The app is not a member of {named}{more}, so Slack sends it no messages from there. To store them, invite"
        " the app in the channel, for example with /invite @tiger-slack."
    )


def short_completeness_note(found: Sequence[IncompleteChannel]) -> str | None:
    """The note in a few words; None if there are no such channels."""
    return f"{amount(len(found), 'channel')} not complete" if found else None


def _channel(channel: IncompleteChannel, name: str) -> str:
    parts = []
    if channel.is_before:
        parts.append(f"before {_day(channel.complete_since)}")
    if channel.is_after and channel.complete_until:
        parts.append(f"after {_day(channel.complete_until)}")
    return f"#{name} is not complete {' and '.join(parts)}"


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
