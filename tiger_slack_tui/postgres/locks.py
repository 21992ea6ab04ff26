"""Advisory locks: takes and releases those of a session, and shows who holds them or waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value

# pg_locks also lists those who wait for a lock. It shows a key of 64 bits as two halves, with objsubid 1. Each
# database has its own locks. https://www.postgresql.org/docs/current/view-pg-locks.html
_LOCKS: LiteralString = """
select (l.classid::int8 << 32) | l.objid::int8 as key
, l.granted as is_held
, l.pid
, coalesce(a.application_name, '') as application_name
, coalesce(host(a.client_addr), 'local') as host
, coalesce(a.usename, '') as user_name
, a.backend_start as since
, coalesce(a.state, '') as state
, coalesce(a.query, '') as query
from pg_locks l
left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory'
and l.objsubid = 1
and l.database = (select d.oid from pg_database d where d.datname = current_database())
and ((l.classid::int8 << 32) | l.objid::int8 = any (%(keys)s) or l.classid::int8 = any (%(classes)s))
and (l.granted or %(with_waiting)s)
order by key, l.granted desc, a.backend_start
limit 200
"""


@dataclass(frozen=True, slots=True)
class AdvisoryLock:
    """A session that holds an advisory lock, or waits for it.

    `since` is the session's start; it is None, and texts are empty, if our role may not see the session.
    """

    key: int
    is_held: bool
    pid: int
    application_name: str
    host: str
    user_name: str
    since: datetime | None
    state: str
    query: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that holds a lock. `since` is the session's start: ours take their lock when they start."""

    application_name: str
    host: str
    pid: int
    since: datetime | None
    """None if our role may not see the session."""

    def __str__(self) -> str:
        name = self.application_name or "an unnamed program"
        since = "" if self.since is None else f", since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        return f"{name} ({self.host}, pid {self.pid}{since})"


async def try_lock(connection: Connection, key: int) -> bool:
    """Take the lock for the session, until `unlock` or its end; False if another session has it. Never waits."""
    return bool(await fetch_value(connection, "select pg_try_advisory_lock(%s)", (key,)))


async def unlock(connection: Connection, key: int) -> None:
    """Release the session's lock."""
    await connection.execute("select pg_advisory_unlock(%s)", (key,))


async def holders(connection: Connection, keys: Sequence[int]) -> dict[int, Holder]:
    """Who holds which of the locks, in this database."""
    held = await _fetch(connection, keys, (), with_waiting=False)
    return {a.key: Holder(a.application_name, a.host, a.pid, a.since) for a in held}


async def advisory_locks(
    connection: Connection, keys: Sequence[int], classes: Sequence[int]
) -> list[AdvisoryLock]:
    """Who holds, and who waits for, the locks of these keys, or of keys whose upper half is one of `classes`."""
    return await _fetch(connection, keys, classes, with_waiting=True)


async def _fetch(
    connection: Connection, keys: Sequence[int], classes: Sequence[int], *, with_waiting: bool
) -> list[AdvisoryLock]:
    values = {"keys": list(keys), "classes": list(classes), "with_waiting": with_waiting}
    return await fetch_rows(connection, AdvisoryLock, _LOCKS, values)
