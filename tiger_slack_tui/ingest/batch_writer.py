"""Makes a batch of live events durable: in the database, or in the spool while the database is away or slow."""

from __future__ import annotations

import asyncio
import logging

from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.clock import Clock, wall_time
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.base.snapshot import Stats
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.ingest.database_writer import DatabaseWriter
from tiger_slack_tui.ingest.queue import QueuedEvent
from tiger_slack_tui.ingest.spool.appender import Appender
from tiger_slack_tui.ingest.spool.spool import Spool
from tiger_slack_tui.ingest.stalls import StallDetector
from tiger_slack_tui.ingest.tally import count
from tiger_slack_tui.store.events import BatchResult

log = logging.getLogger(__name__)

Batch = list[QueuedEvent]


class BatchWriter:
    """Writes one batch at a time.

    A write to the database that is too slow goes on while the spool takes the batch.
    """

    def __init__(
        self,
        database: DatabaseWriter,
        spool: Spool,
        stats: Stats,
        stalls: StallDetector,
        clock: Clock,
        *,
        commit_seconds: float,
        write_seconds: float,
        append_seconds: float,
    ) -> None:
        """For the seconds see `PipelineLimits`."""
        self._database = database
        self._spool = spool
        self._stats = stats
        self._stalls = stalls
        self._clock = clock
        self._commit_seconds = commit_seconds
        self._write_seconds = write_seconds
        self._appender = Appender(spool, clock, seconds=append_seconds)
        self._slow_write: asyncio.Task[BatchResult] | None = None
        self._slow_batch: Batch | None = None

    @property
    def spool_problem(self) -> str | None:
        """Why the spool takes no events; None if it does."""
        return self._appender.problem or self._spool.problem

    async def make_durable(self, batch: Batch) -> None:
        """Make the batch durable. Tries until the database or the spool takes it.

        Can be called again with the same batch after an error.
        """
        refusals = 0
        while True:
            if self._database.problem is None or self.spool_problem is not None:
                written = await self._commit(batch)
                if written is not None:
                    self._count_written(batch, written)
                    break
            oldest = wall_time(self._clock, batch[0].read_at)
            problem = await self._appender.append([e.record for e in batch], oldest=oldest)
            if problem is None:
                break
            self._report_refusal(problem)
            refusals += 1
            await asyncio.sleep(backoff(refusals, first=0.25, most=2))
        if self._stalls.is_refused:
            log.info("events are taken again")
        self._stalls.on_accepted()

    async def _commit(self, batch: Batch) -> BatchResult | None:
        """Write the batch to the database. Returns None if the database is away or too slow; then use the spool."""
        if not self._database.is_ready:
            return None
        # A second call for the same batch, after an append that hung, waits for its write again.
        slow = self._slow_write if self._slow_batch is batch else None
        if slow is None and self._slow_write is not None and not self._slow_write.done():
            return None
        begun = self._clock.elapsed()
        write = slow or asyncio.create_task(
            self._database.write(batch, seconds=self._write_seconds)
        )
        if not await self._wait_for_commit(write, batch):
            # The write goes on. If it commits, the drain of the spool finds the events in the database.
            self._database.mark_away(f"a commit takes longer than {self._commit_seconds:g} s")
            return None
        try:
            written = write.result()
        except DatabaseUnavailable as error:
            self._database.mark_away(str(error))
            return None
        except Exception as error:  # the spool takes the batch after any error
            log.error("a batch was not written", exc_info=error)
            self._database.mark_away(f"a write failed: {where(error)}")
            return None
        self._database.confirm(batch)
        self._stats.commit.add(self._clock.elapsed() - begun)
        self._stats.batch.add(len(batch))
        self._database.mark_back()
        return written

    async def _wait_for_commit(self, write: asyncio.Task[BatchResult], batch: Batch) -> bool:
        """Wait until the oldest event of the batch is `commit_seconds` old. Returns whether the write is done.

        Otherwise the write becomes the slow write. This is also so when this call is cancelled.
        """
        left = max(self._commit_seconds - (self._clock.elapsed() - batch[0].read_at), 0.25)
        try:
            done, _ = await asyncio.wait({write}, timeout=left)
            return bool(done)
        finally:
            if write.done():
                self._slow_write = self._slow_batch = None
            elif write is not self._slow_write:
                self._slow_write, self._slow_batch = write, batch
                write.add_done_callback(self._database.log_slow_failure)

    def _report_refusal(self, problem: str) -> None:
        if not self._stalls.is_refused:
            log.critical(
                "NOTHING IS ACKNOWLEDGED: database and spool both refuse events. Slack delivers them again"
                " for some minutes only. Restore the database or free disk space. The spool says: %s",
                problem,
            )
        self._stalls.on_refused()

    def _count_written(self, batch: Batch, written: BatchResult) -> None:
        for event in batch:
            count(self._stats, written, event, at=wall_time(self._clock, event.read_at))
