"""The way of a live event: from the socket through the queue to the database or the spool, and then to its ack."""

from __future__ import annotations

from dataclasses import dataclass

from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.periods import StalledPeriods
from tiger_slack_tui.base.snapshot import Stats
from tiger_slack_tui.ingest.ack_sender import Ack, AckSender
from tiger_slack_tui.ingest.batch_writer import Batch, BatchWriter
from tiger_slack_tui.ingest.database_writer import DatabaseWriter
from tiger_slack_tui.ingest.queue import EventQueue, QueuedEvent
from tiger_slack_tui.ingest.record import encode_record
from tiger_slack_tui.ingest.spool.spool import Spool
from tiger_slack_tui.ingest.spool_drain import SpoolDrain
from tiger_slack_tui.ingest.stalls import StallDetector
from tiger_slack_tui.slack.events import Envelope, route
from tiger_slack_tui.slack.socket_connection import SocketConnection
from tiger_slack_tui.slack.ts import lateness
from tiger_slack_tui.store.events import EventStore


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """The limits of the pipeline."""

    queue: int = 2000
    """Most events in the queue. A full queue stops reading the socket."""
    queue_bytes: int = 64 << 20
    """Most bytes in the queue. Slack's frames can be large."""
    batch_events: int = 500
    batch_bytes: int = 4 << 20
    commit_seconds: float = 2.0
    """Age of a batch's oldest event at which the batch goes to the spool. Slack wants the ack within 3 s."""
    append_seconds: float = 1.0
    """An append to the spool that takes longer counts as refused. It goes on, and the database is tried again."""
    write_seconds: float = 60.0
    """A write that takes longer is aborted, and retried on another connection."""
    write_seconds_most: float = 600.0
    """The same for batches of the spool: after each abort the limit doubles, up to this."""
    ack_batches: int = 8
    """Most batches, of all connections together, that wait for the sender of acks. When more wait, writing pauses."""
    acks_for_connection: int = 4000
    """Most unsent acks of one connection. When more wait, the acks of later batches wait."""
    stall_seconds: float = 3.0
    """The queue is stalled when an event waits longer than this for room: Slack has given up its first delivery."""


class Pipeline:
    """Takes events, makes them durable, and then acknowledges them.

    Three tasks run at the same time. `write` takes batches from the queue and writes them to the database or the
    spool. `acks.run` sends the acks while the next batch is written. `drain.run` moves the spool into the database.
    Until `mark_database_ready` all events go to the spool. Each task can be started again after an error.
    """

    def __init__(
        self,
        store: EventStore,
        spool: Spool,
        stats: Stats,
        *,
        limits: PipelineLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._stats = stats
        self._clock = clock = clock or SystemClock()
        self.limits = limits = limits or PipelineLimits()
        self._queue = EventQueue(most_events=limits.queue, most_bytes=limits.queue_bytes)
        self._batch: Batch | None = None
        self._stalls = StallDetector(clock, least=limits.stall_seconds)
        self._database = DatabaseWriter(store, clock)
        self._writer = BatchWriter(
            self._database,
            spool,
            stats,
            self._stalls,
            clock,
            commit_seconds=limits.commit_seconds,
            write_seconds=limits.write_seconds,
            append_seconds=limits.append_seconds,
        )
        self.acks = AckSender(
            stats,
            clock,
            most_batches=limits.ack_batches,
            most_for_connection=limits.acks_for_connection,
        )
        self.drain = SpoolDrain(
            self._database,
            spool,
            stats,
            clock,
            write_seconds=limits.write_seconds,
            write_seconds_most=limits.write_seconds_most,
        )

    @property
    def queued(self) -> int:
        """Number of events in the queue."""
        return len(self._queue)

    @property
    def queued_bytes(self) -> int:
        """Bytes of the events in the queue."""
        return self._queue.size

    @property
    def spool_problem(self) -> str | None:
        """Why the spool takes no events; None if it does."""
        return self._writer.spool_problem

    @property
    def database_problem(self) -> str | None:
        """Why events go to the spool; None while the database takes them."""
        return self._database.problem

    @property
    def database_since(self) -> float:
        """`Clock.elapsed` of the last change between database and spool."""
        return self._database.since

    @property
    def stalled_since(self) -> float | None:
        """Since when no event is taken, as `Clock.elapsed`; None while events are taken. See `StallDetector`."""
        return self._stalls.since(self._batch[0].read_at if self._batch else self._queue.oldest)

    @property
    def stalled_periods(self) -> StalledPeriods:
        """The periods in which no event was taken, until they are stored."""
        return self._stalls.periods

    def mark_database_ready(self) -> None:
        """Call this when the schema is current and the pool is open."""
        self._database.mark_ready()

    def mark_database_away(self, problem: str) -> None:
        """Send events to the spool until a write succeeds."""
        self._database.mark_away(problem)

    async def receive(self, envelope: Envelope, connection: SocketConnection) -> None:
        """Take one event. Waits while the queue is full."""
        routed = route(envelope)
        late = lateness(envelope.event_ts, envelope.received_at)
        event = QueuedEvent(
            encode_record(envelope, routed),
            envelope.event_id,
            routed,
            envelope.envelope_id,
            connection,
            late,
            self._clock.elapsed(),
        )
        self._stats.received += 1
        self._stats.lateness.add(late)
        if not self._queue.offer(event):
            self._stalls.on_queue_full()
            await self._queue.put(event)

    async def write(self) -> None:
        """Make batches durable, until cancelled. After an error, the next call goes on with the same batch."""
        limits = self.limits
        while True:
            if self._batch is None:
                self._batch = await self._queue.take(
                    most_events=limits.batch_events, most_bytes=limits.batch_bytes
                )
                self._stalls.on_queue_moved()
            batch = self._batch
            await self._writer.make_durable(batch)
            self._batch = None
            try:
                await self.acks.put([_ack(event) for event in batch])
            finally:
                self._queue.finish(len(batch))

    async def flush(self) -> None:
        """Wait until all received events are durable and their acks are sent."""
        await self._queue.join()
        await self.acks.flush()

    async def close(self, seconds: float = 0.6) -> None:
        """Abort the running writes, within `seconds`. Their events are in the spool or not acknowledged."""
        self.drain.stop()
        await self._database.close(seconds)


def _ack(event: QueuedEvent) -> Ack:
    return Ack(event.envelope_id, event.connection, event.routed.type or "none", event.read_at)
