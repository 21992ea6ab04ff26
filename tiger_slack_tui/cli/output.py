"""How commands print values: JSON, times, durations, channels and users."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click
import humanize
import orjson

from tiger_slack_tui.base.text import cut


def echo_json(value: Any) -> None:
    """Print the value, which may hold dataclasses, as one line of JSON."""
    click.echo(orjson.dumps(value, default=str))


def format_time(time: datetime | None) -> str:
    """The time in UTC, to the second; "-" for None."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if time else "-"


def format_duration(duration: timedelta) -> str:
    """The duration in words, to the millisecond."""
    return humanize.precisedelta(duration, minimum_unit="milliseconds", format="%.0f")


def format_channel(channel_id: str | None, name: str | None, most: int = 21) -> str:
    """#name, or the id of a channel without a known name; at most `most` columns wide."""
    return cut(f"#{name}" if name and name != channel_id else channel_id or "-", most)


def format_user(user_id: str | None, name: str | None, most: int = 21) -> str:
    """@name, or the id of a user without a known name; at most `most` columns wide."""
    return cut(f"@{name}" if name and name != user_id else user_id or "-", most)
