"""What Triage shows: events of the audit trail that were not simply stored, and gaps; read while somebody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection

from tiger_slack_tui.audit.events import EventFilter, EventRow, read_page
from tiger_slack_tui.database import gaps
from tiger_slack_tui.database.failures import describe, explained
from tiger_slack_tui.database.gaps import Gap
from tiger_slack_tui.database.pool import connect
from tiger_slack_tui.errors import TigerSlackError
from tiger_slack_tui.snapshot import LATE_SECONDS, Recent

KINDS = ("failed", "discarded", "unrouted", "late", "gap")
_FROM_DATABASE = ("failed", "discarded", "unrouted")
_SECONDS = 2.0
_LOOKED_AT = 3.0
"""Seconds after the last look at which the reading stops."""
_ROWS = 300
"""Rows of each kind that are read."""
_GAPS = 50
_STATEMENT_SECONDS = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at. `at` is when it was received, or began, in seconds since 1970."""

    key: str
    """The event_id; of a gap "gap ID"."""
    kind: str
    at: float
    what: str
    """Type of the event, with its subtype; reason of the gap."""
    channel: str
    user: str
    cause: str
    """The same for all that have one reason: rule, SQLSTATE, type."""
    detail: str
    channel_id: str | None = None
    user_id: str | None = None
    rule: int | None = None
    gap: Gap | None = None


@dataclass(frozen=True, slots=True)
class TrailState:
    """What was read last, the newest first; `more` names the kinds of which there are older ones, too."""

    findings: tuple[Finding, ...] = ()
    at: float | None = None
    problem: str | None = None
    more: frozenset[str] = frozenset()


class Trail:
    """Reads the trail while `look` is called; a database that is away leaves what was read."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._looked = 0.0
        self._soon = asyncio.Event()
        self.state = TrailState()

    def look(self) -> None:
        """Somebody looks: read on for a while."""
        if time.monotonic() - self._looked > _LOOKED_AT:
            self._soon.set()
        self._looked = time.monotonic()

    def read_now(self) -> None:
        """Read at once."""
        self._soon.set()

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self._soon.wait()
            self._soon.clear()
            while time.monotonic() - self._looked < _LOOKED_AT:
                try:
                    async with await connect(
                        self._conninfo, statement_seconds=_STATEMENT_SECONDS
                    ) as connection:
                        while time.monotonic() - self._looked < _LOOKED_AT:
                            self.state = await _read(connection)
                            await self._wait(_SECONDS)
                except (TigerSlackError, psycopg.Error) as error:
                    self.state = replace(self.state, problem=_words(error))
                    await self._wait(_SECONDS)

    async def ask(self, question: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
        """The answer of a connection of its own. Raises DatabaseUnavailable, and what the question raises."""
        async with await connect(self._conninfo) as connection:
            with explained():
                return await question(connection)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._soon.wait()
        except TimeoutError:
            pass
        self._soon.clear()


def of_engine(problems: Iterable[Recent]) -> list[Finding]:
    """What the engine saw itself, the newest first: also while the database is away."""
    return [_of_recent(event) for event in problems][::-1]


def merged(state: TrailState, seen: Iterable[Finding]) -> list[Finding]:
    """Each finding once, the newest first. What was read tells more than what was seen, and knows of replays."""
    read = {finding.key: finding for finding in state.findings}
    found = [one for one in seen if one.key not in read and not _is_settled(one, state)]
    return sorted([*read.values(), *found], key=lambda finding: finding.at, reverse=True)


def _is_settled(finding: Finding, state: TrailState) -> bool:
    """Whether the database, asked since, knows no more of it: it was replayed."""
    if finding.kind not in _FROM_DATABASE or state.at is None or finding.at > state.at - _SECONDS:
        return False
    oldest = min((one.at for one in state.findings if one.kind == finding.kind), default=0.0)
    return finding.kind not in state.more or finding.at > oldest


async def _read(connection: AsyncConnection[Any]) -> TrailState:
    findings: list[Finding] = []
    more = set()
    for outcome in _FROM_DATABASE:
        page = await read_page(connection, EventFilter(outcome=outcome), most=_ROWS)
        findings += map(_of_row, page.rows)
        if page.next is not None:
            more.add(outcome)
    findings += map(_of_gap, await gaps.newest(connection, most=_GAPS))
    return TrailState(tuple(findings), time.time(), None, frozenset(more))


def _of_row(row: EventRow) -> Finding:
    cause = detail = row.error or ""
    if row.discard_id is not None:
        cause = f"rule {row.discard_id}"
        detail = cause
    if row.outcome == "unrouted":
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
        kind="gap",
        at=gap.started_at.timestamp(),
        what=state,
        channel=gap.channel_id or "all",
        user="-",
        cause=gap.reason,
        detail=f"{gap.reason}, {end}{error}",
        gap=gap,
    )


def _of_recent(event: Recent) -> Finding:
    is_late = event.outcome in ("stored", "audit") and event.late > LATE_SECONDS
    kind = "late" if is_late else event.outcome
    cause = event.detail or event.type
    return Finding(
        key=event.event_id,
        kind=kind,
        at=event.at,
        what=event_name(event.type, event.subtype),
        channel=event.channel_id or "-",
        user=event.user_id or "-",
        cause="late" if is_late else cause,
        detail=f"{event.late / 60:,.0f} min late" if is_late else cause,
        channel_id=event.channel_id,
        user_id=event.user_id,
    )


def event_name(type_: str | None, subtype: str | None) -> str:
    """A message by its subtype, all else by its type and subtype."""
    if type_ == "message" and subtype:
        return subtype
    return "/".join(filter(None, (type_, subtype))) or "no type"


def _words(error: Exception) -> str:
    return describe(error) if isinstance(error, psycopg.Error) else str(error.args[0])
