"""What a dry run would have merged so far, in temporary tables of its session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import LiteralString

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.copy_format import NULL, copy_rows, row_of, text_cell, time_cell
from tiger_slack_tui.postgres.queries import fetch_value
from tiger_slack_tui.store.import_messages import (
    KnownMessages,
    MessageKey,
    MessageTimes,
    NewReactions,
    Version,
    add_known,
    key_cells,
    times_of,
)

_HAS_TABLES = "select to_regclass('slack.import_problem') is not null"
_CREATE = """
create temp table merged
( channel_id text not null
, ts timestamptz not null
, event_ts timestamptz
, event_id text
);
create index on merged (channel_id, ts);
create temp table merged_reaction
( channel_id text not null
, ts timestamptz not null
, user_id text not null
, reaction text not null
);
create index on merged_reaction (channel_id, ts);
"""
_MESSAGES: LiteralString = """
select m.ts, m.event_ts, m.event_id, m.event_ts is null
from merged m
where m.channel_id = %(channel)s
and m.ts = any (%(times)s::timestamptz[])
"""
_REACTIONS: LiteralString = """
select r.ts, r.user_id, r.reaction, r.ts, true
from merged_reaction r
where r.channel_id = %(channel)s
and r.ts = any (%(times)s::timestamptz[])
"""


async def has_tables(connection: Connection) -> bool:
    """Whether the database has this program's tables."""
    return bool(await fetch_value(connection, _HAS_TABLES))


async def create_tables(connection: Connection) -> None:
    """Make the temporary tables. They end with the session."""
    await connection.execute(_CREATE)


async def add_merged(connection: Connection, known: KnownMessages, times: MessageTimes) -> None:
    """Add to `known` what `save_merged` saved of these messages."""
    for channel, found in times.items():
        values = times_of(channel, found)
        await add_known(connection, known, channel, values, _MESSAGES, _REACTIONS)


async def save_merged(
    connection: Connection,
    *,
    versions: Mapping[MessageKey, Version],
    deletions: Iterable[MessageKey],
    reactions: NewReactions,
) -> None:
    """Save what a batch would have stored."""
    rows = [
        row_of(4) + key_cells(key) + time_cell(changed) + text_cell(event_id)
        for key, (changed, event_id) in versions.items()
    ]
    rows += [row_of(4) + key_cells(key) + NULL + NULL for key in deletions]
    await copy_rows(connection, "copy merged from stdin (format binary)", rows)
    rows = [
        row_of(4) + key_cells(key) + text_cell(user) + text_cell(name)
        for key, new in reactions.items()
        for user, name in new
    ]
    await copy_rows(connection, "copy merged_reaction from stdin (format binary)", rows)
