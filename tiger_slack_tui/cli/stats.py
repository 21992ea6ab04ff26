"""`tiger-slack stats`: how much is written, by day and by channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click

from tiger_slack_tui.audit.words import format_channel, format_time
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.base.text import amount, fit, visible
from tiger_slack_tui.base.times import duration, parse_period, shift
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import echo_json, wrapped
from tiger_slack_tui.cli.queries import run_query
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.database import database_name
from tiger_slack_tui.search.completeness import completeness_note
from tiger_slack_tui.store.activity import Activity, ActivitySum, activity_sums
from tiger_slack_tui.store.history import IncompleteChannel, incomplete_channels
from tiger_slack_tui.store.names import find_channels, find_users, marked_names
from tiger_slack_tui.store.search_index import IndexProgress, fetch_progress

_DAYS = 7
_NAME = 21
_BAR = _NAME - 12
"""Columns of a bar, behind the day."""
_HEADS = (
    ("messages", 9),
    ("people", 7),
    ("threads", 8),
    ("reactions", 10),
    ("reply p50", 12),
    ("reply p90", 12),
)
"""The columns behind the name, with their widths: 79 in all."""


@dataclass(frozen=True, slots=True)
class _Stats:
    since: datetime
    until: datetime
    total: ActivitySum
    days: list[ActivitySum]
    channels: list[ActivitySum]
    names: dict[str, str]
    """Names of channels, with #, by id."""
    incomplete: list[IncompleteChannel]
    progress: IndexProgress


@click.command()
@options.channels
@options.users
@click.option(
    "--since",
    metavar="WHEN",
    help=f"Only what was written since then: {options.WHEN}; by default, today and 6 days before.",
)
@options.until
@click.option(
    "--limit",
    type=options.Number(min=1),
    default=20,
    show_default=True,
    help="Number of channels, those with the most messages first.",
)
@options.as_json
@plain_errors
def stats(
    channels: tuple[str, ...],
    users: tuple[str, ...],
    since: str | None,
    until: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show how much is written, by day and by channel.

    It counts messages, people who wrote, threads with new replies, and reactions. "reply p50" is the time until the
    first reply to a message, the median of the messages that have one; 90 % of them had it within "reply p90". Days
    are days of UTC. Days without messages are left out.
    """
    now = datetime.now(UTC)
    begin, end = parse_period(since, until, now)
    end = end or now
    if begin is None:
        begin = shift(end, -timedelta(days=_DAYS - 1)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
    elif begin >= end:
        raise SettingsError("--since is in the future.")
    period = begin, end

    async def ask(connection: Connection) -> _Stats:
        return await _fetch(connection, channels, users, period)

    loaded = settings.load()
    found = run_query(loaded, "stats", ask)
    if as_json:
        echo_json(_as_json(found, limit))
        return
    if found.total.messages:
        click.echo("\n".join(_lines(found, limit)))
    else:
        nothing = f"No messages {_period(found)} in {database_name(loaded)}."
        click.echo("\n".join(wrapped(nothing, hang=2, err=True)), err=True)
    for note in _notes(found):
        click.echo("\n".join(wrapped(note, err=True)), err=True)


async def _fetch(
    connection: Connection,
    channels: tuple[str, ...],
    users: tuple[str, ...],
    period: tuple[datetime, datetime],
) -> _Stats:
    since, until = period
    channel_ids = await find_channels(connection, channels)
    user_ids = await find_users(connection, users)
    sums = await activity_sums(
        connection, since=since, until=until, channel_ids=channel_ids, user_ids=user_ids
    )
    of_channels = [row for row in sums if row.channel_id is not None]
    return _Stats(
        since,
        until,
        total=next(row for row in sums if row.day is None and row.channel_id is None),
        days=[row for row in sums if row.day is not None],
        channels=of_channels,
        names=await marked_names(connection, (row.channel_id or "" for row in of_channels)),
        incomplete=await incomplete_channels(
            connection, since=since, until=until, channels=channel_ids or None, visible=None
        ),
        progress=await fetch_progress(connection),
    )


def _lines(found: _Stats, limit: int) -> Iterator[str]:
    yield f"Messages {_period(found)}"
    yield ""
    yield _head("Day")
    most = max(row.messages for row in found.days)
    for row in found.days:
        bar = "█" * round(_BAR * row.messages / most)
        yield _line(f"{row.day} {bar}", row)
    yield ""
    yield _head("Channel")
    for row in found.channels[:limit]:
        name = found.names.get(row.channel_id or "", "").removeprefix("#")
        yield _line(format_channel(row.channel_id, name, _NAME), row)
    if len(found.channels) > limit:
        yield f"… and {amount(len(found.channels) - limit, 'channel')} more; --limit shows more."
    yield _line("All", found.total)


def _head(name: str) -> str:
    return f"{name:<{_NAME}}" + "".join(f"{head:>{width}}" for head, width in _HEADS)


def _line(name: str, row: Activity) -> str:
    values = (
        f"{row.messages:,}",
        f"{row.people:,}",
        f"{row.threads:,}",
        f"{row.reactions:,}",
        _time(row.first_reply_p50),
        _time(row.first_reply_p90),
    )
    cells = (
        fit(value, width, right=True) for value, (_, width) in zip(values, _HEADS, strict=True)
    )
    return fit(name, _NAME) + "".join(cells)


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else duration(timedelta(seconds=seconds))


def _period(found: _Stats) -> str:
    return f"from {format_time(found.since)} to {format_time(found.until)}"


def _notes(found: _Stats) -> Iterator[str]:
    if found.progress.finished_at is None:
        yield (
            f"First replies are known for {found.progress.percent} % of the history. The job `search` finds the rest:"
            " it runs with tiger-slack run."
        )
    if note := completeness_note(found.incomplete, visible):
        yield note


def _as_json(found: _Stats, limit: int) -> object:
    return {
        "since": found.since,
        "until": found.until,
        "total": _counts(found.total),
        "days": [{"day": row.day} | _counts(row) for row in found.days],
        "channels": [
            {"channel_id": row.channel_id, "channel_name": _plain_name(found, row.channel_id)}
            | _counts(row)
            for row in found.channels[:limit]
        ],
        "has_more": len(found.channels) > limit,
        "percent_indexed": found.progress.percent,
        "incomplete": found.incomplete,
    }


def _plain_name(found: _Stats, channel_id: ChannelId | None) -> str | None:
    name = found.names.get(channel_id or "")
    return name.removeprefix("#") if name else None


def _counts(row: Activity) -> dict[str, object]:
    return {
        "messages": row.messages,
        "people": row.people,
        "threads": row.threads,
        "reactions": row.reactions,
        "first_reply_p50": row.first_reply_p50,
        "first_reply_p90": row.first_reply_p90,
    }
