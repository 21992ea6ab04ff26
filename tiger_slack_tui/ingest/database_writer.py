"""Writes events to the database, and knows whether the database takes events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence

from tiger_slack_tui.base.backoff import LogThrottle
from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.ids import EventId
from tiger_slack_tui.base.spans import span
from tiger_slack_tui.store.events import BatchResult, EncodedEvent, EventStore

log = logging.getLogger(__name__)

_MOST_UNCONFIRMED = 20_000
"""Largest number of event ids to remember whose write is not confirmed."""


class DatabaseWriter:
    """Writes live events and events of the spool.

    It remembers the events of writes whose answer nobody got. They may be in the database, and when they are written
    again they must not count as repeated deliveries.
    """

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._ready = asyncio.Event()
        self._unconfirmed: dict[EventId, None] = {}  # ordered by age
        self._slow_failures = LogThrottle(clock)
        self.problem: str | None = "not connected yet"
        """Why the database takes no events; None while it takes them."""
        self.since = clock.elapsed()
        """`Clock.elapsed` of the last change between a problem and none."""

    @property
    def is_ready(self) -> bool:
        """Whether the schema is current and the pool is open."""
        return self._ready.is_set()

    def mark_ready(self) -> None:
        """Call this when the schema is current and the pool is open."""
        self._ready.set()
        self.mark_back()

    async def wait_until_ready(self) -> None:
        """Wait for `mark_ready`."""
        await self._ready.wait()

    def mark_away(self, problem: str) -> None:
        """Send events to the spool until a write succeeds."""
        if self.problem is None:
            self.since = self._clock.elapsed()
            log.warning("events go to the spool: %s", problem)  # nothing is lost
        self.problem = problem

    def mark_back(self) -> None:
        """Send events to the database again."""
        if self.problem is not None:
            self.since = self._clock.elapsed()
            log.info("the database takes events")
        self.problem = None
        self._slow_failures.reset()

    async def write(self, events: Sequence[EncodedEvent], *, seconds: float) -> BatchResult:
        """Write the events, within `seconds`. Raises as `EventStore.ingest`.

        The events count as unconfirmed until the caller has their result and calls `confirm`.
        """
        event_ids = [event.event_id for event in events]
        unconfirmed: set[EventId] = set()
        if self._unconfirmed:
            unconfirmed = {each for each in event_ids if each in self._unconfirmed}
        self._unconfirmed.update(dict.fromkeys(event_ids))
        while len(self._unconfirmed) > _MOST_UNCONFIRMED:
            del self._unconfirmed[next(iter(self._unconfirmed))]
        with span("ingest batch", events=len(events)) as current:
            written = await self._store.ingest(events, seconds=seconds, unconfirmed=unconfirmed)
            current.set_attributes(
                {
                    "new": len(written.new),
                    "discarded": len(written.discarded),
                    "failed": len(written.failed),
                }
            )
        return written

    def confirm(self, events: Iterable[EncodedEvent]) -> None:
        """Call this when `write` has answered and its result counts, and not when nothing waited for the answer."""
        for event in events:
            self._unconfirmed.pop(event.event_id, None)

    def log_slow_failure(self, write: asyncio.Task[BatchResult]) -> None:
        """Log the failure of a slow write, which nothing waits for. Of a long outage only some are logged."""
        if write.cancelled() or (error := write.exception()) is None:
            return
        if not isinstance(error, TigerSlackError):
            log.error("the slow commit failed", exc_info=error)
        elif self._slow_failures.allows():
            log.warning("the slow commit failed: %s", str(error))

    async def close(self, seconds: float) -> None:
        """Wait for the running writes, then abort them, within `seconds`."""
        await self._wait_for_writes(seconds / 2)
        self._store.abort()
        # A task that is cancelled before it notices the abort would ask the server to cancel, and wait for that.
        await self._wait_for_writes(seconds / 2)

    async def _wait_for_writes(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._store.busy:
                    await asyncio.sleep(0.02)
