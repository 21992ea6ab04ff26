"""The files of an import: the checkpoint of each (slack.import_file), and their problems (slack.import_problem)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_value, to_json
from tiger_slack_tui.store.import_account import Account, ImportProblem

_READ = """
select f.path, f.size, f.crc, f.channel_id, f.position, f.account, f.is_done, f.error
from slack.import_file f
where f.import_id = %s
and f.path = any (%s)
"""
_SAVE = """
with f as materialized
( select f.*
  , timestamptz 'epoch' + f.first_micros * interval '1 microsecond' as first_ts
  , timestamptz 'epoch' + f.last_micros * interval '1 microsecond' as last_ts
  from jsonb_to_recordset(%(files)s::jsonb) as f
  ( path text, size int8, crc int8, channel_id text, position int4, is_done bool, account jsonb, error text
  , first_micros int8, last_micros int8, is_complete bool, stored int4
  )
)
, updated as
( update slack.import_file t set
    size = f.size
  , crc = f.crc
  , channel_id = f.channel_id
  , position = f.position
  , is_done = f.is_done
  , account = f.account
  , error = f.error
  , first_ts = least(t.first_ts, f.first_ts)
  , last_ts = greatest(t.last_ts, f.last_ts)
  , is_complete = f.is_complete
  , updated_at = now()
  from f
  where t.import_id = %(import)s
  and t.path = f.path
  and t.position = f.stored
  returning 1
)
, inserted as
( insert into slack.import_file
  ( import_id, path, size, crc, channel_id, position, is_done, account, error, first_ts, last_ts, is_complete )
  select %(import)s, f.path, f.size, f.crc, f.channel_id, f.position, f.is_done, f.account, f.error
  , f.first_ts, f.last_ts, f.is_complete
  from f
  where f.stored is null
  on conflict do nothing
  returning 1
)
select (select count(*) from updated) + (select count(*) from inserted)
"""
_COMMITTED = """
select f.path, f.account, f.is_done, f.error
from slack.import_file f
where f.import_id = %s
"""
_FORGET_FILES = """
with f as
( delete from slack.import_file f
  where f.import_id = %(import)s
  and f.path = any (%(paths)s)
)
delete from slack.import_problem p
where p.import_id = %(import)s
and p.path = any (%(paths)s)
"""
_PROBLEMS = """
select p.path, p.position, p.reason
from slack.import_problem p
where p.import_id = %s
order by p.path, p.position nulls first
"""
_ADD_PROBLEMS = """
insert into slack.import_problem (import_id, path, position, reason)
select %s, p.path, p.position, p.reason
from jsonb_to_recordset(%s::jsonb) as p (path text, position int4, reason text)
"""
_FORGET_PROBLEMS = "delete from slack.import_problem p where p.import_id = %s and p.path = %s"
_FORGET_LIST_PROBLEMS = """
delete from slack.import_problem p
where p.import_id = %s
and not exists (select from slack.import_file f where f.import_id = p.import_id and f.path = p.path)
"""


class CheckpointChanged(Exception):
    """Another session has written the file's row since it was read, for example a worker that was believed dead.

    The transaction is rolled back. Read the row again, and continue from there.
    """


@dataclass(slots=True)
class FileCheckpoint:
    """How far a file is accounted for: a row of slack.import_file."""

    path: str
    size: int
    crc: int
    channel_id: ChannelId
    position: int = 0
    """The number of records that are accounted for."""
    account: Account = field(default_factory=Account)
    is_done: bool = False
    error: str | None = None
    stored_position: int | None = None
    """`position` in the table; None if the file has no row there."""
    times: list[int] | None = None
    """The ts of all its messages, in microseconds since 1970; None if some are not known."""
    first: int | None = None
    """ts of the oldest message that was merged, in microseconds since 1970; None if there is none."""
    last: int | None = None
    """ts of the newest."""

    def has_content_of(self, other: FileCheckpoint) -> bool:
        """Whether it is about the same content, for the same channel."""
        return (self.path, self.size, self.crc, self.channel_id) == (
            *(other.path, other.size, other.crc, other.channel_id),
        )

    @property
    def is_complete(self) -> bool:
        """Whether all messages of the file were merged. Those that a rule discards count as merged."""
        return (
            self.is_done and self.error is None and not (self.account.filtered or self.account.bad)
        )

    @property
    def is_whole(self) -> bool:
        """Whether the whole content was merged, so that it need not be read again."""
        account = self.account
        return (
            self.is_done
            and self.error is None
            and bool(self.times)
            and not (account.discarded or account.filtered or account.bad or account.repaired)
        )


@dataclass(frozen=True, slots=True)
class CommittedFile:
    """What is committed of a file."""

    path: str
    account: Account
    is_done: bool
    error: str | None


async def fetch_checkpoints(
    connection: Connection, import_id: int, paths: Sequence[str]
) -> dict[str, FileCheckpoint]:
    """The checkpoints of these files, by path; those without a row are missing."""
    cursor = await connection.execute(_READ, (import_id, list(paths)))
    return {
        path: FileCheckpoint(
            path, size, crc, channel, position, Account.from_json(account), is_done, error, position
        )
        async for path, size, crc, channel, position, account, is_done, error in cursor
    }


async def save_checkpoints(
    connection: Connection, import_id: int, checkpoints: Sequence[FileCheckpoint]
) -> None:
    """Save checkpoints in the current transaction. Raises CheckpointChanged."""
    rows = [
        {
            "path": checkpoint.path,
            "size": checkpoint.size,
            "crc": checkpoint.crc,
            "channel_id": checkpoint.channel_id,
            "position": checkpoint.position,
            "is_done": checkpoint.is_done,
            "account": checkpoint.account,
            "error": checkpoint.error,
            "first_micros": checkpoint.first,
            "last_micros": checkpoint.last,
            "is_complete": checkpoint.is_complete,
            "stored": checkpoint.stored_position,
        }
        for checkpoint in checkpoints
    ]
    values = {"import": import_id, "files": to_json(rows)}
    if await fetch_value(connection, _SAVE, values) != len(rows):
        raise CheckpointChanged


async def committed_files(connection: Connection, import_id: int) -> AsyncIterator[CommittedFile]:
    """What is committed of every file of the import, in no order."""
    async with connection.transaction(), connection.cursor("files") as cursor:
        cursor.itersize = 1000
        await cursor.execute(_COMMITTED, (import_id,))
        async for path, account, is_done, error in cursor:
            yield CommittedFile(path, Account.from_json(account), is_done, error)


async def forget_files(connection: Connection, import_id: int, paths: Sequence[str]) -> None:
    """Delete the checkpoints and problems of files that are no longer in the archive."""
    await connection.execute(_FORGET_FILES, {"import": import_id, "paths": list(paths)})


async def problems(connection: Connection, import_id: int) -> AsyncIterator[ImportProblem]:
    """Every problem of the import's files, by path and position."""
    async with connection.transaction(), connection.cursor("problems") as cursor:
        await cursor.execute(_PROBLEMS, (import_id,))
        async for row in cursor:
            yield ImportProblem(*row)


async def add_problems(
    connection: Connection, import_id: int, found: Sequence[ImportProblem]
) -> None:
    """Add problems of files."""
    if found:
        rows = [problem._asdict() for problem in found]
        await connection.execute(_ADD_PROBLEMS, (import_id, to_json(rows)))


async def forget_problems(connection: Connection, import_id: int, path: str) -> None:
    """Delete the problems of a file whose content has changed."""
    await connection.execute(_FORGET_PROBLEMS, (import_id, path))


async def replace_list_problems(
    connection: Connection, import_id: int, found: Sequence[ImportProblem]
) -> None:
    """Replace the problems of all files without a checkpoint: the lists, and files of no known kind."""
    async with connection.transaction():
        await connection.execute(_FORGET_LIST_PROBLEMS, (import_id,))
        await add_problems(connection, import_id, found)
