"""Replays events of the audit trail: discarded messages and failed events can still be stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tiger_slack_tui.base.ids import EnvelopeId, EventId
from tiger_slack_tui.base.outcome import Outcome, sum_by_outcome
from tiger_slack_tui.ingest.record import encode_record
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.deadlocks import retry_deadlocks
from tiger_slack_tui.slack.events import Envelope, route
from tiger_slack_tui.store.audit_events import newest_event_id
from tiger_slack_tui.store.events import EncodedEvent, write_in_parts
from tiger_slack_tui.store.replay import (
    ReplayPosition,
    ReplayRow,
    ReplaySelection,
    fetch_replay_rows,
    replay_events,
)

_ROWS = 200
"""Events of a transaction. Live events about the same messages wait until it ends."""


@dataclass(frozen=True, slots=True)
class ReplayedEvent:
    """An event, its outcome before the replay, and its outcome now."""

    event_id: EventId
    before: str
    after: str
    reason: str | None = None
    """SQLSTATE of the refusal, or the error's class; None if PostgreSQL did not refuse it."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """The progress of a replay. `changes` counts events by (outcome before, outcome now)."""

    changes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    refused: tuple[ReplayedEvent, ...] = ()
    """The first 100 events that PostgreSQL refused now."""
    gone: int = 0
    """Events whose rows were deleted during the replay."""

    @property
    def events(self) -> int:
        return sum(self.changes.values())

    def outcomes(self) -> dict[str, int]:
        """The number of events by their outcome now."""
        return sum_by_outcome(self.changes)


async def replay(
    connection: Connection, selection: ReplaySelection, *, dry_run: bool = False
) -> AsyncIterator[ReplayReport]:
    """Replay the events, the oldest first. Yields its progress after each transaction, and at the end.

    Replays the events that are in the table at the beginning: with those that arrive later it might never end. Stored
    messages are never removed. Every other event gets the outcome that the present rules and code give it; its old
    outcome is added to slack.event.replays. The order and the number of replays do not matter for the result, and an
    interrupted replay can be repeated. `dry_run` rolls each transaction back. Raises psycopg.Error.
    """
    after = ReplayPosition()
    last_id = await newest_event_id(connection)
    report = ReplayReport()
    while rows := await fetch_replay_rows(
        connection, selection, after=after, last_id=last_id, most=_ROWS
    ):
        after = ReplayPosition(rows[-1].place, rows[-1].id)
        report = _add(report, rows, await _replay(connection, rows, dry_run=dry_run))
        yield report
    if not report.events:
        yield report


async def _replay(
    connection: Connection, rows: Sequence[ReplayRow], *, dry_run: bool
) -> tuple[dict[EventId, str], dict[EventId, str]]:
    """The outcomes, and the reasons of refusals, by event_id."""

    async def replay_part(events: Sequence[EncodedEvent]) -> dict[EventId, str]:
        return await retry_deadlocks(lambda: replay_events(connection, events, dry_run=dry_run))

    outcomes: dict[EventId, str] = {}
    refused: dict[EventId, str] = {}
    events = [_encoded(row) for row in rows]
    for answer, reason in await write_in_parts(connection, events, replay_part):
        outcomes |= answer
        if reason is not None:
            refused |= dict.fromkeys(answer, reason)
    return outcomes, refused


def _encoded(row: ReplayRow) -> EncodedEvent:
    """The event as the pipeline encodes it, with the key of its row."""
    event: dict[str, Any] = orjson.loads(row.event)
    problem = None
    if row.error is not None and row.error["class"] == "MalformedEvent":
        problem = row.error["message"]
    if row.outcome == Outcome.FAILED and event.keys() == {"unstorable"}:
        event = orjson.loads(event["unstorable"])["event"]
    envelope = Envelope(
        envelope_id=EnvelopeId(""),
        event_id=row.event_id,
        event_ts=row.event_ts,
        team_id=row.team_id,
        event=event,
        received_at=row.received_at.timestamp(),
        problem=problem,
    )
    routed = route(envelope)
    record = encode_record(envelope, routed, id=row.id, kept_channel_id=row.channel_id)
    return EncodedEvent(record, row.event_id, routed)


def _add(
    report: ReplayReport,
    rows: Sequence[ReplayRow],
    answer: tuple[dict[EventId, str], dict[EventId, str]],
) -> ReplayReport:
    outcomes, refused = answer
    changes = Counter(report.changes)
    new: list[ReplayedEvent] = []
    for row in rows:
        after = outcomes.get(row.event_id)
        if after is not None:
            changes[row.outcome, after] += 1
            if reason := refused.get(row.event_id):
                new.append(ReplayedEvent(row.event_id, row.outcome, after, reason))
    gone = sum(row.event_id not in outcomes for row in rows)
    return ReplayReport(dict(changes), (*report.refused, *new)[:100], report.gone + gone)
