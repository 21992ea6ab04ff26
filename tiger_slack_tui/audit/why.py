"""Explains one message: its events, what each of them did, and why the message is stored or not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import orjson

from tiger_slack_tui.audit.detail import Replay, parse_replays
from tiger_slack_tui.audit.rule_names import names_in
from tiger_slack_tui.base.ids import ChannelId, EventId, SlackTs
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.ingest.spool.segments import peek
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.message_trail import (
    CoveringGap,
    ImportedFile,
    MessageEvent,
    MessageEventRow,
    MessageFacts,
    StoredMessage,
    covering_gap,
    imported_file,
    message_events,
    message_facts,
    stored_message,
)
from tiger_slack_tui.store.rules import Rule, find_rule
from tiger_slack_tui.store.running_backfill import running_backfill
from tiger_slack_tui.store.visible_channels import VisibleChannels


class Verdict(StrEnum):
    """Why a message is stored or not."""

    STORED = "stored"
    DELETED = "deleted"
    LOST_ROW = "lost row"
    """It was stored, but its row is gone although Slack did not delete the message."""
    FAILED = "failed"
    DISCARDED = "discarded"
    SPOOLED = "spooled"
    AUDIT_ONLY = "audit only"
    """Events are about it, but none of them contains the message."""
    BEFORE_TRAIL = "before the audit trail"
    """Nothing is known about it, and the audit trail does not reach back that far."""
    NEVER_DELIVERED = "never delivered"


class Effect(StrEnum):
    """What an event did to the message."""

    CONTENT = "content"
    """The row shows its content."""
    OLDER = "older content"
    """The row shows the content of a newer event."""
    DELETED_SINCE = "deleted since"
    """It contains a message that was deleted."""
    DELETED = "deleted"
    """It deleted the message."""
    REACTION = "reaction"
    DISCARDED = "discarded"
    FAILED = "failed"
    NOTHING = "nothing"
    """It changed no table."""
    LOST = "lost"
    """It stored content that is gone although Slack did not delete the message."""


@dataclass(frozen=True, slots=True)
class TrailEvent(MessageEvent):
    """An event about the message, and what it did."""

    did: Effect
    replays: tuple[Replay, ...]


@dataclass(frozen=True, slots=True)
class EventInSpool:
    """An event about the message that waits in the spool of this machine."""

    event_id: EventId
    received_at: datetime
    type: str | None
    subtype: str | None


@dataclass(frozen=True, slots=True)
class WaitingEvent:
    """An event in the spool, with the message that it is about."""

    channel_id: ChannelId
    message_ts: SlackTs
    event: EventInSpool


@dataclass(frozen=True, slots=True)
class MessageTrail:
    """Everything that is known about a message: its row, its events, what they did, and where it comes from."""

    channel_id: ChannelId
    channel_name: str | None
    is_member: bool | None
    """Whether the app is a member of the channel; None if unknown. Slack sends events to members only."""
    complete_since: datetime | None
    """Since when the channel is complete; None if unknown."""
    complete_until: datetime | None
    """Until when the channel is complete; None if until now, or unknown."""
    ts: datetime
    """The nearest time that Python can hold; `slack_ts` is exact."""
    slack_ts: SlackTs
    verdict: Verdict
    message: StoredMessage | None
    deleted_at: datetime | None
    events: tuple[TrailEvent, ...]
    spooled: tuple[EventInSpool, ...]
    rules: tuple[Rule, ...]
    """The rules that discarded events about it, without those that are no longer known."""
    names: Mapping[str, str]
    """The names of the channels and people with which the rules compare, by id."""
    import_file: ImportedFile | None
    gap: CoveringGap | None
    """A gap that covers the message's time, so that its events may be missing."""
    backfill: CoveringGap | None
    """A history that covers the message's time: an operator asked for it, or it is owed since the app joined."""
    running_backfill: str | None
    """How far the backfill is that reads such a history now, in words; None if none does, or the message is known."""
    trail_since: datetime | None
    """When the oldest event of the audit trail happened; None if the trail is empty."""
    is_second: bool = False
    """Whether the question named only a second, and no message of that second is known."""


async def read_spool(
    spool: Path, ts: SlackTs, *, is_second: bool = False
) -> tuple[WaitingEvent, ...]:
    """The events in the spool of this machine about messages of a ts, or of the second that begins with it.

    Reads all files of the directory `spool`, so call it while no transaction is open.
    """
    begin = ts.partition(".")[0] + "." if is_second else ts
    return await asyncio.to_thread(lambda: tuple(_spooled(spool, begin)))


async def fetch_message_trail(
    connection: Connection,
    channel_id: ChannelId,
    ts: SlackTs,
    *,
    spooled: Iterable[WaitingEvent] = (),
    visible: VisibleChannels | None = None,
) -> MessageTrail:
    """Everything that is known about the message. `ts` is Slack's text, as `normalize_ts` returns it.

    `spooled` is what `read_spool` found before: an event that was drained since is found in the database. A reader
    who may see only some channels gives them as `visible`; the message's channel must be one of them.
    """
    message = await stored_message(connection, channel_id, ts)
    facts = await message_facts(connection, channel_id, ts, visible)
    is_deleted = facts.deleted_at is not None
    events = tuple(
        _trail_event(event, _effect(event, message, is_deleted=is_deleted))
        for event in await message_events(connection, channel_id, ts)
    )
    stored = {event.event_id for event in events}
    waiting = tuple(
        each.event
        for each in spooled
        if (each.channel_id, each.message_ts) == (channel_id, ts)
        and each.event.event_id not in stored
    )
    rules = await _discarding_rules(connection, events)
    return MessageTrail(
        channel_id=channel_id,
        channel_name=facts.channel_name,
        is_member=facts.is_member,
        complete_since=facts.complete_since,
        complete_until=facts.complete_until,
        ts=facts.ts,
        slack_ts=ts,
        verdict=_verdict(message, facts, events, waiting),
        message=message,
        deleted_at=facts.deleted_at,
        events=events,
        spooled=waiting,
        rules=rules,
        names=await names_in(connection, *(rule.match for rule in rules)),
        import_file=await imported_file(connection, channel_id, ts),
        gap=await covering_gap(connection, channel_id, ts),
        backfill=await covering_gap(connection, channel_id, ts, by_hand=True),
        running_backfill=None if message else await running_backfill(connection, [channel_id]),
        trail_since=facts.trail_since,
    )


async def _discarding_rules(
    connection: Connection, events: Iterable[TrailEvent]
) -> tuple[Rule, ...]:
    """The rules that discarded the events, without those that are no longer known."""
    ids = sorted({event.discard_id for event in events if event.discard_id is not None})
    return tuple([rule for id_ in ids if (rule := await find_rule(connection, id_))])


def _trail_event(row: MessageEventRow, effect: Effect) -> TrailEvent:
    shared = {each.name: getattr(row, each.name) for each in fields(MessageEvent)}
    return TrailEvent(**shared, did=effect, replays=parse_replays(row.replays))


def _effect(event: MessageEventRow, message: StoredMessage | None, *, is_deleted: bool) -> Effect:
    if event.outcome != Outcome.STORED:
        effects = {Outcome.DISCARDED: Effect.DISCARDED, Outcome.FAILED: Effect.FAILED}
        return effects.get(Outcome(event.outcome), Effect.NOTHING)
    if event.type in ("reaction_added", "reaction_removed"):
        return Effect.REACTION
    if event.subtype == "message_deleted" or event.is_tombstone:
        return Effect.DELETED
    if is_deleted:
        return Effect.DELETED_SINCE
    if message is None:
        return Effect.LOST
    return Effect.CONTENT if message.event_id == event.event_id else Effect.OLDER


def _verdict(
    message: StoredMessage | None,
    facts: MessageFacts,
    events: Iterable[TrailEvent],
    spooled: Iterable[EventInSpool],
) -> Verdict:
    effects = {event.did for event in events}
    possible = {
        Verdict.STORED: message is not None,
        Verdict.DELETED: facts.deleted_at is not None,
        Verdict.LOST_ROW: Effect.LOST in effects,
        Verdict.FAILED: Effect.FAILED in effects,
        Verdict.DISCARDED: Effect.DISCARDED in effects,
        Verdict.SPOOLED: any(spooled),
        Verdict.AUDIT_ONLY: bool(effects),
        Verdict.BEFORE_TRAIL: facts.is_before_trail,
        Verdict.NEVER_DELIVERED: True,
    }
    return next(verdict for verdict, holds in possible.items() if holds)


def _spooled(spool: Path, begin: str) -> Iterator[WaitingEvent]:
    """The events about messages whose ts begins so. Reads files."""
    wanted = begin.encode()
    for record in peek(spool):
        if wanted not in record:
            continue
        event = orjson.loads(record)
        if str(event["message_ts"]).startswith(begin):
            received_at = datetime.fromisoformat(event["received_at"])
            about = EventInSpool(event["event_id"], received_at, event["type"], event["subtype"])
            yield WaitingEvent(event["channel_id"], event["message_ts"], about)
