"""The rows of slack.import: begins, continues and ends imports, and holds their locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.lock_keys import IMPORT_LOCK_CLASS, IMPORT_WORKER_LOCK_CLASS
from tiger_slack_tui.postgres.locks import holders, try_lock

_LOCKS = IMPORT_LOCK_CLASS << 32
_WORKER_LOCKS = IMPORT_WORKER_LOCK_CLASS << 32
"""With an import's id: the key of the lock that its workers share. One that outlives the import may still commit."""
_WORKER_SECONDS = 30

_UNFINISHED = """
select i.id, i.since, i.until, i.started_at
from slack.import i
where i.source = %s
and i.options = %s
and (i.outcome is null or i.outcome in ('failed', 'cancelled'))
order by i.id desc
limit 1
"""
_RESUME = """
update slack.import set
  instance = %s
, resumed_at = now()
, finished_at = null
, outcome = null
, error = null
, account = null
where id = %s
returning resumed_at
"""
_GO_ON = """
update slack.import set account = null -- a reader that took the import for killed has counted it
where id = %s
and outcome is null
and coalesce(resumed_at, started_at) = %s
"""
_KILLED = """
select i.resumed_at, pg_try_advisory_xact_lock(%s)
from slack.import i
where i.id = %s
and i.outcome is null
and i.account is null
"""
_COUNT = """
update slack.import i set
  account = jsonb_build_object
  ( 'messages', slack.import_account(i.id)
  , 'files',
    ( select jsonb_build_object
      ( 'done', count(*) filter (where f.is_done)
      , 'failed', count(*) filter (where f.is_done and f.error is not null)
      )
      from slack.import_file f
      where f.import_id = i.id
    )
  )
where i.id = %s
and i.outcome is null
and i.account is null
and i.resumed_at is not distinct from %s -- no other run has continued it
"""
_BEGIN = """
insert into slack.import (source, options, since, until, instance)
values (%s, %s, %s, %s, %s)
returning id, since, until, started_at
"""
_END = """
update slack.import set finished_at = now(), outcome = %s, error = %s, account = %s
where id = %s
"""


class ImportOutcome(StrEnum):
    """How an import ended: slack.import.outcome."""

    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    REPLACED = "replaced"
    """By another import of the same archive, with --restart."""


class ImportRunning(TigerSlackError):
    """The same import is running elsewhere."""


@dataclass(frozen=True, slots=True)
class ImportRun:
    """A run of an import. `since` and `until` are the dates of its first run.

    `resumed` is when the first run began; None if this is the first. `run_at` is when this run began.
    """

    id: int
    since: datetime | None
    until: datetime | None
    resumed: datetime | None
    run_at: datetime


def lock_key(import_id: int) -> int:
    """The key of the advisory lock that the session of a running import holds."""
    return _LOCKS + import_id


async def begin_import(
    connection: Connection,
    source: str,
    options: Mapping[str, Any],
    *,
    since: datetime | None,
    until: datetime | None,
    instance: str,
    restart: bool,
) -> ImportRun:
    """Continue the newest unfinished import of this source and these options, or begin one.

    The connection's session then holds the import's lock. `restart` always begins a new one, in place of the
    unfinished one. Raises ImportRunning if another session has the lock.
    """
    async with connection.transaction():
        # Of two that start at the same time, only one may begin.
        await connection.execute(
            "select pg_advisory_xact_lock(%s::int4, hashtextextended(%s, 1)::bit(31)::int4)",
            (IMPORT_LOCK_CLASS, source),
        )
        cursor = await connection.execute(_UNFINISHED, (source, Jsonb(options)))
        found = await cursor.fetchone()
        if found:
            await _hold(connection, found[0])
            if not restart:
                await _wait_for_workers(connection, found[0])
                cursor = await connection.execute(_RESUME, (instance, found[0]))
                (run_at,) = await cursor.fetchone() or (found[3],)
                return ImportRun(found[0], found[1], found[2], found[3], run_at)
            await connection.execute(_END, (ImportOutcome.REPLACED, None, None, found[0]))
        values = (source, Jsonb(options), since, until, instance)
        cursor = await connection.execute(_BEGIN, values)
        row = await cursor.fetchone()
        assert row is not None  # noqa: S101 for the types
        await _hold(connection, row[0])
        return ImportRun(row[0], row[1], row[2], None, row[3])


async def _hold(connection: Connection, import_id: int) -> None:
    key = lock_key(import_id)
    if not await try_lock(connection, key):
        holder = (await holders(connection, [key])).get(key)
        raise ImportRunning(
            f"This is already being imported, by {holder or 'another session'}.",
            hint="Wait for its end, or stop it. The same command then continues from there.",
        )


async def _wait_for_workers(connection: Connection, import_id: int) -> None:
    """Wait for the workers of an earlier run to end: what they commit would be counted twice."""
    try:
        await connection.execute(
            "select set_config('lock_timeout', %s, true)", (f"{_WORKER_SECONDS}s",)
        )
        await connection.execute("select pg_advisory_xact_lock(%s)", (_WORKER_LOCKS + import_id,))
    except psycopg.errors.LockNotAvailable:
        raise ImportRunning(
            "Workers of an earlier run are still writing.",
            hint="Start it again when they have ended. Find them with: ps -ef | grep workers.child",
        ) from None


async def join_as_worker(connection: Connection, import_id: int) -> None:
    """Take the shared lock of the import's workers, for as long as the session lasts."""
    await connection.execute("select pg_advisory_lock_shared(%s)", (_WORKER_LOCKS + import_id,))


async def end_import(
    connection: Connection,
    import_id: int,
    *,
    outcome: ImportOutcome,
    error: str | None,
    account: Mapping[str, Any],
) -> None:
    """Record how an import ended."""
    await connection.execute(_END, (outcome, error, Jsonb(account), import_id))


async def add_import_history(connection: Connection, import_id: int) -> None:
    """Note for which time the import, which is done, makes each channel complete."""
    await connection.execute("select slack.add_import_history(%s)", (import_id,))


async def retake_lock(connection: Connection, run: ImportRun) -> bool:
    """Take the lock of a run whose session was lost; False if another session has it.

    Raises ImportRunning if another run has continued the import since.
    """
    if not await try_lock(connection, lock_key(run.id)):
        return False
    cursor = await connection.execute(_GO_ON, (run.id, run.run_at))
    if not cursor.rowcount:
        raise ImportRunning(
            "Another process has continued this import while the connection was lost.",
            hint="What is committed is kept. Start the import again when the other one has ended.",
        )
    return True


async def count_killed(connection: Connection, import_id: int) -> bool:
    """Store the account of an import that was killed; False while one of its workers may still commit.

    It reads the rows of all files, which takes seconds if there are very many. The caller has checked that no
    session holds the import's lock.
    """
    cursor = await connection.execute(_KILLED, (_WORKER_LOCKS + import_id, import_id))
    if (found := await cursor.fetchone()) is None:
        return True  # it has ended, or was counted, meanwhile
    resumed_at, has_ended = found
    if has_ended:
        await connection.execute(_COUNT, (import_id, resumed_at))
    return bool(has_ended)
