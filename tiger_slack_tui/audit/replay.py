"""Puts events of the audit trail through the same code again: what a rule kept away, or what failed, comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

import orjson
from psycopg.rows import class_row
from psycopg.sql import SQL

from tiger_slack_tui.audit.events import newest_id
from tiger_slack_tui.ingest.record import encode
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import past_deadlocks
from tiger_slack_tui.slack.events import Envelope, route
from tiger_slack_tui.store.events import as_array, take_each

_ROWS = 200
"""Events of a transaction: live events about the same messages wait no longer than that."""

_SELECT = SQL("""
select e.id, e.event_id, slack.to_ts(e.event_ts) as event_ts, e.event_ts::text as place, e.received_at, e.team_id
, e.channel_id, e.outcome, e.event::text as event, e.error
from slack.event e
where {wanted}
and (e.event_ts, e.id) > (%(place)s::timestamptz, %(id)s)
and e.id <= %(last_id)s
order by e.event_ts, e.id
limit %(rows)s
""")
_FAILED = SQL("e.outcome = 'failed'")
_DISCARDED = SQL("e.discard_id = %(rule)s::int4")
# slack.delivery tells when an event happened, by which slack.event is ordered.
_NAMED = SQL("""e.event_id = any (%(event_ids)s)
and e.event_ts = any (array(select d.event_ts from slack.delivery d where d.event_id = any (%(event_ids)s)))""")
_REPLAY: LiteralString = "select slack.replay(%s::jsonb)::text"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events are replayed: exactly one of the three is given."""

    failed: bool = False
    rule: int | None = None
    """Those that this rule discarded."""
    event_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Replayed:
    """An event, what had become of it, and what became of it now."""

    event_id: str
    before: str
    after: str
    reason: str | None = None
    """SQLSTATE, or the error's class, where it was refused now."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """How far a replay is. `changes` counts events by (outcome before, outcome now)."""

    changes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    refused: tuple[Replayed, ...] = ()
    """Events that the database refused now; the first 100."""
    gone: int = 0
    """Events whose rows were deleted meanwhile."""

    @property
    def events(self) -> int:
        return sum(self.changes.values())

    def outcomes(self) -> Counter[str]:
        """How many there are now of each outcome."""
        counts: Counter[str] = Counter()
        for (_, after), n in self.changes.items():
            counts[after] += n
        return counts


@dataclass(slots=True)
class _Kept:
    """A row of slack.event."""

    id: int
    event_id: str
    event_ts: str
    """As Slack writes it: exact, however far in the future it lies."""
    place: str
    """The same as PostgreSQL writes it."""
    received_at: datetime
    team_id: str | None
    channel_id: str | None
    outcome: str
    event: str
    error: dict[str, Any] | None


async def replay(
    connection: Connection, selection: Selection, *, dry_run: bool = False
) -> AsyncIterator[ReplayReport]:
    """Replay the events, the oldest first; yields how far it is after each transaction, and at the end.

    Takes the events that are in the table now, whatever their times are: with those that come meanwhile, it might
    never end. What is stored stays as it is. All else gets in slack.event what becomes of it under the rules and the
    code of now, and what it was before is kept in `replays`. Whatever is replayed in whatever order and however
    often, the tables end the same. Broken off, it can be started again. `dry_run` rolls each transaction back.
    """
    place, id_ = "-infinity", 0
    last_id = await newest_id(connection)
    report = ReplayReport()
    while rows := await _read(connection, selection, place, id_, last_id):
        place, id_ = rows[-1].place, rows[-1].id
        report = _add(report, rows, await _replay(connection, rows, dry_run=dry_run))
        yield report
    if not report.events:
        yield report


async def unknown_events(connection: Connection, event_ids: Sequence[str]) -> tuple[str, ...]:
    """Those of the ids that the audit trail does not have."""
    cursor = await connection.execute(
        "select d.event_id from slack.delivery d where d.event_id = any (%s)", (list(event_ids),)
    )
    known = {row[0] for row in await cursor.fetchall()}
    return tuple(event_id for event_id in event_ids if event_id not in known)


async def _read(
    connection: Connection,
    selection: Selection,
    place: str,
    id_: int,
    last_id: int,
) -> list[_Kept]:
    wanted = _FAILED if selection.failed else _NAMED if selection.event_ids else _DISCARDED
    values = {
        "rule": selection.rule,
        "event_ids": list(selection.event_ids),
        "place": place,
        "id": id_,
        "last_id": last_id,
        "rows": _ROWS,
    }
    async with connection.cursor(row_factory=class_row(_Kept)) as cursor:
        await cursor.execute(_SELECT.format(wanted=wanted), values, prepare=False)
        return await cursor.fetchall()


async def _replay(
    connection: Connection, rows: Sequence[_Kept], *, dry_run: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Outcome, and the reason of those refused, by event_id."""

    async def take(records: Sequence[bytes]) -> dict[str, str]:
        return await past_deadlocks(lambda: take_once(records))

    async def take_once(records: Sequence[bytes]) -> dict[str, str]:
        async with connection.transaction(force_rollback=dry_run):
            cursor = await connection.execute(_REPLAY, (as_array(records),))
            row = await cursor.fetchone()
        answer: dict[str, str] = orjson.loads(row[0]) if row else {}
        return answer

    outcomes: dict[str, str] = {}
    refused: dict[str, str] = {}
    for answer, reason in await take_each(connection, [_record(row) for row in rows], take):
        outcomes |= answer
        if reason is not None:
            refused |= dict.fromkeys(answer, reason)
    return outcomes, refused


def _record(row: _Kept) -> bytes:
    """The record of the event, as it would be made if it came now, and the key of its row."""
    event: dict[str, Any] = orjson.loads(row.event)
    problem = None
    if row.error is not None and row.error["class"] == "MalformedEvent":
        problem = row.error["message"]
    if row.outcome == "failed" and event.keys() == {"unstorable"}:
        event = orjson.loads(event["unstorable"])["event"]
    envelope = Envelope(
        envelope_id="",
        event_id=row.event_id,
        event_ts=row.event_ts,
        team_id=row.team_id,
        event=event,
        received_at=row.received_at.timestamp(),
        problem=problem,
    )
    record = orjson.loads(encode(envelope, route(envelope)))
    return orjson.dumps(record | {"id": row.id, "kept_channel_id": row.channel_id})


def _add(
    report: ReplayReport, rows: Sequence[_Kept], answer: tuple[dict[str, str], dict[str, str]]
) -> ReplayReport:
    outcomes, refused = answer
    changes = Counter(report.changes)
    new: list[Replayed] = []
    for row in rows:
        after = outcomes.get(row.event_id)
        if after is not None:
            changes[row.outcome, after] += 1
            if reason := refused.get(row.event_id):
                new.append(Replayed(row.event_id, row.outcome, after, reason))
    gone = sum(row.event_id not in outcomes for row in rows)
    return ReplayReport(dict(changes), (*report.refused, *new)[:100], report.gone + gone)
