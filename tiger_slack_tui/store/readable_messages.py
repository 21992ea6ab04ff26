"""Reads messages for people and programs: single ones, threads, and what was said around a message; and names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg.rows import class_row

from tiger_slack_tui.base.times import EARLIEST, LATEST
from tiger_slack_tui.postgres.connection import Connection
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
join slack.message m on m.channel_id = k.channel_id and m.ts = k.ts
where m.ts between %(first)s::timestamptz and %(last)s::timestamptz -- excludes chunks
order by k.n
"""  # noqa: S608 our own text
_THREAD: LiteralString = f"""
select * from
( select {MESSAGE_COLUMNS}
  from slack.get_thread_by_range(%(channel)s, %(ts)s::timestamptz) m
  limit %(most)s
) m
"""  # noqa: S608 our own text
_BEFORE: LiteralString = f"""
select {MESSAGE_COLUMNS}
from slack.message m
where m.channel_id = %(channel)s
and m.ts < %(ts)s::timestamptz
and m.ts >= coalesce(%(thread)s::timestamptz, '-infinity')
and (%(thread)s::timestamptz is null
  and (m.thread_ts is null or m.thread_ts = m.ts or m.subtype = 'thread_broadcast')
  or m.thread_ts = %(thread)s::timestamptz or m.ts = %(thread)s::timestamptz)
order by m.ts desc
limit %(n)s
"""  # noqa: S608 our own text
_AFTER: LiteralString = f"""
select {MESSAGE_COLUMNS}
from slack.message m
where m.channel_id = %(channel)s
and m.ts > %(ts)s::timestamptz
and (%(thread)s::timestamptz is null
  and (m.thread_ts is null or m.thread_ts = m.ts or m.subtype = 'thread_broadcast')
  or m.thread_ts = %(thread)s::timestamptz)
order by m.ts
limit %(n)s
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
_SAVE_WORKSPACE = """
insert into slack.workspace as w (team_id, team, url)
values (%(team_id)s, %(team)s, %(url)s)
on conflict (team_id) do update set team = excluded.team, url = excluded.url, seen_at = now()
"""


@dataclass(frozen=True, slots=True)
class ReadableMessage:
    """A row of slack.message. Times are Slack's texts. Text, blocks, attachments and files were written by people."""

    channel_id: str
    ts: str
    user_id: str | None
    bot_id: str | None
    subtype: str | None
    text: str | None
    blocks: Any
    attachments: Any
    files: Any
    thread_ts: str | None
    is_edited: bool
    reactions: list[dict[str, str]] | None

    @property
    def time(self) -> datetime:
        """The nearest time to `ts` that Python can hold."""
        return _time(self.ts)


async def read_messages(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> list[ReadableMessage]:
    """The messages with these channel ids and ts, in this order, as far as they are stored."""
    if not keys:
        return []
    times = [_time(ts) for _, ts in keys]
    values = {
        "channels": [channel for channel, _ in keys],
        "times": [str(time) for time in times],
        "first": str(min(times)),
        "last": str(max(times)),
    }
    return await _read(connection, _SOME, values)


async def read_thread(
    connection: Connection, channel_id: str, thread_ts: str, most: int
) -> list[ReadableMessage]:
    """The first messages of a thread, its parent included, the oldest first."""
    values = {"channel": channel_id, "ts": time_text(thread_ts), "most": most}
    return await _read(connection, _THREAD, values)


async def read_around(
    connection: Connection, message: ReadableMessage, n: int
) -> tuple[list[ReadableMessage], list[ReadableMessage]]:
    """The n messages before a message, and the n after it, the oldest first.

    For a reply they are of its thread. Else they are of the channel, without replies.
    """
    is_reply = message.thread_ts not in (None, message.ts)
    values = {
        "channel": message.channel_id,
        "ts": time_text(message.ts),
        "thread": time_text(message.thread_ts) if is_reply and message.thread_ts else None,
        "n": n,
    }
    before = await _read(connection, _BEFORE, values)
    return before[::-1], await _read(connection, _AFTER, values)


async def names_of(
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
    """As `names_of`; and the address of the workspace, https://NAME.slack.com/, None if it is not known."""
    values = {"ids": list(ids), "visible": visible_parameter(visible)}
    cursor = await connection.execute(_NAMES_AND_URL, values)
    names = dict(await cursor.fetchall())
    return names, names.pop("", None)


async def save_workspace(connection: Connection, team_id: str, team: str, url: str | None) -> None:
    """Store what Slack reported of the workspace."""
    await connection.execute(_SAVE_WORKSPACE, {"team_id": team_id, "team": team, "url": url})


def time_text(ts: str) -> str:
    """Slack's ts as PostgreSQL reads a time."""
    return str(_time(ts))


def _time(ts: str) -> datetime:
    micros = parse_ts(ts)
    if micros is None:
        return EARLIEST
    return from_micros(micros) if micros <= to_micros(LATEST) else LATEST


async def _read(
    connection: Connection, query: LiteralString, values: dict[str, Any]
) -> list[ReadableMessage]:
    async with connection.cursor(row_factory=class_row(ReadableMessage)) as cursor:
        await cursor.execute(query, values, prepare=False)
        return await cursor.fetchall()
