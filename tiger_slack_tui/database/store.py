"""Writes events: one call of slack.ingest() for a batch, one by one where a batch fails."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from tiger_slack_tui.database.failures import describe, is_unavailable
from tiger_slack_tui.database.pool import break_off
from tiger_slack_tui.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

_INGEST = "select slack.ingest(%s::jsonb)::text"
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
        async def take(part: Sequence[bytes]) -> Written:
            return await _ingest(connection, part)

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
    connection: AsyncConnection[Any],
    records: Sequence[bytes],
    take: Callable[[Sequence[bytes]], Awaitable[T]],
) -> list[tuple[T, str | None]]:
    """What `take` answers for the records: for all together, or for parts where the database refuses some.

    A record that is refused alone is taken as failed, with its error; then the answer comes with the SQLSTATE, or
    the error's class where there is none. Raises psycopg.Error where the database cannot take any now.
    """
    try:
        return [(await take(records), None)]
    except psycopg.Error as error:
        if is_unavailable(error) or connection.broken:
            raise
        if len(records) == 1:
            return [await _take_failed(connection, records[0], error, take)]
    # Halving finds one bad event among 500 in 18 transactions; the good halves are written whole.
    middle = len(records) // 2
    answers = await take_each(connection, records[:middle], take)
    return answers + await take_each(connection, records[middle:], take)


async def _ingest(connection: AsyncConnection[Any], records: Sequence[bytes]) -> Written:
    cursor = await connection.execute(_INGEST, (as_array(records),), prepare=True)
    row = await cursor.fetchone()
    answer: Mapping[str, Any] = orjson.loads(row[0]) if row else {}
    return Written(set(answer["first"]), dict(answer["discarded"]))


def as_array(records: Sequence[bytes]) -> str:
    """The records as one JSON array."""
    return (b"[" + b",".join(records) + b"]").decode()


async def _take_failed(
    connection: AsyncConnection[Any],
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
