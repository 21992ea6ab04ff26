"""Moves events from the spool into the database, the oldest first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from tiger_slack_tui.base.backoff import LogThrottle, backoff
from tiger_slack_tui.base.batch_parts import BatchParts
from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.base.errors import DatabaseUnavailable, EventsRefused, SpoolError
from tiger_slack_tui.base.snapshot import Stats
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.ingest.database_writer import DatabaseWriter
from tiger_slack_tui.ingest.record import SpooledEvent, decode_record
from tiger_slack_tui.ingest.spool.spool import Spool, SpooledBatch
from tiger_slack_tui.ingest.tally import count

log = logging.getLogger(__name__)

_TRIES = 4
"""Tries before a refused batch of the spool is split. Most reasons pass within seconds."""
_OTHER_VERSION = "it contains events of another version of the program; they wait for that version"


class SpoolDrain:
    """Drains the spool from when the database is ready until `stop`."""

    def __init__(
        self,
        database: DatabaseWriter,
        spool: Spool,
        stats: Stats,
        clock: Clock,
        *,
        write_seconds: float,
        write_seconds_most: float,
    ) -> None:
        """For the seconds see `PipelineLimits`."""
        self._database = database
        self._spool = spool
        self._stats = stats
        self._clock = clock
        self._write_seconds = write_seconds
        self._write_seconds_most = write_seconds_most
        self._refusal_log = LogThrottle(clock)
        self._is_stopping = False

    async def run(self) -> None:
        """Drain until `stop`. Can be called again after an error."""
        await self._database.wait_until_ready()
        while not self._is_stopping:
            await self._spool.wait()
            while not self._is_stopping and (spooled := await self._spool.read()):
                await self._store(spooled)

    def stop(self) -> None:
        """Read no further batch."""
        self._is_stopping = True

    async def _store(self, spooled: SpooledBatch) -> None:
        """Write a batch of the spool. Events that cannot be written stay there, and others do not wait for them.

        Events that the database refuses are retried later. They move to their own frame, so that the other events of
        the batch are not written again each time.
        """
        found = [decode_record(data) for data in spooled.records]
        events = [event for event in found if event is not None]
        keep = _OTHER_VERSION if len(events) < len(found) else None
        refused = await self._write_until_accepted(events)
        if refused and not (len(refused) < len(found) and await self._append_again(refused)):
            problem = f"{amount(len(refused), 'event')} in it cannot be written: {refused[0][1]}"
            await self._spool.postpone(spooled, problem)
        else:
            await self._spool.done(spooled, keep=keep)

    async def _append_again(self, refused: Sequence[tuple[SpooledEvent, str]]) -> bool:
        """Append refused events to the spool as their own frame. Returns whether the spool took it."""
        oldest = min(event.received_at for event, _ in refused)
        try:
            await self._spool.append([event.record for event, _ in refused], oldest=oldest)
        except SpoolError:
            return False
        return True

    async def _write_until_accepted(
        self, events: Sequence[SpooledEvent]
    ) -> list[tuple[SpooledEvent, str]]:
        """Write and count the events. Retries while the database is away. Returns refused events with the reason.

        A batch that the database refuses several times, or does not commit in time, is split until the refused events
        are found.
        """
        refused: list[tuple[SpooledEvent, str]] = []
        parts = BatchParts(events)
        failures, tries, seconds = 0, 0, self._write_seconds
        while part := parts.next:
            begun = self._clock.elapsed()
            try:
                await self._write(part, seconds)
            except EventsRefused as error:
                # The database may accept other events, so it does not count as away.
                reason, is_about_events = str(error), True
                if self._refusal_log.allows():
                    log.warning("events of the spool were not taken: %s", reason)
            except DatabaseUnavailable as error:
                self._database.mark_away(str(error))
                reason, is_about_events = str(error), self._clock.elapsed() - begun >= seconds
                if is_about_events:
                    seconds = min(seconds * 2, self._write_seconds_most)
            except Exception as error:  # other events must not wait, whatever the error is
                if self._refusal_log.allows():
                    log.error("events of the spool were not written", exc_info=error)
                reason, is_about_events = where(error), True
            else:
                parts.finish()
                failures = tries = 0
                self._refusal_log.reset()
                continue
            failures += 1
            tries += is_about_events
            if tries >= (_TRIES if part is events else 1):
                tries = 0
                if len(part) == 1:
                    refused.append((part[0], reason))
                    parts.finish()
                else:
                    parts.halve()
            await asyncio.sleep(backoff(failures, first=0.25, most=2))
        return refused

    async def _write(self, events: Sequence[SpooledEvent], seconds: float) -> None:
        """Write the events in one transaction, and count them. Raises as `EventStore.ingest`."""
        written = await self._database.write(events, seconds=seconds)
        self._database.confirm(events)
        self._database.mark_back()
        for event in events:
            count(self._stats, written, event, at=event.received_at)
