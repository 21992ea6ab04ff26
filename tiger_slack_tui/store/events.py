"""Writes events: one call of slack.ingest() for a batch, one by one where a batch fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
import psycopg
from psycopg_pool import PoolTimeout

from tiger_slack_tui.base.errors import DatabaseUnavailable, EventsRefused
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.postgres.failures import describe, is_unavailable, may_be_the_connection
from tiger_slack_tui.postgres.pool import Pool, abort_connection

log = logging.getLogger(__name__)

T = TypeVar("T")

# The events of which exactly this delivery is stored, and what became of them.
_STORED = """
select e.event_id
, e.outcome
, e.discard_id
, coalesce(e.error ->> 'sqlstate', e.error ->> 'class') as reason
from jsonb_to_recordset(%s::jsonb) as r (event_id text, received_at timestamptz)
inner join slack.delivery d on (d.event_id = r.event_id)
inner join slack.event e on (e.event_ts = d.event_ts and e.event_id = d.event_id)
where r.event_id = any (%s)
and e.received_at = r.received_at
"""
_INGEST = "select slack.ingest(%s::jsonb)::text"
# SQLSTATEs of a session that the server ends: they say nothing about the events.
_ENDED = ("08", "57P")
_ABOUT_NOTHING = dict.fromkeys(("type", "subtype", "channel_id", "user_id", "message_ts"))


@dataclass(slots=True)
class Written:
    """What became of a batch, by event_id."""

    first: set[str] = field(default_factory=set)
    """Events that were new; all others were delivered before."""
    discarded: dict[str, int] = field(default_factory=dict)
    """Rule by event."""
    failed: dict[str, str] = field(default_factory=dict)
    """SQLSTATE, or the error's class where there is none, by event."""

    def add(self, other: Written) -> None:
        self.first |= other.first
        self.discarded |= other.discarded
        self.failed |= other.failed


class _OddConnection(Exception):
    """An error that can be the fault of the connection or of a plan."""


class EventStore:
    """Writes batches of records (JSON objects with the fields of slack.routed_event)."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._busy: set[Connection] = set()

    @property
    def busy(self) -> bool:
        """Whether a write is under way."""
        return bool(self._busy)

    async def write(
        self, records: Sequence[bytes], *, seconds: float = 60, unsure: Collection[str] = ()
    ) -> Written:
        """Commit the records, each event with its audit row and effects; harmless for those written before.

        An event that PostgreSQL refuses is kept in slack.event with its error and harms no other. Raises
        DatabaseUnavailable where the database cannot take events now, or does not answer within so many seconds:
        then any part of the records may be written. `abort` ends it sooner. It is EventsRefused where the server
        answered: the reason can lie in one of the events.

        `unsure` are events of which an earlier call may have written the same record, without an answer. They count
        as first where the database has exactly that record.
        """
        try:
            try:
                return await self._write_on_one(records, seconds, unsure, is_last=False)
            except _OddConnection:  # parts of the records may be committed
                unsure = {*unsure, *(orjson.loads(record)["event_id"] for record in records)}
                return await self._write_on_one(records, seconds, unsure, is_last=True)
        except PoolTimeout:
            raise DatabaseUnavailable("no connection to the database within 2 s") from None
        except psycopg.Error as error:
            reason = f"the database did not take events: {describe(error)}"
            answered = error.sqlstate is not None and not error.sqlstate.startswith(_ENDED)
            raise (EventsRefused if answered else DatabaseUnavailable)(reason) from None

    def abort(self) -> None:
        """Break the connections of writes under way: they raise DatabaseUnavailable at once."""
        for connection in tuple(self._busy):
            abort_connection(connection)

    async def _write_on_one(
        self, records: Sequence[bytes], seconds: float, unsure: Collection[str], *, is_last: bool
    ) -> Written:
        """Write the records on one connection of the pool.

        Raises _OddConnection where it may be the connection's fault that the database refuses them, unless
        `is_last`; then the connection is closed.
        """
        is_silent = False

        def end_silence() -> None:
            nonlocal is_silent
            is_silent = True
            abort_connection(connection)

        async with self._pool.connection(timeout=2) as connection:
            timer = asyncio.get_running_loop().call_later(seconds, end_silence)
            self._busy.add(connection)
            try:
                written = await self._write(connection, records, is_last=is_last)
                if unsure:
                    written.add(await _stored(connection, records, unsure))
                return written
            except _OddConnection:
                await connection.close()
                raise
            except psycopg.Error as error:
                if error.sqlstate is None and connection.broken and not self._pool.closed:
                    # The others of the pool are probably lost, too, and each would have to be found out.
                    await self._pool.drain()
                if is_silent:
                    raise DatabaseUnavailable(
                        f"the database did not answer within {seconds:g} s"
                    ) from None
                raise
            finally:
                timer.cancel()
                self._busy.discard(connection)

    async def _write(
        self, connection: Connection, records: Sequence[bytes], *, is_last: bool
    ) -> Written:
        async def take(part: Sequence[bytes]) -> Written:
            try:
                return await retry_deadlocks(lambda: _ingest(connection, part))
            except psycopg.Error as error:
                if is_last or not may_be_the_connection(error):
                    raise
                log.warning("another connection is tried: %s", describe(error))
                raise _OddConnection from None

        written = Written()
        for part, error in await take_each(connection, records, take):
            if error is not None:
                part.failed = dict.fromkeys(part.first, error)
                for event_id in part.first:
                    about = {"event_id": event_id, "sqlstate": error}
                    log.error("an event failed and was kept", extra=about)
            written.add(part)
        return written


async def take_each(
    connection: Connection,
    records: Sequence[bytes],
    take: Callable[[Sequence[bytes]], Awaitable[T]],
) -> list[tuple[T, str | None]]:
    """What `take` answers for the records: for all together, or for parts where the database refuses some.

    A record that is refused alone is taken as failed, with its error, once it has been refused twice; then the answer
    comes with the SQLSTATE, or the error's class where there is none. Raises psycopg.Error where the database cannot
    take any now.
    """
    try:
        return [(await take(records), None)]
    except psycopg.Error as error:
        if is_unavailable(error) or connection.broken:
            raise
    return await _take_parts(connection, records, take)


async def _take_parts(
    connection: Connection,
    records: Sequence[bytes],
    take: Callable[[Sequence[bytes]], Awaitable[T]],
) -> list[tuple[T, str | None]]:
    """As `take_each`, for records that were refused together, or a single one that was refused once."""
    # Halving finds one bad event among 500 in 18 transactions; the good halves are written whole.
    middle = len(records) // 2
    answers: list[tuple[T, str | None]] = []
    for part in filter(None, (records[:middle], records[middle:])):
        try:
            answers.append((await take(part), None))
        except psycopg.Error as error:
            if is_unavailable(error) or connection.broken:
                raise
            if len(part) == 1:
                answers.append(await _take_failed(connection, part[0], error, take))
            else:
                answers += await _take_parts(connection, part, take)
    return answers


async def _stored(
    connection: Connection, records: Sequence[bytes], event_ids: Collection[str]
) -> Written:
    """What became of those events of which exactly these records are stored."""
    cursor = await connection.execute(_STORED, (as_array(records), list(event_ids)))
    found = Written()
    for event_id, outcome, rule, reason in await cursor.fetchall():
        found.first.add(event_id)
        if outcome == "discarded":
            found.discarded[event_id] = rule
        elif outcome == "failed":
            found.failed[event_id] = reason or "unknown"
    return found


async def _ingest(connection: Connection, records: Sequence[bytes]) -> Written:
    cursor = await connection.execute(_INGEST, (as_array(records),), prepare=True)
    row = await cursor.fetchone()
    answer: Mapping[str, Any] = orjson.loads(row[0]) if row else {}
    return Written(set(answer["first"]), dict(answer["discarded"]))


def as_array(records: Sequence[bytes]) -> str:
    """The records as one JSON array."""
    return (b"[" + b",".join(records) + b"]").decode()


async def _take_failed(
    connection: Connection,
    record: bytes,
    error: psycopg.Error,
    take: Callable[[Sequence[bytes]], Awaitable[T]],
) -> tuple[T, str]:
    """Keep the event with its error; where even that is refused, without what it is about, or as mere text."""
    reason = error.sqlstate or type(error).__name__
    failed = orjson.loads(record) | {"effects": [], "outcome": "failed", "error": _explain(error)}
    forms = (
        failed,
        failed | {"message_ts": None},
        failed | _ABOUT_NOTHING,
        failed | _ABOUT_NOTHING | {"event": {"unstorable": record.decode()}},
    )
    for form in forms[:-1]:
        try:
            return await take([orjson.dumps(form)]), reason
        except psycopg.Error as again:
            if is_unavailable(again) or connection.broken:
                raise
    return await take([orjson.dumps(forms[-1])]), reason


def _explain(error: psycopg.Error) -> dict[str, Any]:
    """The error as slack.event keeps it: without detail and context, which quote the event's values a second time."""
    names = [
        "severity",
        "message_hint",
        "schema_name",
        "table_name",
        "column_name",
        "datatype_name",
        "constraint_name",
        "source_function",
    ]
    diagnostics = {name: value for name in names if (value := getattr(error.diag, name))}
    return {
        "class": type(error).__name__,
        "message": error.diag.message_primary or type(error).__name__,
        "sqlstate": error.sqlstate,
        "diagnostics": diagnostics,
    }
