"""Times, channels, users and codes as the text that commands and the console show of the audit trail."""

from __future__ import annotations

from datetime import UTC, datetime

from tiger_slack_tui.base.ids import BotId, ChannelId, UserId
from tiger_slack_tui.base.text import cells, cut
from tiger_slack_tui.base.times import duration
from tiger_slack_tui.postgres.failures import sqlstate_words

UNROUTED = "harmless: this version does not store the type"
"""What is said of an unrouted event."""
_LONGEST_ID = 14
"""Most columns of an id. Slack's have 9 to 11 characters."""


def event_kind(type_: str | None, subtype: str | None) -> str:
    """The type of an event with its subtype, as in message/bot_message; "no type" if it has none."""
    return "/".join(part for part in (type_, subtype) if part) or "no type"


def format_time(time: datetime | None) -> str:
    """The time in UTC, to the second, with its zone; "-" for None."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if time else "-"


def receipt(event_ts: datetime, received_at: datetime) -> str:
    """How long after it happened, by Slack's clock, an event was received."""
    return f"received {duration(received_at - event_ts)} later"


def channel_name(channel_id: ChannelId | None, name: str | None) -> str:
    """The channel as #name, or its id if the name is not known; "-" for no channel."""
    return f"#{name}" if name and name != channel_id else channel_id or "-"


def person_name(user_id: UserId | BotId | None, name: str | None) -> str:
    """The person as @name, or the id; "-" for nobody. `name` is what `store.names.PERSON_NAME` gives."""
    return f"@{name}" if name and name != user_id else user_id or "-"


def format_channel(channel_id: ChannelId | None, name: str | None, most: int = 34) -> str:
    """The channel as #name and its id, or its id alone; at most `most` columns wide."""
    return _named("#", channel_id, name, most)


def format_user(user_id: UserId | BotId | None, name: str | None, most: int = 34) -> str:
    """The user as @name and its id, or its id alone; at most `most` columns wide."""
    return _named("@", user_id, name, most)


def format_error(code: str | None) -> str:
    """The SQLSTATE or the class of an error, in words where it is a SQLSTATE."""
    return sqlstate_words(code) if code else "-"


def _named(mark: str, id_: str | None, name: str | None, most: int) -> str:
    if not id_:
        return "-"
    shown = cut(id_, min(_LONGEST_ID, most))
    if not name or name == id_:
        return shown
    return f"{cut(mark + name, most - cells(shown) - 1)} {shown}"
