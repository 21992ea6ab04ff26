"""Writes events to the tables: a batch in one transaction, and a batch that fails in smaller parts.

What an event changes in the tables is in `migrations/idempotent/`: slack.ingest() in 005-ingest.sql, and its callees.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import orjson
import psycopg
from psycopg_pool import PoolTimeout

from tiger_slack_tui.base.batch_parts import BatchParts
from tiger_slack_tui.base.errors import DatabaseUnavailable, EventsRefused
from tiger_slack_tui.base.ids import EventId
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.postgres.failures import describe, is_unavailable, may_be_the_connection
from tiger_slack_tui.postgres.pool import Pool, abort_connection
from tiger_slack_tui.postgres.queries import fetch_value
from tiger_slack_tui.slack.events import Route
from tiger_slack_tui.slack.ts import parse_ts
from tiger_slack_tui.store.lock_spans import by_lock_span

log = logging.getLogger(__name__)

T = TypeVar("T")

# The events that are stored from exactly this delivery, with their outcomes.
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
# SQLSTATEs of a session that ended. They say nothing about the events.
_SESSION_ENDED = ("08", "57P")
_WITHOUT_SUBJECT = dict.fromkeys(("type", "subtype", "channel_id", "user_id", "message_ts"))


# Not frozen: frozen dataclasses take twice as long to create, and each event needs one.
@dataclass(slots=True)
class EncodedEvent:
    """An event as slack.ingest() takes it."""

    record: bytes
    """A JSON object with the fields of slack.routed_event."""
    event_id: EventId
    routed: Route


@dataclass(slots=True)
class BatchResult:
    """The result of writing a batch, by event_id."""

    new: set[EventId] = field(default_factory=set)
    """Events that were not in the database before."""
    discarded: dict[EventId, int] = field(default_factory=dict)
    """The rule that discarded the event's message, by event."""
    failed: dict[EventId, str] = field(default_factory=dict)
    """SQLSTATE of the failure, or the error's class if it has none, by event."""

    def add(self, other: BatchResult) -> None:
        self.new |= other.new
        self.discarded |= other.discarded
        self.failed |= other.failed


class _RetryElsewhere(Exception):
    """The connection or one of its plans may have caused the error: another connection may succeed."""


class EventStore:
    """Writes batches of events."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._busy: set[Connection] = set()

    @property
    def busy(self) -> bool:
        """Whether a write is going on."""
        return bool(self._busy)

    async def ingest(
        self,
        events: Sequence[EncodedEvent],
        *,
        seconds: float = 60,
        unconfirmed: Collection[EventId] = (),
    ) -> BatchResult:
        """Commit the events: the audit row and the effects of each. An event can be written repeatedly.

        An event that PostgreSQL refuses is stored in slack.event with its error, and does not affect the others.
        Raises DatabaseUnavailable if the database cannot take events now, does not answer within `seconds`, or
        `abort` is called. Raises its subclass EventsRefused if the server answered with an error, so that one of
        the events may be the cause. After an error, any part of the events may be written.

        `unconfirmed` names events whose records an earlier call may have written without getting an answer. Such an
        event counts as new if the database has exactly this record.
        """
        try:
            try:
                return await self._write_on_one(events, seconds, unconfirmed, is_last=False)
            except _RetryElsewhere:  # some of the events may be committed
                unconfirmed = {*unconfirmed, *(event.event_id for event in events)}
                return await self._write_on_one(events, seconds, unconfirmed, is_last=True)
        except PoolTimeout:
            raise DatabaseUnavailable("no connection to the database within 2 s") from None
        except psycopg.Error as error:
            reason = f"the database did not take events: {describe(error)}"
            answered = error.sqlstate is not None and not error.sqlstate.startswith(_SESSION_ENDED)
            raise (EventsRefused if answered else DatabaseUnavailable)(reason) from None

    def abort(self) -> None:
        """Abort all writes that are going on. They raise DatabaseUnavailable at once."""
        for connection in tuple(self._busy):
            abort_connection(connection)

    async def _write_on_one(
        self,
        events: Sequence[EncodedEvent],
        seconds: float,
        unconfirmed: Collection[EventId],
        *,
        is_last: bool,
    ) -> BatchResult:
        """Write the events on one connection of the pool.

        If the connection may have caused a refusal, closes it and raises _RetryElsewhere, unless `is_last`.
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
                written = await self._write(connection, events, is_last=is_last)
                if unconfirmed:
                    written.add(await _stored(connection, events, unconfirmed))
                return written
            except _RetryElsewhere:
                await connection.close()
                raise
            except psycopg.Error as error:
                if error.sqlstate is None and connection.broken and not self._pool.closed:
                    # The pool's other connections are probably lost as well, so replace them all.
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
        self, connection: Connection, events: Sequence[EncodedEvent], *, is_last: bool
    ) -> BatchResult:
        async def write_part(part: Sequence[EncodedEvent]) -> BatchResult:
            try:
                return await retry_deadlocks(lambda: _ingest(connection, part))
            except psycopg.Error as error:
                if is_last or not may_be_the_connection(error):
                    raise
                log.warning("retrying on another connection: %s", describe(error))
                raise _RetryElsewhere from None

        written = BatchResult()
        for part, error in await write_in_parts(connection, events, write_part):
            if error is not None:
                part.failed = dict.fromkeys(part.new, error)
                for event_id in part.new:
                    about = {"event_id": event_id, "sqlstate": error}
                    log.error("an event failed and was kept", extra=about)
            written.add(part)
        return written


async def write_in_parts(
    connection: Connection,
    events: Sequence[EncodedEvent],
    write_part: Callable[[Sequence[EncodedEvent]], Awaitable[T]],
) -> list[tuple[T, str | None]]:
    """Write the events in parts, and return the result of each part.

    A part has the events of one lock span. If PostgreSQL refuses a part, its halves are tried. `write_part` writes a
    part in a transaction of its own on the connection. An event that PostgreSQL refuses twice on its own is written
    as a failed event. Its result comes with the SQLSTATE of the error, or with the error's class if it has none; all
    other results come with None. Raises psycopg.Error if the database is unavailable.
    """
    results: list[tuple[T, str | None]] = []
    for span in by_lock_span(events, _time_of):
        parts = BatchParts(span)
        refusals = 0
        while part := parts.next:
            try:
                results.append((await write_part(part), None))
            except psycopg.Error as error:
                _raise_if_unavailable(connection, error)
                refusals += 1
                if len(part) > 1:
                    parts.halve()
                    continue
                if refusals == 1:
                    continue  # the span has this one event: try it a second time
                reason = error.sqlstate or type(error).__name__
                failed = await _write_failed(connection, part[0], error, write_part)
                results.append((failed, reason))
            parts.finish()
    return results


async def _write_failed(
    connection: Connection,
    event: EncodedEvent,
    error: psycopg.Error,
    write_part: Callable[[Sequence[EncodedEvent]], Awaitable[T]],
) -> T:
    """Write the event with its error. If that is refused, too, write it without its subject, or as plain text."""
    *forms, last = _failed_forms(event, error)
    for form in forms:
        try:
            return await write_part([form])
        except psycopg.Error as refusal:
            _raise_if_unavailable(connection, refusal)
    return await write_part([last])


def _failed_forms(event: EncodedEvent, error: psycopg.Error) -> list[EncodedEvent]:
    """The event as a failed event, in forms of which each is less likely to be refused than the one before it."""
    failed = orjson.loads(event.record) | {
        "effects": [],
        "outcome": Outcome.FAILED,
        "error": _explain(error),
    }
    forms = (
        failed,
        failed | {"message_ts": None},
        failed | _WITHOUT_SUBJECT,
        failed | _WITHOUT_SUBJECT | {"event": {"unstorable": event.record.decode()}},
    )
    return [replace(event, record=orjson.dumps(form)) for form in forms]


def _time_of(event: EncodedEvent) -> int | None:
    """The ts of the message that an event is about, in microseconds since 1970."""
    ts = event.routed.message_ts
    return parse_ts(ts) if ts else None


def _raise_if_unavailable(connection: Connection, error: psycopg.Error) -> None:
    """Raise the error again if it says nothing about the events."""
    if is_unavailable(error) or connection.broken:
        raise error


async def _stored(
    connection: Connection, events: Sequence[EncodedEvent], event_ids: Collection[EventId]
) -> BatchResult:
    """The results of those events that are stored from exactly the records of these."""
    cursor = await connection.execute(
        _STORED, (as_array([event.record for event in events]), list(event_ids))
    )
    found = BatchResult()
    for event_id, outcome, rule, reason in await cursor.fetchall():
        found.new.add(event_id)
        if outcome == Outcome.DISCARDED:
            found.discarded[event_id] = rule
        elif outcome == Outcome.FAILED:
            found.failed[event_id] = reason or "unknown"
    return found


async def _ingest(connection: Connection, events: Sequence[EncodedEvent]) -> BatchResult:
    records = as_array([event.record for event in events])
    text = await fetch_value(connection, _INGEST, (records,), prepare=True)
    answer: Mapping[str, Any] = orjson.loads(text)
    return BatchResult(set(answer["first"]), dict(answer["discarded"]))


def as_array(records: Sequence[bytes]) -> str:
    """The records as one JSON array."""
    return (b"[" + b",".join(records) + b"]").decode()


def _explain(error: psycopg.Error) -> dict[str, Any]:
    """The error as slack.event stores it: without detail and context, which would quote the event's values again."""
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
