"""Stores live events in batches in the database, or else in the spool, and then acknowledges them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tiger_slack_tui.base.backoff import LogThrottle, backoff
from tiger_slack_tui.base.clock import Clock, SystemClock, wall_time
from tiger_slack_tui.base.errors import (
    DatabaseUnavailable,
    EventsRefused,
    SpoolError,
    TigerSlackError,
)
from tiger_slack_tui.base.periods import StalledPeriods
from tiger_slack_tui.base.snapshot import Stats
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.base.telemetry import span
from tiger_slack_tui.ingest.queue import EventQueue, QueuedEvent
from tiger_slack_tui.ingest.record import EventRecord, encode_record, read_record
from tiger_slack_tui.ingest.spool.appender import Appender
from tiger_slack_tui.ingest.spool.spool import Spool, SpooledBatch
from tiger_slack_tui.ingest.stalls import StallDetector
from tiger_slack_tui.ingest.tally import count
from tiger_slack_tui.slack.events import Envelope, route
from tiger_slack_tui.slack.socket_connection import SocketConnection
from tiger_slack_tui.store.events import EventStore, Written

log = logging.getLogger(__name__)

_MOST_UNSURE = 20_000
"""Events of writes without an answer, which are remembered until they are written again."""
_TRIES = 4
"""Tries before a refused batch of the spool is split. Most reasons pass within seconds."""
_OTHER_VERSION = "it contains events of another version of the program; they wait for that version"


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
    unsent_acks: int = 8
    """Most batches whose acks wait to be sent, for each connection. More stop the writes."""
    stall_seconds: float = 3.0
    """The queue is stalled when an event waits longer than this for room: Slack has given up its first delivery."""


_Batch = list[QueuedEvent]


class _Ack(NamedTuple):
    """The data of a durable event that its ack needs."""

    envelope_id: str
    connection: SocketConnection
    type: str
    read_at: float


class Pipeline:
    """Takes events, makes them durable, and then acknowledges them.

    It has three tasks. `write` takes batches from the queue and writes them to the database or the spool.
    `acknowledge` sends the acks while the next batch is written. `drain` moves the spool into the database. Until
    `database_is_ready` all events go to the spool. Each task can be started again after an error.
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
        self._store = store
        self._spool = spool
        self._stats = stats
        self._clock = clock or SystemClock()
        self.limits = limits or PipelineLimits()
        self._queue = EventQueue(most_events=self.limits.queue, most_bytes=self.limits.queue_bytes)
        self._batch: _Batch | None = None
        self._acks: asyncio.Queue[list[_Ack]] = asyncio.Queue(self.limits.unsent_acks)
        self._unsent: dict[SocketConnection, list[_Ack]] = {}
        self._senders: dict[SocketConnection, asyncio.Task[None]] = {}
        self._slow: asyncio.Task[Written] | None = None
        self._slow_batch: _Batch | None = None
        self._slow_failures = LogThrottle(self._clock)
        self._refusals = LogThrottle(self._clock)
        self._unsure: dict[str, None] = {}  # ordered by age
        self._ready = asyncio.Event()
        self._closing = False
        self._appender = Appender(spool, self._clock, seconds=self.limits.append_seconds)
        self._stalls = StallDetector(self._clock, least=self.limits.stall_seconds)
        self.database_problem: str | None = "not connected yet"
        self.database_since = self._clock.elapsed()
        """`Clock.elapsed` of the last change between database and spool."""

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
        return self._appender.problem or self._spool.problem

    def database_is_ready(self) -> None:
        """Call this when the schema is current and the pool is open."""
        self._ready.set()
        self._database_back()

    @property
    def stalled_since(self) -> float | None:
        """Since when no event is taken, as `Clock.elapsed`; None while events are taken.

        No event is taken while the queue is full and does not move, while database and spool both refuse events, and
        while an event has waited for longer than `stall_seconds` to become durable.
        """
        oldest = self._batch[0].read_at if self._batch else self._queue.oldest
        is_old = oldest is not None and self._clock.elapsed() - oldest > self.limits.stall_seconds
        found = (self._stalls.since, oldest if is_old else None)
        return min((since for since in found if since is not None), default=None)

    @property
    def stalled(self) -> StalledPeriods:
        """The times in which no event was taken and that are not stored yet."""
        return self._stalls.periods

    async def receive(self, envelope: Envelope, connection: SocketConnection) -> None:
        """Take one event. Waits while the queue is full."""
        routed = route(envelope)
        late = envelope.received_at - float(envelope.event_ts)
        waiting = QueuedEvent(
            encode_record(envelope, routed),
            routed,
            envelope.event_id,
            envelope.envelope_id,
            connection,
            late,
            self._clock.elapsed(),
        )
        self._stats.received += 1
        self._stats.lateness.add(late)
        if not self._queue.offer(waiting):
            self._stalls.on_queue_full()
            await self._queue.put(waiting)

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
            await self._make_durable(batch)
            self._batch = None
            try:
                await self._acks.put([_ack(waiting) for waiting in batch])
            finally:
                self._queue.finish(len(batch))

    async def acknowledge(self) -> None:
        """Send the acks of durable batches, until cancelled."""
        try:
            while True:
                acks = await self._acks.get()
                try:
                    await self._hand_to_senders(acks)
                finally:
                    self._acks.task_done()
        finally:
            for sender in self._senders.values():
                sender.cancel()
            self._senders.clear()
            self._unsent.clear()

    async def drain(self) -> None:
        """Move batches from the spool into the database, the oldest first, until `close`."""
        await self._ready.wait()
        while not self._closing:
            await self._spool.wait()
            while not self._closing and (spooled := await self._spool.read()):
                await self._store_spooled(spooled)

    async def flush(self) -> None:
        """Wait until all received events are durable and their acks are sent."""
        await self._queue.join()
        await self._acks.join()
        if self._senders:
            await asyncio.wait(self._senders.values())

    async def close(self, seconds: float = 0.6) -> None:
        """Abort the running writes, within `seconds`. Their events are in the spool or not acknowledged."""
        self._closing = True
        await self._wait_for_writes(seconds / 2)
        self._store.abort()
        # A task that is cancelled before it notices the abort would ask the server to cancel, and wait for that.
        await self._wait_for_writes(seconds / 2)

    async def _wait_for_writes(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._store.busy:
                    await asyncio.sleep(0.02)

    async def _hand_to_senders(self, acks: Sequence[_Ack]) -> None:
        """Give each ack to the sender of its connection, so that a lost connection does not delay the others."""
        for ack in acks:
            unsent = self._unsent.get(ack.connection)
            if unsent is None:
                unsent = self._unsent[ack.connection] = []
                sender = asyncio.create_task(self._send(ack.connection, unsent))
                self._senders[ack.connection] = sender
            unsent.append(ack)
        most = self.limits.unsent_acks * self.limits.batch_events
        full = [self._senders[each] for each, unsent in self._unsent.items() if len(unsent) > most]
        if full:  # each call of SocketConnection.ack ends in time
            await asyncio.wait(full)

    async def _send(self, connection: SocketConnection, unsent: list[_Ack]) -> None:
        """Send the acks of a connection until there are none left."""
        try:
            while unsent:
                acks = unsent.copy()
                unsent.clear()
                sent = await connection.ack([ack.envelope_id for ack in acks])
                now = self._clock.elapsed()
                for ack in acks[:sent]:
                    self._stats.acknowledged(ack.type, now - ack.read_at)
                self._stats.acked += sent
        except Exception as error:  # Slack delivers events without an ack again
            log.error("acks were not sent", exc_info=error)
        finally:
            if self._unsent.get(connection) is unsent:
                del self._unsent[connection], self._senders[connection]

    async def _make_durable(self, batch: _Batch) -> None:
        records = [waiting.record for waiting in batch]
        refusals = 0
        while True:
            if self.database_problem is None or self.spool_problem is not None:
                written = await self._commit(batch, records)
                if written is not None:
                    self._count_written(batch, written)
                    break
            oldest = wall_time(self._clock, batch[0].read_at)
            problem = await self._appender.append(records, oldest=oldest)
            if problem is None:
                break
            self._refused(problem)
            refusals += 1
            await asyncio.sleep(backoff(refusals, first=0.25, most=2))
        if self._stalls.is_refused:
            log.info("events are taken again")
        self._stalls.on_accepted()

    async def _commit(self, batch: _Batch, records: Sequence[bytes]) -> Written | None:
        """Write the batch to the database. Returns None if the database is away or too slow; then use the spool."""
        if not self._ready.is_set():
            return None
        slow = self._slow if self._slow_batch is batch else None  # it may be done by now
        if slow is None and self._slow is not None and not self._slow.done():
            return None
        begun = self._clock.elapsed()
        left = max(self.limits.commit_seconds - (begun - batch[0].read_at), 0.25)
        event_ids = [waiting.event_id for waiting in batch]
        write = slow or asyncio.create_task(
            self._write_batch(records, event_ids, seconds=self.limits.write_seconds)
        )
        try:
            done, _ = await asyncio.wait({write}, timeout=left)
            if not done:
                # The write goes on. If it commits, the drain of the spool finds the events in the database.
                self.database_away(f"a commit takes longer than {self.limits.commit_seconds:g} s")
                return None
        finally:
            if write.done():
                self._slow = self._slow_batch = None
            elif write is not slow:
                self._slow, self._slow_batch = write, batch
                write.add_done_callback(self._log_end)
                self._remember(event_ids)
        try:
            written = write.result()
        except DatabaseUnavailable as error:
            self.database_away(str(error))
            return None
        except Exception as error:  # the spool takes the batch after any error
            log.error("a batch was not written", exc_info=error)
            self.database_away(f"a write failed: {where(error)}")
            return None
        if self._unsure:  # after an append that hung, they are written to the database again
            for event_id in event_ids:
                self._unsure.pop(event_id, None)
        self._stats.commit.add(self._clock.elapsed() - begun)
        self._stats.batch.add(len(batch))
        self._database_back()
        return written

    async def _write_batch(
        self, records: Sequence[bytes], event_ids: Sequence[str], *, seconds: float
    ) -> Written:
        """Write the records. If there is no answer, remember their events: they may be in the database."""
        unsure = {each for each in event_ids if each in self._unsure} if self._unsure else set()
        with span("ingest batch", events=len(records)) as current:
            try:
                written = await self._store.write(records, seconds=seconds, unsure=unsure)
            except BaseException:
                self._remember(event_ids)
                raise
            current.set_attributes(
                {
                    "new": len(written.first),
                    "discarded": len(written.discarded),
                    "failed": len(written.failed),
                }
            )
        for event_id in unsure:
            self._unsure.pop(event_id, None)
        return written

    def _remember(self, event_ids: Iterable[str]) -> None:
        self._unsure.update(dict.fromkeys(event_ids))
        while len(self._unsure) > _MOST_UNSURE:
            del self._unsure[next(iter(self._unsure))]

    async def _store_spooled(self, spooled: SpooledBatch) -> None:
        """Write a batch of the spool. Events that cannot be written stay there, and others do not wait for them.

        Events that the database refuses are retried later. They move to their own frame, so that the other events of
        the batch are not written again each time.
        """
        found = [read_record(data) for data in spooled.records]
        records = [record for record in found if record is not None]
        keep = _OTHER_VERSION if len(records) < len(found) else None
        refused = await self._write_until_taken(records)
        if refused and not (len(refused) < len(found) and await self._append_again(refused)):
            problem = f"{len(refused)} events in it cannot be written: {refused[0][1]}"
            await self._spool.postpone(spooled, problem)
        else:
            await self._spool.done(spooled, keep=keep)

    async def _append_again(self, refused: Sequence[tuple[EventRecord, str]]) -> bool:
        """Append refused records to the spool as their own frame. Returns whether the spool took it."""
        oldest = min(record.received_at for record, _ in refused)
        try:
            await self._spool.append([record.data for record, _ in refused], oldest=oldest)
        except SpoolError:
            return False
        return True

    async def _write_until_taken(
        self, records: Sequence[EventRecord]
    ) -> list[tuple[EventRecord, str]]:
        """Write records of the spool and count them, for as long as the database is away. Returns the refused ones.

        A batch that the database refuses several times, or does not commit in time, is split until the refused events
        are found. Each is returned with the reason.
        """
        refused: list[tuple[EventRecord, str]] = []
        parts = [records] if records else []
        failures, tries, seconds = 0, 0, self.limits.write_seconds
        while parts:
            part = parts[-1]
            begun = self._clock.elapsed()
            try:
                await self._write_spooled(part, seconds)
            except (
                EventsRefused
            ) as error:  # the database may take others, so it does not count as away
                reason, is_about_events = str(error), True
                if self._refusals.allows():
                    log.warning("events of the spool were not taken: %s", reason)
            except DatabaseUnavailable as error:
                self.database_away(str(error))
                reason, is_about_events = str(error), self._clock.elapsed() - begun >= seconds
                if is_about_events:
                    seconds = min(seconds * 2, self.limits.write_seconds_most)
            except Exception as error:  # other events must not wait, whatever the error is
                if self._refusals.allows():
                    log.error("events of the spool were not written", exc_info=error)
                reason, is_about_events = where(error), True
            else:
                parts.pop()
                failures = tries = 0
                self._refusals.reset()
                continue
            failures += 1
            tries += is_about_events
            if tries >= (_TRIES if part is records else 1):
                parts.pop()
                tries = 0
                if len(part) == 1:
                    refused.append((part[0], reason))
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
            await asyncio.sleep(backoff(failures, first=0.25, most=2))
        return refused

    async def _write_spooled(self, records: Sequence[EventRecord], seconds: float) -> None:
        """Write records of the spool in one go, and count them. Raises as `EventStore.write`."""
        data = [record.data for record in records]
        event_ids = [record.event_id for record in records]
        written = await self._write_batch(data, event_ids, seconds=seconds)
        self._database_back()
        for record in records:
            count(
                self._stats,
                written,
                record.event_id,
                at=record.received_at,
                late=record.late,
                routed=record.routed,
            )

    def database_away(self, problem: str) -> None:
        """Send events to the spool until a write succeeds."""
        if self.database_problem is None:
            self.database_since = self._clock.elapsed()
            log.error("events go to the spool: %s", problem)
        self.database_problem = problem

    def _database_back(self) -> None:
        if self.database_problem is not None:
            self.database_since = self._clock.elapsed()
            log.info("the database takes events")
        self.database_problem = None
        self._slow_failures.reset()

    def _refused(self, problem: str) -> None:
        if not self._stalls.is_refused:
            log.critical(
                "NOTHING IS ACKNOWLEDGED: database and spool both refuse events: %s", problem
            )
        self._stalls.on_refused()

    def _log_end(self, write: asyncio.Task[Written]) -> None:
        """Log the failure of a slow write, which nothing waits for. Of a long outage only some are logged."""
        if write.cancelled() or (error := write.exception()) is None:
            return
        if not isinstance(error, TigerSlackError):
            log.error("the slow commit failed", exc_info=error)
        elif self._slow_failures.allows():
            log.warning("the slow commit failed: %s", str(error))

    def _count_written(self, batch: _Batch, written: Written) -> None:
        for waiting in batch:
            count(
                self._stats,
                written,
                waiting.event_id,
                at=wall_time(self._clock, waiting.read_at),
                late=waiting.late,
                routed=waiting.routed,
            )


def _ack(waiting: QueuedEvent) -> _Ack:
    return _Ack(
        waiting.envelope_id, waiting.connection, waiting.routed.type or "none", waiting.read_at
    )
