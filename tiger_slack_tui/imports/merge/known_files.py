"""Knows contents of files that were taken in before, so that they need not be read again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import orjson

from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.imports.merge.decisions import Changes
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.import_account import Account, Reason

_KEEP = """
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
_CONTENTS = """
select f.number, c.channel_id, c.first_ts, c.last_ts, c.account
from jsonb_to_recordset(%s::jsonb) as f (number int4, channel_id text, file_name text, size int8, crc int8)
join slack.import_content c
on c.channel_id = f.channel_id
and c.file_name = f.file_name
and c.size = f.size
and c.crc = f.crc
where not exists (select from slack.message_discard)
"""
# Between first and last, so that TimescaleDB leaves out all other chunks; "in" looks the times up in a hash, where a
# join, for want of figures about the arrays, would compare each with each.
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


@dataclass(slots=True)
class FileCheckpoint:
    """How far a file is accounted for."""

    path: str
    size: int
    crc: int
    channel_id: str
    position: int = 0
    account: Account = field(default_factory=Account)
    is_done: bool = False
    error: str | None = None
    stored: int | None = None
    """`position` of its row in slack.import_file; None where it has none."""
    times: list[int] | None = None
    """ts of all its messages, in microseconds since 1970; None where some are not known."""

    def after(self, number: int, changes: Changes) -> FileCheckpoint:
        """As it is after a batch, in which it has this number."""
        account = Account()
        account.add(self.account)
        account.add(changes.accounts[number])
        return FileCheckpoint(
            self.path,
            self.size,
            self.crc,
            self.channel_id,
            changes.positions.get(number, self.position),
            account,
            number in changes.ended,
            changes.ended.get(number),
            self.stored,
            None if self.times is None else self.times + changes.times.get(number, []),
        )

    def holds(self, other: FileCheckpoint) -> bool:
        """Whether it is of the same content, for the same channel."""
        return (self.path, self.size, self.crc, self.channel_id) == (
            *(other.path, other.size, other.crc, other.channel_id),
        )

    @property
    def is_whole(self) -> bool:
        """Whether all of it was taken in, so that the same content need not be read again."""
        account = self.account
        return (
            self.is_done
            and self.error is None
            and bool(self.times)
            and not (account.discarded or account.filtered or account.bad or account.repaired)
        )


async def keep(connection: Connection, states: Iterable[FileCheckpoint]) -> None:
    """Remember the contents of files that are whole."""
    rows = [
        _key(state) | {"times": f"{{{','.join(map(str, state.times))}}}", "account": state.account}
        for state in states
        if state.times
    ]
    await connection.execute(_KEEP, (orjson.dumps(rows).decode(),))


async def recall(
    connection: Connection, states: Sequence[FileCheckpoint], selection: ImportSelection
) -> dict[int, Account]:
    """What reading the files again would come to, by index, for those of which it is known.

    Their contents were taken in before, all their records are wanted, and their messages still there or deleted
    since. Merging never takes back what it once did, so there is nothing to do for them. Left out are contents of
    which only reading tells the counts: how many reactions a message had that is deleted, or when a record is of
    that tells of a deletion.
    """
    files = [_key(state) | {"number": number} for number, state in enumerate(states)]
    cursor = await connection.execute(_CONTENTS, (orjson.dumps(files).decode(),))
    found = [
        row
        for row in await cursor.fetchall()
        if selection.is_wanted(row[2]) and selection.is_wanted(row[3])
    ]
    recalled = {}
    for channel in {row[1] for row in found}:
        rows = [row for row in found if row[1] == channel]
        values = {
            "channel": channel,
            "first": min(row[2] for row in rows),
            "last": max(row[3] for row in rows),
            "files": orjson.dumps([files[row[0]] for row in rows]).decode(),
        }
        accounts = {row[0]: Account.from_json(row[4]) for row in rows}
        cursor = await connection.execute(_PRESENT, values)
        for number, records, present, deleted in await cursor.fetchall():
            account = accounts[number]
            if present + deleted != records or (deleted and account.reactions):
                continue
            if selection.has_dates and Reason.DELETED.value in account.skipped:
                continue
            recalled[number] = _again(account, present)
    return recalled


def _again(first: Account, present: int) -> Account:
    """The account of a content for the second time."""
    skipped = {reason: n for reason, n in first.skipped.items() if reason != Reason.DELETED.value}
    # Records that tell of a deletion, and messages that are deleted by now.
    gone = first.read - present - sum(skipped.values())
    if gone:
        skipped[Reason.DELETED.value] = gone
    return Account(
        read=first.read, already_there=present, skipped=skipped, reactions=first.reactions
    )


def _key(state: FileCheckpoint) -> dict[str, Any]:
    return {
        "channel_id": state.channel_id,
        "file_name": PurePosixPath(state.path).name,
        "size": state.size,
        "crc": state.crc,
    }
