"""Advisory locks of a session, and who holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tiger_slack_tui.postgres.connection import Connection

IMPORT_LOCKS = 1768778863
"""Upper half of the keys of the locks of imports; the lower one is the import's id."""

# In pg_locks the two halves of a key of 64 bits stand apart; the locks of each database are its own.
_HOLDERS = """
select (l.classid::int8 << 32) | l.objid::int8, a.application_name, coalesce(host(a.client_addr), 'local'), a.pid
, a.backend_start
from pg_locks l
join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory'
and l.granted
and l.objsubid = 1
and l.database = (select d.oid from pg_database d where d.datname = current_database())
and (l.classid::int8 << 32) | l.objid::int8 = any (%s)
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that holds a lock. `since` is the session's start: ours begin with the lock."""

    application_name: str
    host: str
    pid: int
    since: datetime

    def __str__(self) -> str:
        name = self.application_name or "an unnamed program"
        return f"{name} ({self.host}, pid {self.pid}, since {self.since:%Y-%m-%d %H:%M:%S})"


async def try_lock(connection: Connection, key: int) -> bool:
    """Take the lock for the session, until `unlock` or its end; False where another session has it. Never waits."""
    cursor = await connection.execute("select pg_try_advisory_lock(%s)", (key,))
    row = await cursor.fetchone()
    return bool(row and row[0])


async def unlock(connection: Connection, key: int) -> None:
    """Give the lock back."""
    await connection.execute("select pg_advisory_unlock(%s)", (key,))


async def holders(connection: Connection, keys: Sequence[int]) -> dict[int, Holder]:
    """Who holds which of the locks, in this database."""
    cursor = await connection.execute(_HOLDERS, (list(keys),))
    return {row[0]: Holder(*row[1:]) for row in await cursor.fetchall()}
