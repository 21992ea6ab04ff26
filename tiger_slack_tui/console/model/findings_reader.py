"""Reads what Triage lists: events of the audit trail that were not simply stored, and gaps."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.console.model.findings import (
    FROM_DATABASE,
    GAP,
    SECONDS,
    Finding,
    StoredFindings,
    event_name,
)
from tiger_slack_tui.console.model.polling import WakeUp, log_read_error, poll
from tiger_slack_tui.console.model.read_errors import QUERY_SECONDS
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.audit_events import EventFilter, EventRow, read_page
from tiger_slack_tui.store.gaps import Gap

log = logging.getLogger(__name__)

_WANTED_SECONDS = 3.0
"""Seconds after the last call of `keep_reading` in which it still reads."""
_ROWS = 300
"""Rows of each kind that are read."""
_GAPS = 50


class FindingsReader:
    """Reads while a view calls `keep_reading`. If the database is away, `state` keeps what was read before."""

    def __init__(self, conninfo: str, *, clock: Clock | None = None) -> None:
        self._conninfo = conninfo
        self._clock = clock or SystemClock()
        self._asked = float("-inf")
        self._read_at: float | None = None
        self._wake_up = WakeUp()
        self.state = StoredFindings()

    def keep_reading(self) -> None:
        """Go on reading for a few seconds. A view that shows findings calls this with each sample."""
        if not self._is_wanted:
            self._wake_up.set()
        self._asked = self._clock.elapsed()

    @property
    def _is_wanted(self) -> bool:
        return self._clock.elapsed() - self._asked < _WANTED_SECONDS

    @property
    def age(self) -> float | None:
        """Seconds since the last read; None if there was none."""
        return None if self._read_at is None else self._clock.elapsed() - self._read_at

    def read_now(self) -> None:
        """Read at once."""
        self._wake_up.set()

    async def run(self) -> None:
        """Read until cancelled. After any error, connect again with backoff."""
        while True:
            await self._wake_up.wait()
            await poll(
                self._conninfo,
                self._poll,
                seconds=SECONDS,
                first_pause=SECONDS,
                wake_up=self._wake_up,
                on_error=self._fail,
                is_wanted=lambda: self._is_wanted,
            )

    async def _poll(self, connection: Connection) -> None:
        async with asyncio.timeout(QUERY_SECONDS):
            self.state = await _read(connection, self._clock)
        self._read_at = self._clock.elapsed()

    def _fail(self, error: Exception, pause: float) -> None:
        reason = log_read_error(log, "the audit trail", error, self.state.problem)
        self.state = replace(self.state, problem=reason)


async def _read(connection: Connection, clock: Clock) -> StoredFindings:
    findings: list[Finding] = []
    more = set()
    for outcome in FROM_DATABASE:
        page = await read_page(connection, EventFilter(outcome=outcome), most=_ROWS)
        findings += map(_of_row, page.rows)
        if page.next is not None:
            more.add(outcome)
    findings += map(_of_gap, await gaps.newest(connection, most=_GAPS))
    return StoredFindings(tuple(findings), clock.wall(), None, frozenset(more))


def _of_row(row: EventRow) -> Finding:
    cause = detail = row.error or ""
    if row.discard_id is not None:
        cause = f"rule {row.discard_id}"
        detail = cause
    if row.outcome == Outcome.UNROUTED:
        cause = row.type or "no type"
    text = f"  {row.text}" if row.text else ""
    return Finding(
        key=row.event_id,
        kind=row.outcome,
        at=row.received_at.timestamp(),
        what=event_name(row.type, row.subtype),
        channel=f"#{row.channel_name}" if row.channel_name else row.channel_id or "-",
        user=f"@{row.user_name}" if row.user_name else row.user_id or "-",
        cause=cause,
        detail=f"{detail}{text}",
        channel_id=row.channel_id,
        user_id=row.user_id,
        rule=row.discard_id,
    )


def _of_gap(gap: Gap) -> Finding:
    end = (
        f"{(gap.ended_at - gap.started_at).total_seconds() / 60:,.0f} min"
        if gap.ended_at
        else "goes on"
    )
    state = "open" if gap.closed_at is None else "closed"
    error = f": {gap.error}" if gap.error and gap.closed_at is None else ""
    return Finding(
        key=f"gap {gap.id}",
        kind=GAP,
        at=gap.started_at.timestamp(),
        what=state,
        channel=gap.channel_id or "all",
        user="-",
        cause=gap.reason,
        detail=f"{gap.reason}, {end}{error}",
        gap=gap,
    )
