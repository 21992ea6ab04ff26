"""Reads and writes the messages of imports and backfills, in batches.

Every time is a number of microseconds since 1970: comparing datetimes took several times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, LiteralString

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.copy_format import TRUE, copy_rows, row_of, text_cell, time_cell
from tiger_slack_tui.postgres.queries import fetch_value, to_json
from tiger_slack_tui.slack.ts import from_micros, slack_ts, to_micros

MessageKey = tuple[ChannelId, int]
"""A message: its channel id and its ts."""
MessageTimes = Mapping[ChannelId, Sequence[int]]
"""The ts of messages, by channel id."""
Version = tuple[int, str]
"""event_ts and event_id. Of two contents of one message the one with the greater version is newer."""
Reactions = dict[tuple[str, str], tuple[int, bool]]
"""The reactions of a message by (user, name): when each last changed, and whether it is present."""

NewReactions = Mapping[MessageKey, Sequence[tuple[str, str]]]
"""Reactions to add to messages, by (user, name). Each counts from its message's ts on."""

DELETED: Final[Version] = (1 << 63, "")
"""The version of a deleted message. No content is newer."""

COPY_COLUMNS = (
    *("ts", "event_ts", "event_id", "updated_at", "channel_id", "channel_type"),
    *("text", "team", "type", "user_id", "parent_user_id", "bot_id", "app_id", "subtype"),
    *("trigger_id", "workflow_id", "display_as_bot", "upload"),
    *("blocks", "attachments", "files", "x_files", "icons", "language", "edited"),
    *("client_msg_id", "thread_ts", "reactions"),
)
"""The columns of slack.message, in the order of `copy_messages`."""

_WEEK = 7 * 86_400 * 1_000_000
"""In microseconds."""

# synchronous_commit: what a crash of the server undoes, it undoes with its checkpoint in slack.import_file. The
# import's end is committed durably, and everything before it with it.
_SESSION = """
select set_config('synchronous_commit', 'off', false)
, set_config('work_mem', '32MB', false)
, set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', false)
, set_config('plan_cache_mode', 'force_custom_plan', false)
"""
_NOW = "select slack.to_ts(now())"
_LOCK = "select slack.lock_for_import(%s::jsonb)"
_IS_NEW = """
select not exists
( select from slack.message m
  where m.channel_id = %(channel)s
  and m.ts between %(first)s and %(last)s
)
and not exists
( select from slack.tombstone t
  where t.channel_id = %(channel)s
  and t.ts between %(first)s and %(last)s
)
and not exists
( select from slack.reaction r
  where r.channel_id = %(channel)s
  and r.ts between %(first)s and %(last)s
)
"""
# The range lets TimescaleDB exclude all other chunks.
_MESSAGES: LiteralString = """
select m.ts, m.event_ts, coalesce(m.event_id, ''), false
from slack.message m
where m.channel_id = %(channel)s
and m.ts between %(first)s and %(last)s
and m.ts = any (%(times)s::timestamptz[])
union all
select t.ts, null, null, true
from slack.tombstone t
where t.channel_id = %(channel)s
and t.ts = any (%(times)s::timestamptz[])
"""
_REACTIONS: LiteralString = """
select r.ts, r.user_id, r.reaction, r.event_ts, r.is_present
from slack.reaction r
where r.channel_id = %(channel)s
and r.ts = any (%(times)s::timestamptz[])
"""
_DELETE = "select slack.delete_rows(%(channel)s, %(times)s::timestamptz[])"
_INDEX = "select slack.index_messages(%(channel)s, %(times)s::timestamptz[])"
_COPY_MESSAGES: LiteralString = (
    f"copy slack.message ({', '.join(COPY_COLUMNS)}) from stdin (format binary)"
)
_COPY_REACTIONS = """
copy slack.reaction (channel_id, ts, user_id, reaction, is_present, event_ts, event_id) from stdin (format binary)
"""
_APPLY = "select slack.apply_effects(slack.routed_events(%s::jsonb))"


@dataclass(frozen=True)
class Channel:
    """The channel that messages belong to. `type` is as in slack.message.channel_type, None if it is unknown."""

    id: ChannelId
    type: str | None

    @cached_property
    def cells(self) -> bytes:
        """The cells of channel_id and channel_type."""
        return text_cell(self.id) + text_cell(self.type)


@dataclass(slots=True)
class KnownMessages:
    """What the database holds of the messages of a batch."""

    versions: dict[MessageKey, Version] = field(default_factory=dict)
    reactions: dict[MessageKey, Reactions] = field(default_factory=dict)

    def add_version(self, key: MessageKey, version: Version) -> None:
        """Record the version, unless a newer one is known."""
        self.versions[key] = max(version, self.versions.get(key, version))


async def set_up_bulk_session(connection: Connection) -> None:
    """Set up the session for merging in bulk."""
    await connection.execute(_SESSION)


async def lock_messages(connection: Connection, times: MessageTimes) -> None:
    """Lock the weeks of the messages until the transaction ends. Live events of these weeks wait meanwhile."""
    weeks = {channel: list({ts // _WEEK for ts in found}) for channel, found in times.items()}
    await connection.execute(_LOCK, (to_json(weeks),))


async def fetch_known(connection: Connection, times: MessageTimes) -> KnownMessages:
    """What the tables hold of the messages."""
    known = KnownMessages()
    for channel, found in times.items():
        if await fetch_value(connection, _IS_NEW, range_of(channel, found)):
            continue
        values = times_of(channel, found)
        await add_known(connection, known, channel, values, _MESSAGES, _REACTIONS)
    return known


async def add_known(
    connection: Connection,
    known: KnownMessages,
    channel: ChannelId,
    values: Mapping[str, Any],
    messages: LiteralString,
    reactions: LiteralString,
) -> None:
    """Add what two queries find of a channel's messages. `values` are the parameters of both.

    `messages` yields (ts, event_ts, event_id, is_deleted), `reactions` yields (ts, user, name, event_ts, is_present).
    """
    cursor = await connection.execute(messages, values)
    for ts, event_ts, event_id, is_deleted in await cursor.fetchall():
        changed = 0 if event_ts is None else to_micros(event_ts)
        known.add_version((channel, to_micros(ts)), DELETED if is_deleted else (changed, event_id))
    cursor = await connection.execute(reactions, values)
    for ts, user, name, changed_at, is_present in await cursor.fetchall():
        states = known.reactions.setdefault((channel, to_micros(ts)), {})
        states[user, name] = (to_micros(changed_at), is_present)


async def delete_messages(connection: Connection, keys: Iterable[MessageKey]) -> None:
    """Delete rows that `copy_messages` then writes again."""
    for values in _by_channel(keys):
        await connection.execute(_DELETE, values)


async def copy_messages(connection: Connection, rows: Mapping[MessageKey, bytes]) -> None:
    """Insert messages and their search documents. A row has the cells of COPY_COLUMNS in COPY's binary format."""
    await copy_rows(connection, _COPY_MESSAGES, list(rows.values()))
    for values in _by_channel(rows):
        await connection.execute(_INDEX, values)


async def copy_reactions(connection: Connection, reactions: NewReactions) -> None:
    """Insert reactions of which nothing is known, as present."""
    await copy_rows(connection, _COPY_REACTIONS, list(_reaction_rows(reactions)))


async def apply_effects(
    connection: Connection,
    *,
    channel_changes: Sequence[tuple[MessageKey, Mapping[str, Any]]],
    deletions: Iterable[MessageKey],
    reactions: NewReactions,
) -> None:
    """Apply these changes through the function that applies live events.

    `channel_changes` are messages that report a new name, topic or purpose of their channel. Messages are deleted
    as of now.
    """
    events = [
        _event("channel", key) | {"event": {**message, "event_ts": slack_ts(from_micros(key[1]))}}
        for key, message in channel_changes
    ]
    if deleted := [_event("deletion", key) for key in deletions]:
        now = await fetch_value(connection, _NOW)
        events += [event | {"event_ts": now} for event in deleted]
    for key, new in reactions.items():
        for user, name in new:
            event = {"type": "reaction_added", "user_id": user, "event": {"reaction": name}}
            events.append(_event("reaction", key) | event)
    if events:
        await connection.execute(_APPLY, (to_json(events),))


def key_cells(key: MessageKey) -> bytes:
    """The cells of channel_id and ts."""
    return text_cell(key[0]) + time_cell(key[1])


def range_of(channel: ChannelId, times: Sequence[int]) -> dict[str, Any]:
    """The parameters `channel`, `first` and `last` of queries."""
    return {
        "channel": channel,
        "first": from_micros(min(times)),
        "last": from_micros(max(times)),
    }


def times_of(channel: ChannelId, times: Sequence[int]) -> dict[str, Any]:
    """`range_of`, and the parameter `times`: as text, which is far faster than psycopg's list of datetimes."""
    text = f"{{{','.join(map(str, map(from_micros, times)))}}}"
    return range_of(channel, times) | {"times": text}


def _by_channel(keys: Iterable[MessageKey]) -> Iterator[dict[str, Any]]:
    """The parameters of a query for each channel."""
    times: dict[ChannelId, list[int]] = {}
    for channel, ts in keys:
        times.setdefault(channel, []).append(ts)
    for channel, found in times.items():
        yield times_of(channel, found)


def _reaction_rows(reactions: NewReactions) -> Iterator[bytes]:
    for key, new in reactions.items():
        begin, end = row_of(7) + key_cells(key), TRUE + time_cell(key[1]) + text_cell("0")
        for user, name in new:
            yield b"".join((begin, text_cell(user), text_cell(name), end))


def _event(effect: str, key: MessageKey) -> dict[str, Any]:
    """An event for slack.routed_events()."""
    channel, micros = key
    posted = slack_ts(from_micros(micros))
    return {
        "effects": [effect],
        "event_id": "0",
        "event_ts": posted,
        "type": "message",
        "channel_id": channel,
        "message_ts": posted,
    }
