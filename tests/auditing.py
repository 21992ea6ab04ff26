"""Events for tests of the audit trail, written without a Slack."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support import encoded
from tiger_slack_tui.ingest.record import encode_record
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.pool import connect, make_pool
from tiger_slack_tui.slack.events import parse_envelope, route
from tiger_slack_tui.store.events import BatchResult, EventStore

START = 1_700_000_000


def ts(number: int) -> str:
    return f"{START + number}.000100"


def at(number: int) -> datetime:
    return datetime.fromtimestamp(START + number, UTC) + timedelta(microseconds=100)


def message(number: int, **fields: Any) -> dict[str, Any]:
    """A message; fields of None are left out."""
    event = {"type": "message", "channel": "C1", "user": "U1", "text": f"text {number}"}
    event |= {"ts": ts(number), "event_ts": ts(number)} | fields
    return {name: value for name, value in event.items() if value is not None}


def edit(number: int, when: int, **fields: Any) -> dict[str, Any]:
    content = {"type": "message", "user": "U1", "text": f"edit at {when}", "ts": ts(number)}
    event = {"type": "message", "subtype": "message_changed", "channel": "C1"}
    return event | {"ts": ts(when), "event_ts": ts(when), "message": content | fields}


def deletion(number: int, when: int) -> dict[str, Any]:
    event = {"type": "message", "subtype": "message_deleted", "channel": "C1"}
    return event | {"deleted_ts": ts(number), "ts": ts(when), "event_ts": ts(when)}


def reaction(number: int, when: int) -> dict[str, Any]:
    item = {"type": "message", "channel": "C1", "ts": ts(number)}
    event = {"type": "reaction_added", "user": "U2", "reaction": "eyes", "item": item}
    return event | {"event_ts": ts(when)}


def record(event_id: str, event: dict[str, Any], *, late: float = 0.5) -> bytes:
    """The event as the pipeline writes it, received `late` seconds after it happened."""
    frame = {"envelope_id": "x", "payload": {"event_id": event_id, "event": event}}
    happened = float(event["event_ts"]) if "event_ts" in event else START
    envelope = parse_envelope(frame, received_at=happened + late)
    assert envelope is not None
    return encode_record(envelope, route(envelope))


async def store(conninfo: str, events: dict[str, dict[str, Any]]) -> BatchResult:
    """Ingest the events, by event_id, as one batch."""
    pool = make_pool(conninfo, minimum=1, maximum=1)
    await pool.open()
    try:
        return await EventStore(pool).ingest(encoded([record(*event) for event in events.items()]))
    finally:
        await pool.close()


@asynccontextmanager
async def asking(conninfo: str) -> AsyncIterator[Connection]:
    async with await connect(conninfo) as connection:
        yield connection
