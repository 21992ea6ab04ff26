"""A pipeline whose store and connection behave as a test sets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from tiger_slack_tui.ingest.pipeline import Pipeline
from tiger_slack_tui.slack.events import Envelope
from tiger_slack_tui.slack.socket_connection import SocketConnection
from tiger_slack_tui.store.events import BatchResult, EncodedEvent, EventStore


class FakeStore:
    """Takes events at once. Writes wait for `gate`. The next writes raise `errors`."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.errors: list[Exception] = []
        self.poison: Callable[[bytes], Exception | None] = lambda _: None
        self.calls = 0
        self.busy = False

    async def ingest(
        self,
        events: Sequence[EncodedEvent],
        *,
        seconds: float = 60,
        unconfirmed: Collection[str] = (),
    ) -> BatchResult:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        for event in events:
            if (error := self.poison(event.record)) is not None:
                raise error
        await self.gate.wait()
        written = BatchResult()
        for event in events:
            event_id, record = event.event_id, event.record
            if self.stored.setdefault(event_id, record) is record or (
                event_id in unconfirmed and self.stored[event_id] == record
            ):
                written.new.add(event_id)
        return written

    def abort(self) -> None:
        pass

    def as_store(self) -> EventStore:
        return cast(EventStore, self)


class FakeConnection:
    """Keeps the ids of its acks. The next calls raise `errors`."""

    def __init__(self) -> None:
        self.acked: list[str] = []
        self.takes: int | None = None
        """How many acks it can send at once; None without a limit."""
        self.errors: list[Exception] = []

    async def ack(self, envelope_ids: Sequence[str]) -> int:
        if self.errors:
            raise self.errors.pop(0)
        self.acked += envelope_ids[: self.takes]
        return len(envelope_ids[: self.takes])

    def as_connection(self) -> SocketConnection:
        return cast(SocketConnection, self)


def envelope(number: int, *, text: str = "hi", type_: str = "message") -> Envelope:
    """Event `Ev…`, in an envelope `e…`."""
    ts = f"{1_700_000_000 + number}.000100"
    event: dict[str, Any] = {"type": type_, "channel": "C1", "user": "U1", "text": text, "ts": ts}
    return Envelope(f"e{number}", f"Ev{number}", ts, "T1", event, 1_700_000_001.0 + number)


@asynccontextmanager
async def tasks(*works: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Tasks of these coroutines. They run during the block and are cancelled at its end."""
    made = [asyncio.create_task(work) for work in works]
    try:
        yield made
    finally:
        for task in made:
            task.cancel()
        await asyncio.gather(*made, return_exceptions=True)


@asynccontextmanager
async def working(pipeline: Pipeline) -> AsyncIterator[Pipeline]:
    """The pipeline, while its database is ready and its tasks run."""
    pipeline.mark_database_ready()
    async with tasks(pipeline.write(), pipeline.acks.run(), pipeline.drain.run()):
        yield pipeline
