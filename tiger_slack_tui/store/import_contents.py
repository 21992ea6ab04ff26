"""Contents of files that earlier imports merged (slack.import_content), so that they need not be read again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import to_json
from tiger_slack_tui.store.import_account import Account
from tiger_slack_tui.store.import_files import FileCheckpoint

_SAVE = """
insert into slack.import_content (channel_id, file_name, size, crc, times, first_ts, last_ts, account)
select f.channel_id, f.file_name, f.size, f.crc, t.times, t.first_ts, t.last_ts, f.account
from jsonb_to_recordset(%s::jsonb) as f
(channel_id text, file_name text, size int8, crc int8, times text, account jsonb)
cross join lateral
( select array_agg(t.ts) as times, min(t.ts) as first_ts, max(t.ts) as last_ts
  from
  ( select timestamptz 'epoch' + m.micros * interval '1 microsecond' as ts
    from unnest(f.times::int8[]) m (micros)
  ) t
) t
order by f.channel_id, f.file_name, f.size, f.crc
on conflict do nothing
"""
_FIND = """
select f.number, c.channel_id, c.first_ts, c.last_ts, c.account
from jsonb_to_recordset(%s::jsonb) as f (number int4, channel_id text, file_name text, size int8, crc int8)
join slack.import_content c
on c.channel_id = f.channel_id
and c.file_name = f.file_name
and c.size = f.size
and c.crc = f.crc
where not exists (select from slack.message_discard)
"""
# The range lets TimescaleDB exclude all other chunks. "in" looks the times up in a hash table; a join would compare
# each with each, because the planner has no statistics of the arrays.
_PRESENT = """
with m as materialized
( select m.ts
  from slack.message m
  where m.channel_id = %(channel)s
  and m.ts between %(first)s and %(last)s
)
, t as materialized
( select t.ts
  from slack.tombstone t
  where t.channel_id = %(channel)s
  and t.ts between %(first)s and %(last)s
)
select f.number, count(*), count(*) filter (where u.ts in (select m.ts from m))
, count(*) filter (where u.ts in (select t.ts from t))
from jsonb_to_recordset(%(files)s::jsonb) as f (number int4, channel_id text, file_name text, size int8, crc int8)
join slack.import_content c
on c.channel_id = f.channel_id
and c.file_name = f.file_name
and c.size = f.size
and c.crc = f.crc
cross join lateral unnest(c.times) u (ts)
group by f.number
"""


@dataclass(frozen=True, slots=True)
class MergedContent:
    """The content of a file that was merged before. `index` is the file's, in the argument of `find_contents`."""

    index: int
    channel_id: ChannelId
    first_ts: datetime
    last_ts: datetime
    account: Account
    """Of the first time."""


@dataclass(frozen=True, slots=True)
class PresentMessages:
    """What the tables now hold of the messages of a content."""

    messages: int
    present: int
    deleted: int


async def save_contents(connection: Connection, checkpoints: Iterable[FileCheckpoint]) -> None:
    """Save the contents of files that were merged whole (`FileCheckpoint.is_whole`)."""
    rows = [
        _key(checkpoint)
        | {
            "times": f"{{{','.join(map(str, checkpoint.times))}}}",
            "account": checkpoint.account,
        }
        for checkpoint in checkpoints
        if checkpoint.times
    ]
    if rows:
        await connection.execute(_SAVE, (to_json(rows),))


async def find_contents(
    connection: Connection, files: Sequence[FileCheckpoint]
) -> list[MergedContent]:
    """The contents among these files that were merged before; none while there are discard rules."""
    rows = [_key(file) | {"number": number} for number, file in enumerate(files)]
    cursor = await connection.execute(_FIND, (to_json(rows),))
    return [
        MergedContent(number, channel, first, last, Account.from_json(account))
        for number, channel, first, last, account in await cursor.fetchall()
    ]


async def count_present(
    connection: Connection, files: Sequence[FileCheckpoint], contents: Sequence[MergedContent]
) -> dict[int, PresentMessages]:
    """How many messages of the contents are in the tables, by index. The contents are of one channel."""
    rows = [_key(files[content.index]) | {"number": content.index} for content in contents]
    values = {
        "channel": contents[0].channel_id,
        "first": min(content.first_ts for content in contents),
        "last": max(content.last_ts for content in contents),
        "files": to_json(rows),
    }
    cursor = await connection.execute(_PRESENT, values)
    return {number: PresentMessages(*counts) for number, *counts in await cursor.fetchall()}


def _key(checkpoint: FileCheckpoint) -> dict[str, Any]:
    return {
        "channel_id": checkpoint.channel_id,
        "file_name": PurePosixPath(checkpoint.path).name,
        "size": checkpoint.size,
        "crc": checkpoint.crc,
    }
