"""Reads what Triage lists: events of the audit trail that were not simply stored, and gaps."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from tiger_slack_tui.audit.readable import readable_page
from tiger_slack_tui.audit.words import channel_name, person_name
from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.console.formats import age
from tiger_slack_tui.console.model.findings import (
    FROM_DATABASE,
    GAP,
    SECONDS,
    Finding,
    StoredFindings,
    cause_of,
    detail_of,
    event_name,
)
from tiger_slack_tui.console.model.names import Names
from tiger_slack_tui.console.model.polling import WantedPolling, log_read_error
from tiger_slack_tui.console.model.read_errors import QUERY_SECONDS
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.audit_events import EventFilter, EventRow, fetch_page
from tiger_slack_tui.store.gaps import Gap

log = logging.getLogger(__name__)

_ROWS = 300
"""Rows of each kind that are read."""
_GAPS = 50
_GLANCE_SECONDS = 30.0
"""Without a view that shows findings, they are read so rarely: the tab of Triage shows how many events failed."""


class FindingsReader:
    """Reads while a view calls `keep_reading`. If the database is away, `state` keeps what was read before."""

    def __init__(self, conninfo: str, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._polling = WantedPolling(
            conninfo, self._poll, seconds=SECONDS, on_error=self._fail, clock=self._clock
        )
        self.names = Names(clock)
        self._wanted_since = float("-inf")
        self._read_at: float | None = None
        self.state = StoredFindings()

    def keep_reading(self) -> None:
        """Go on reading for a few seconds. A view that shows findings calls this with each sample."""
        if not self._polling.is_wanted:
            self._wanted_since = self._clock.elapsed()
        self._polling.renew()

    def glance(self) -> None:
        """Read if the last try was some time ago, or a name is wanted. Called with each sample."""
        if self.names.is_wanted or self._polling.age > _GLANCE_SECONDS:
            self.keep_reading()

    @property
    def age(self) -> float | None:
        """Seconds since the last read; None if there was none."""
        return None if self._read_at is None else self._clock.elapsed() - self._read_at

    @property
    def waited(self) -> float:
        """Seconds since the last read, or since a view began to call `keep_reading`, if that is later."""
        last = (
            self._wanted_since if self._read_at is None else max(self._read_at, self._wanted_since)
        )
        return self._clock.elapsed() - last

    def read_now(self) -> None:
        """Read at once."""
        self._polling.read_now()

    async def run(self) -> None:
        """Read until cancelled. After any error, connect again with backoff."""
        await self._polling.run()

    async def _poll(self, connection: Connection) -> None:
        async with asyncio.timeout(QUERY_SECONDS):
            self.state = await _fetch(connection, self._clock, self.names)
            await self.names.fetch(connection)
        self._read_at = self._clock.elapsed()

    def _fail(self, error: Exception, pause: float) -> None:
        reason = log_read_error(log, "the audit trail", error, self.state.problem)
        self.state = replace(self.state, problem=reason)


async def _fetch(connection: Connection, clock: Clock, names: Names) -> StoredFindings:
    findings: list[Finding] = []
    more = set[str]()
    for outcome in FROM_DATABASE:
        page = await fetch_page(connection, EventFilter(outcome=outcome), most=_ROWS)
        page = await readable_page(connection, page)
        findings += map(_of_row, page.rows)
        if page.next is not None:
            more.add(outcome)
    found = await gaps.newest(connection, most=_GAPS + 1, troubles=True)
    findings += [finding_of(gap, names) for gap in found[:_GAPS]]
    if len(found) > _GAPS:
        more.add(GAP)
    return StoredFindings(tuple(findings), clock.wall(), None, frozenset(more))


def _of_row(row: EventRow) -> Finding:
    rule = None if row.discard_id is None else f"rule {row.discard_id}"
    cause = cause_of(row.outcome, row.type, rule or row.error)
    text = f"  {row.text}" if row.text else ""
    return Finding(
        key=row.event_id,
        kind=row.outcome,
        at=row.received_at.timestamp(),
        what=event_name(row.type, row.subtype),
        channel=channel_name(row.channel_id, row.channel_name),
        user=person_name(row.user_id, row.user_name),
        cause=cause,
        detail=f"{detail_of(row.outcome, cause)}{text}",
        channel_id=row.channel_id,
        user_id=row.user_id,
        rule=row.discard_id,
    )


def finding_of(gap: Gap, names: Names) -> Finding:
    """A gap that is open or was closed, or a history whose backfill failed, as a row of Triage."""
    end = age((gap.ended_at - gap.started_at).total_seconds()) if gap.ended_at else "goes on"
    is_bad = gap.closed_at is None or gap.is_given_up
    error = f": {gap.error}" if gap.error and is_bad else ""
    # A gap is of when events were missed. A history can begin in 1970, and is of when its backfill failed.
    at = gap.started_at if gap.is_loss else gap.tried_at or gap.found_at
    period = f", {end}" if gap.is_loss else ""
    return Finding(
        key=gap.title,
        kind=GAP,
        at=at.timestamp(),
        what=gap.state,
        channel=names.of(gap.channel_id) if gap.channel_id else "all",
        channel_id=gap.channel_id,
        user="-",
        cause=gap.reason,
        detail=f"{gap.reason}{period}{error}",
        gap=gap,
    )
