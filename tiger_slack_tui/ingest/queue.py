"""The queue of events between the socket and a batch, with a limit on their number and their bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from tiger_slack_tui.base.ids import EnvelopeId
from tiger_slack_tui.slack.socket_connection import SocketConnection
from tiger_slack_tui.store.events import EncodedEvent


@dataclass(slots=True)
class QueuedEvent(EncodedEvent):
    """An event that was read and is not durable yet."""

    envelope_id: EnvelopeId
    connection: SocketConnection
    late: float
    """Seconds from the event, by Slack's clock, to its receipt."""
    read_at: float
    """`Clock.elapsed` of its receipt."""


class EventQueue:
    """First in, first out. Full at `most_events` events, or when its records have `most_bytes` or more.

    Its memory is at most `most_bytes` plus one event for each connection.
    """

    def __init__(self, *, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._events: deque[QueuedEvent] = deque()
        self._unfinished = 0
        self._room = asyncio.Event()
        self._filled = asyncio.Event()
        self._finished = asyncio.Event()
        self._finished.set()
        self.size = 0
        """Bytes of the records."""

    def __len__(self) -> int:
        return len(self._events)

    @property
    def oldest(self) -> float | None:
        """`Clock.elapsed` of the receipt of the oldest event; None if the queue is empty."""
        return self._events[0].read_at if self._events else None

    def offer(self, event: QueuedEvent) -> bool:
        """Add an event unless the queue is full. Returns whether it was added."""
        if len(self._events) >= self._most_events or self.size >= self._most_bytes:
            return False
        if not self._unfinished:
            self._finished.clear()
        self._unfinished += 1
        self._events.append(event)
        self.size += len(event.record)
        self._filled.set()
        return True

    async def put(self, event: QueuedEvent) -> None:
        """Add an event. Waits while the queue is full. If this is cancelled, the event is not added."""
        while not self.offer(event):
            self._room.clear()
            await self._room.wait()

    async def take(self, *, most_events: int, most_bytes: int) -> list[QueuedEvent]:
        """Take a batch: at least one event, and more up to the limits. Waits while the queue is empty."""
        while not self._events:
            self._filled.clear()
            await self._filled.wait()
        batch: list[QueuedEvent] = []
        size = 0
        while self._events and len(batch) < most_events and size < most_bytes:
            batch.append(event := self._events.popleft())
            size += len(event.record)
        self.size -= size
        self._room.set()
        return batch

    def finish(self, events: int) -> None:
        """Mark `events` of the taken events as finished."""
        self._unfinished -= events
        if self._unfinished == 0:
            self._finished.set()

    async def join(self) -> None:
        """Wait until all events are finished."""
        await self._finished.wait()
