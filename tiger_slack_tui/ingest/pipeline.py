"""The way of a live event: queue, batch, one transaction, ack; the spool where the database cannot take it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from tiger_slack_tui.clock import Clock, SystemClock
from tiger_slack_tui.database.store import EventStore, Written
from tiger_slack_tui.errors import DatabaseUnavailable, SpoolError
from tiger_slack_tui.ingest.record import encode
from tiger_slack_tui.ingest.spool import Spool
from tiger_slack_tui.slack.events import Envelope, Outcome, Routed, route
from tiger_slack_tui.slack.socket import Connection
from tiger_slack_tui.snapshot import Recent, Stats
from tiger_slack_tui.telemetry import span

log = logging.getLogger(__name__)


_STOPS = 500
"""Stops that are kept until somebody takes note of them."""
# Events that an operator should act on.
_TELL = {
    "app_rate_limited": "more than 30,000 events an hour; it withholds some",
    "app_uninstalled": "the app was uninstalled from the workspace",
    "tokens_revoked": "tokens of the app were revoked",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the pipeline."""

    queue: int = 2000
    """Events read and not yet in a batch; a full queue stops reading the socket."""
    batch_events: int = 500
    batch_bytes: int = 4 << 20
    commit_seconds: float = 2.0
    """Age of a batch's oldest event at which the spool takes it. Slack allows 3 s to the ack."""
    write_seconds: float = 60.0
    """After this a write is broken off."""
    unsent_acks: int = 8
    """Batches whose acks are still to be sent; more than that stops the writing."""
    stop_seconds: float = 3.0
    """An event that waits longer for room in the queue is lost to Slack's first delivery: the queue stands still."""


@dataclass(slots=True, eq=False)
class Stop:
    """A time in which nothing was taken, by `Clock.elapsed`."""

    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event between the socket and its ack."""

    record: bytes
    routed: Routed
    event_id: str
    envelope_id: str
    connection: Connection
    received_at: float
    late: float
    clock: float


_Batch = list[_Waiting]


class Pipeline:
    """Takes envelopes, makes them durable, then acknowledges them.

    Three tasks: `write` takes batches from the queue to the database or the spool, `acknowledge` sends the
    acks while the next batch is written, `drain` brings the spool into the database. Until
    `database_is_ready` all goes to the spool.
    """

    def __init__(
        self,
        store: EventStore,
        spool: Spool,
        stats: Stats,
        *,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._spool = spool
        self._stats = stats
        self._clock = clock or SystemClock()
        self.limits = limits or Limits()
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(self.limits.queue)
        self._acks: asyncio.Queue[_Batch] = asyncio.Queue(self.limits.unsent_acks)
        self._writes: set[asyncio.Task[Written]] = set()
        self._ready = asyncio.Event()
        self._closing = False
        self.database_problem: str | None = "not connected yet"
        self.database_since = self._clock.elapsed()
        """Since when events go to the spool, or to the database, by `Clock.elapsed`."""
        self.spool_problem: str | None = None
        self._refused_since: float | None = None
        self._full_since: float | None = None
        self._stops: deque[Stop] = deque(maxlen=_STOPS)

    @property
    def queued(self) -> int:
        return self._queue.qsize()

    def database_is_ready(self) -> None:
        """The schema is there and the pool is open."""
        self._ready.set()
        self._database_back()

    @property
    def stopped_since(self) -> float | None:
        """Since when nothing is taken, by `Clock.elapsed`: database and spool refuse, or the queue stands still."""
        if self._refused_since is not None:
            return self._refused_since
        is_full = self._full_since is not None and self._lasts(self._full_since)
        return self._full_since if is_full else None

    def stops(self) -> list[Stop]:
        """When nothing was taken and is again, as far as nobody has taken note of it."""
        return list(self._stops)

    def forget_stops(self, stops: Iterable[Stop]) -> None:
        """They were taken note of."""
        for stop in stops:
            with contextlib.suppress(ValueError):  # it was one too many by now
                self._stops.remove(stop)

    async def receive(self, envelope: Envelope, connection: Connection) -> None:
        """Take one event. Waits while the queue is full."""
        routed = route(envelope)
        late = envelope.received_at - float(envelope.event_ts)
        waiting = _Waiting(
            encode(envelope, routed),
            routed,
            envelope.event_id,
            envelope.envelope_id,
            connection,
            envelope.received_at,
            late,
            time.monotonic(),
        )
        self._stats.received += 1
        self._stats.lateness.add(late)
        if self._queue.full():
            began = self._clock.elapsed()
            self._full_since = self._full_since or began
            await self._queue.put(waiting)
            self._full_since = None
            self._stood_still(began)
        else:
            self._queue.put_nowait(waiting)

    async def write(self) -> None:
        """Make batches durable, for ever."""
        while True:
            batch = self._take(await self._queue.get())
            await self._make_durable(batch)
            await self._acks.put(batch)
            for _ in batch:
                self._queue.task_done()

    async def acknowledge(self) -> None:
        """Send the acks of durable batches, for ever."""
        while True:
            batch = await self._acks.get()
            by_connection: defaultdict[Connection, list[str]] = defaultdict(list)
            for waiting in batch:
                by_connection[waiting.connection].append(waiting.envelope_id)
            for connection, envelope_ids in by_connection.items():
                await connection.ack(envelope_ids)
            now = time.monotonic()
            for waiting in batch:
                self._stats.acknowledged(waiting.routed.type or "none", now - waiting.clock)
            self._stats.acked += len(batch)
            self._acks.task_done()

    async def drain(self) -> None:
        """Bring what the spool holds into the database, oldest first, until `close`."""
        await self._ready.wait()
        while not self._closing:
            await self._spool.wait()
            while not self._closing and (spooled := await self._spool.read()):
                written = await self._write_until_taken(spooled.records)
                self._count_drained(spooled.records, written)
                await self._spool.done(spooled)

    async def flush(self) -> None:
        """Wait until all that was received is durable and its acks are sent."""
        await self._queue.join()
        await self._acks.join()

    async def close(self) -> None:
        """Break off what is still being written: it is in the spool, or was never acknowledged."""
        self._closing = True
        await self._wait_for_writes(0.5)
        self._store.abort()
        # A task that is cancelled before it has noticed that would ask the server to cancel, and wait for its answer.
        await self._wait_for_writes(0.5)

    async def _wait_for_writes(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._store.busy:
                    await asyncio.sleep(0.02)

    def _take(self, first: _Waiting) -> _Batch:
        batch, size = [first], len(first.record)
        while len(batch) < self.limits.batch_events and size < self.limits.batch_bytes:
            try:
                waiting = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                break
            batch.append(waiting)
            size += len(waiting.record)
        return batch

    async def _make_durable(self, batch: _Batch) -> None:
        records = [waiting.record for waiting in batch]
        while True:
            if self.database_problem is None or self.spool_problem is not None:
                written = await self._commit(batch, records)
                if written is not None:
                    self._count_written(batch, written)
                    return
            try:
                await self._spool.append(records, oldest=batch[0].received_at)
            except SpoolError as error:
                self._spool_refused(str(error))
                await asyncio.sleep(0.5)
            else:
                self._spool_accepted()
                return

    async def _commit(self, batch: _Batch, records: Sequence[bytes]) -> Written | None:
        """Write the batch in time; None where the database is away, or so slow that the spool must take it."""
        if not self._ready.is_set() or self._writes:
            return None
        begun = time.monotonic()
        left = max(self.limits.commit_seconds - (begun - batch[0].clock), 0.25)
        write = asyncio.create_task(self._write_batch(records))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        done, _ = await asyncio.wait({write}, timeout=left)
        if not done:
            # It goes on; what it commits in the end, the spool will find to be there already.
            write.add_done_callback(_forget)
            asyncio.get_running_loop().call_later(self.limits.write_seconds, self._break_off, write)
            self.database_away(f"a commit takes longer than {self.limits.commit_seconds:g} s")
            return None
        try:
            written = write.result()
        except DatabaseUnavailable as error:
            self.database_away(str(error))
            return None
        self._stats.commit.add(time.monotonic() - begun)
        self._stats.batch.add(len(batch))
        self._database_back()
        return written

    async def _write_batch(self, records: Sequence[bytes]) -> Written:
        with span("ingest batch", events=len(records)) as current:
            written = await self._store.write(records)
            current.set_attributes(
                {
                    "new": len(written.first),
                    "discarded": len(written.discarded),
                    "failed": len(written.failed),
                }
            )
            return written

    def _break_off(self, write: asyncio.Task[Written]) -> None:
        if not write.done():
            self._store.abort()

    async def _write_until_taken(self, records: Sequence[bytes]) -> Written:
        pause = 0.25
        while True:
            try:
                written = await self._write_batch(records)
            except DatabaseUnavailable as error:
                self.database_away(str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2)
            else:
                self._database_back()
                return written

    def database_away(self, problem: str) -> None:
        """Send events to the spool until a write succeeds again."""
        if self.database_problem is None:
            self.database_since = self._clock.elapsed()
            log.error("events go to the spool: %s", problem)
        self.database_problem = problem

    def _database_back(self) -> None:
        if self.database_problem is not None:
            self.database_since = self._clock.elapsed()
            log.info("the database takes events")
        self.database_problem = None

    def _spool_refused(self, problem: str) -> None:
        if self.spool_problem is None:
            log.critical(
                "NOTHING IS ACKNOWLEDGED: neither database nor spool take events: %s", problem
            )
            self._refused_since = self._clock.elapsed()
        self.spool_problem = problem

    def _spool_accepted(self) -> None:
        if self.spool_problem is not None:
            log.info("the spool takes events again")
        self.spool_problem = None
        if self._refused_since is not None:
            self._stood_still(self._refused_since)
            self._refused_since = None

    def _stood_still(self, since: float) -> None:
        """Keep the time until now as one in which nothing was taken, if it was long enough to lose events."""
        if self._lasts(since):
            self._stops.append(Stop(since, self._clock.elapsed()))

    def _lasts(self, since: float) -> bool:
        return self._clock.elapsed() - since > self.limits.stop_seconds

    def _count_written(self, batch: _Batch, written: Written) -> None:
        self._spool_accepted()  # whatever it refused is in the database now
        for waiting in batch:
            self._count(
                waiting.event_id, waiting.received_at, waiting.late, waiting.routed, written
            )

    def _count_drained(self, records: Sequence[bytes], written: Written) -> None:
        for record in records:
            fields = orjson.loads(record)
            received_at = datetime.fromisoformat(fields["received_at"]).timestamp()
            names = ("type", "subtype", "effects", "outcome", "channel_id", "user_id", "message_ts")
            routed = Routed(*(fields.get(name) for name in names))
            late = received_at - float(fields["event_ts"])
            self._count(fields["event_id"], received_at, late, routed, written)

    def _count(
        self, event_id: str, at: float, late: float, routed: Routed, written: Written
    ) -> None:
        if event_id not in written.first:
            self._stats.duplicates += 1
            return
        written.first.discard(event_id)  # a second delivery can stand in the same batch
        outcome, detail = str(routed.outcome), None
        if event_id in written.discarded:
            outcome, detail = Outcome.DISCARDED, f"rule {written.discarded[event_id]}"
        elif event_id in written.failed:
            outcome, detail = Outcome.FAILED, written.failed[event_id]
        recent = Recent(
            at,
            routed.type or "none",
            routed.subtype,
            routed.channel_id,
            routed.user_id,
            event_id,
            outcome,
            detail,
            late,
        )
        self._stats.count(recent)
        if recent.type in _TELL:
            log.warning("Slack says: %s", _TELL[recent.type], extra={"event_id": event_id})


def _forget(write: asyncio.Task[Written]) -> None:
    """Take note of how a write ended that nobody waits for any more."""
    if not write.cancelled() and (error := write.exception()) is not None:
        log.warning("the slow commit failed", exc_info=error)
