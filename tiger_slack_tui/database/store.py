"""Writes events: one call of slack.ingest() for a batch, one by one where a batch fails."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from tiger_slack_tui.database.failures import describe, is_unavailable
from tiger_slack_tui.database.pool import break_off
from tiger_slack_tui.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

_INGEST = "select slack.ingest(%s::jsonb)::text"


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


class EventStore:
    """Writes batches of records (JSON objects with the fields of slack.routed_event)."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool
        self._busy: set[AsyncConnection[Any]] = set()

    @property
    def busy(self) -> bool:
        """Whether a write is under way."""
        return bool(self._busy)

    async def write(self, records: Sequence[bytes]) -> Written:
        """Commit the records, each event with its audit row and effects; harmless for those written before.

        An event that PostgreSQL refuses is kept in slack.event with its error and harms no other. Raises
        DatabaseUnavailable where the database cannot take events now: then any part of the records may be
        written. Waits as long as the database does; `abort` ends that.
        """
        try:
            async with self._pool.connection(timeout=2) as connection:
                self._busy.add(connection)
                try:
                    return await self._write(connection, records)
                finally:
                    self._busy.discard(connection)
        except PoolTimeout:
            raise DatabaseUnavailable("no connection to the database within 2 s") from None
        except psycopg.Error as error:
            reason = f"the database did not take events: {describe(error)}"
            raise DatabaseUnavailable(reason) from None

    def abort(self) -> None:
        """Break the connections of writes under way: they raise DatabaseUnavailable at once."""
        for connection in tuple(self._busy):
            break_off(connection)

    async def _write(self, connection: AsyncConnection[Any], records: Sequence[bytes]) -> Written:
        try:
            return await _ingest(connection, records)
        except psycopg.Error as error:
            if is_unavailable(error) or connection.broken:
                raise
            if len(records) == 1:
                return await _record_failure(connection, records[0], error)
        # Halving finds one bad event among 500 in 18 transactions; the good halves are written whole.
        middle = len(records) // 2
        written = await self._write(connection, records[:middle])
        written.add(await self._write(connection, records[middle:]))
        return written


async def _ingest(connection: AsyncConnection[Any], records: Sequence[bytes]) -> Written:
    batch = b"[" + b",".join(records) + b"]"
    cursor = await connection.execute(_INGEST, (batch.decode(),), prepare=True)
    row = await cursor.fetchone()
    answer: Mapping[str, Any] = orjson.loads(row[0]) if row else {}
    return Written(set(answer["first"]), dict(answer["discarded"]))


async def _record_failure(
    connection: AsyncConnection[Any], record: bytes, error: psycopg.Error
) -> Written:
    """Keep the event with its error; where even that is refused, its text."""
    routed = orjson.loads(record)
    event_id = routed["event_id"]
    # What the event is about may be what was refused; the event itself still says it.
    about: dict[str, Any] = {"effects": [], "channel_id": None, "user_id": None, "message_ts": None}
    kept = routed | about | {"outcome": "failed", "error": _explain(error)}
    try:
        written = await _ingest(connection, [orjson.dumps(kept)])
    except psycopg.Error as again:
        if is_unavailable(again) or connection.broken:
            raise
        kept["event"] = {"unstorable": record.decode()}
        written = await _ingest(connection, [orjson.dumps(kept)])
    reason = error.sqlstate or type(error).__name__
    written.failed = {event_id: reason} if event_id in written.first else {}
    if written.failed:
        log.error("an event failed and was kept", extra={"event_id": event_id, "sqlstate": reason})
    return written


def _explain(error: psycopg.Error) -> dict[str, Any]:
    """The error as slack.event keeps it, beside the event itself."""
    names = [
        "severity",
        "message_detail",
        "message_hint",
        "context",
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
