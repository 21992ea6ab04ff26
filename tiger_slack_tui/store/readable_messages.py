"""Reads messages for people and programs: single ones, threads, and what was said around a message; and names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from tiger_slack_tui.base.ids import BotId, ChannelId, SlackTs, UserId
from tiger_slack_tui.base.times import EARLIEST, LATEST
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows
from tiger_slack_tui.slack.ts import from_micros, parse_ts, to_micros
from tiger_slack_tui.store.names import PERSON_NAME
from tiger_slack_tui.store.visible_channels import VisibleChannels, visible_parameter

MESSAGE_COLUMNS: LiteralString = """
m.channel_id, slack.to_ts(m.ts) as ts, m.user_id, m.bot_id, m.subtype, m.text, m.blocks, m.attachments, m.files
, slack.to_ts(m.thread_ts) as thread_ts, m.edited is not null as is_edited, m.reactions
"""
_SOME: LiteralString = f"""
select {MESSAGE_COLUMNS}
from unnest(%(channels)s::text[], %(times)s::timestamptz[]) with ordinality k (channel_id, ts, n)
join slack.get_messages_by_key(%(channels)s::text[], %(times)s::timestamptz[]) m
  on m.channel_id = k.channel_id and m.ts = k.ts
order by k.n
"""  # noqa: S608 our own text
_OF_THREAD: LiteralString = f"""
select {MESSAGE_COLUMNS}
from slack.get_messages
( %(channel)s
, array
  ( select t
    from unnest(slack.thread_times(%(channel)s, %(thread)s::timestamptz)) t
    where t > %(after)s::timestamptz
    and t < %(before)s::timestamptz
    order by case when %(from_end)s then t end desc, t
    limit %(n)s
  )
) m
order by m.ts
"""  # noqa: S608 our own text
_BEFORE: LiteralString = f"""
select {MESSAGE_COLUMNS}
from slack.channel_messages(%(channel)s, '-infinity', %(ts)s::timestamptz, %(n)s, true) m
order by m.ts
"""  # noqa: S608 our own text
_AFTER: LiteralString = f"""
select {MESSAGE_COLUMNS}
from slack.channel_messages
(%(channel)s, %(ts)s::timestamptz + interval '1 microsecond', 'infinity', %(n)s, false) m
order by m.ts
"""  # noqa: S608 our own text
_NAMES: LiteralString = f"""
select u.id, {PERSON_NAME}
from slack."user" u
where u.id = any (%(ids)s)
union all
select c.id, c.channel_name
from slack.channel c
where c.id = any (%(ids)s)
and slack.is_visible(c.id, %(visible)s::text[])
"""  # noqa: S608 our own text
_NAMES_AND_URL: LiteralString = f"""
{_NAMES}
union all
(select '', w.url from slack.workspace w where w.url is not null order by w.seen_at desc limit 1)
"""  # noqa: S608 our own text


@dataclass(frozen=True, slots=True)
class ReadableMessage:
    """A row of slack.message. Times are Slack's texts. Text, blocks, attachments and files were written by people."""

    channel_id: ChannelId
    ts: SlackTs
    user_id: UserId | None
    bot_id: BotId | None
    subtype: str | None
    text: str | None
    blocks: Any
    attachments: Any
    files: Any
    thread_ts: SlackTs | None
    is_edited: bool
    reactions: list[dict[str, str]] | None

    @property
    def time(self) -> datetime:
        """The nearest time to `ts` that Python can hold."""
        return _time(self.ts)


async def fetch_messages(
    connection: Connection, keys: Sequence[tuple[ChannelId, SlackTs]]
) -> list[ReadableMessage]:
    """The messages with these channel ids and ts, in this order, as far as they are stored."""
    if not keys:
        return []
    values = {
        "channels": [channel for channel, _ in keys],
        "times": [time_text(ts) for _, ts in keys],
    }
    return await fetch_rows(connection, ReadableMessage, _SOME, values)


async def fetch_thread(
    connection: Connection,
    channel_id: ChannelId,
    thread_ts: SlackTs,
    n: int,
    *,
    after: SlackTs | None = None,
    before: SlackTs | None = None,
    from_end: bool = False,
) -> list[ReadableMessage]:
    """The first n messages of a thread, or the last, between two ts. Its parent is one of them. The oldest first."""
    values = {
        "channel": channel_id,
        "thread": time_text(thread_ts),
        "after": time_text(after) if after else "-infinity",
        "before": time_text(before) if before else "infinity",
        "from_end": from_end,
        "n": n,
    }
    return await fetch_rows(connection, ReadableMessage, _OF_THREAD, values)


async def fetch_around(
    connection: Connection, message: ReadableMessage, n: int, *, in_channel: bool = False
) -> tuple[list[ReadableMessage], list[ReadableMessage]]:
    """The n messages before a message, and the n after it, the oldest first.

    For a reply they are of its thread, unless `in_channel`. Else they are of the channel, without replies.
    """
    channel, ts, thread = message.channel_id, message.ts, message.thread_ts
    if thread is not None and thread != ts and not in_channel:
        before = await fetch_thread(connection, channel, thread, n, before=ts, from_end=True)
        return before, await fetch_thread(connection, channel, thread, n, after=ts)
    values = {"channel": channel, "ts": time_text(ts), "n": n}
    before = await fetch_rows(connection, ReadableMessage, _BEFORE, values)
    return before, await fetch_rows(connection, ReadableMessage, _AFTER, values)


async def plain_names(
    connection: Connection, ids: Iterable[str], visible: VisibleChannels | None = None
) -> dict[str, str]:
    """The names of users and channels by id, as far as they are known. A user's name is the one that Slack shows.

    With `visible`, only the names of these channels.
    """
    values = {"ids": list(ids), "visible": visible_parameter(visible)}
    cursor = await connection.execute(_NAMES, values)
    return dict(await cursor.fetchall())


async def names_and_url(
    connection: Connection, ids: Iterable[str], visible: VisibleChannels | None = None
) -> tuple[dict[str, str], str | None]:
    """As `plain_names`; and the address of the workspace, https://NAME.slack.com/, None if it is not known."""
    values = {"ids": list(ids), "visible": visible_parameter(visible)}
    cursor = await connection.execute(_NAMES_AND_URL, values)
    names = dict(await cursor.fetchall())
    return names, names.pop("", None)


def time_text(ts: SlackTs) -> str:
    """Slack's ts as PostgreSQL reads a time."""
    return str(_time(ts))


def known_span(ts: SlackTs) -> dict[str, str]:
    """Parameters `first` and `last`: the second before a ts, and the second after it, as PostgreSQL reads times.

    slack.to_timestamptz() is exact, but a plan does not know its result. With these bounds it excludes chunks. They
    are infinite for a ts that Python's times cannot hold.
    """
    micros = parse_ts(ts)
    if micros is None or micros >= to_micros(LATEST):
        return {"first": "-infinity", "last": "infinity"}
    return {
        "first": str(from_micros(micros - 1_000_000)),
        "last": str(from_micros(micros + 1_000_000)),
    }


def _time(ts: SlackTs) -> datetime:
    micros = parse_ts(ts)
    if micros is None:
        return EARLIEST
    return from_micros(micros) if micros <= to_micros(LATEST) else LATEST
