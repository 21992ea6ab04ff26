"""Shows one event: what it was, what became of it and why, how it was delivered, and the row that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson

from tiger_slack_tui.audit.conditions import MetCondition, met_conditions
from tiger_slack_tui.audit.rule_names import names_in
from tiger_slack_tui.base.ids import ChannelId, EventId, SlackTs, TeamId, UserId
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.audit_detail import (
    Content,
    StoredEvent,
    deletion_time,
    fetch_stored_event,
    has_row,
    message_content,
    reaction_content,
)
from tiger_slack_tui.store.rules import Rule, find_rule

RowState = Literal["content", "newer", "deleted", "missing", "merged"]


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay of the event, and the event's outcome before it."""

    at: datetime
    outcome: str
    discard_id: int | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class EndRow:
    """The row that an event is about."""

    table: Literal["message", "reaction", "user", "channel"]
    key: tuple[str, ...]
    """Its primary key, times as Slack's text."""
    state: RowState
    """content: the row shows this event; newer: it shows a newer event; merged: it merges several events;
    deleted: the message was deleted; missing: there is no row."""
    at: datetime | None = None
    """When the newer event or the deletion happened."""


@dataclass(frozen=True, slots=True)
class EventDetail:
    """An event. `event` and `matched` contain what people wrote."""

    id: int
    event_id: EventId
    event_ts: datetime
    received_at: datetime
    last_received_at: datetime
    deliveries: int
    type: str | None
    subtype: str | None
    outcome: str
    team_id: TeamId | None
    channel_id: ChannelId | None
    user_id: UserId | None
    message_ts: datetime | None
    """The nearest time that Python can hold; `slack_ts` is exact."""
    slack_ts: SlackTs | None
    """`message_ts` as Slack's text, which identifies the message in its channel."""
    event: dict[str, Any]
    error: dict[str, Any] | None
    """{"class", "message", "sqlstate", "diagnostics"} of a failed event."""
    rule_id: int | None
    """The rule that discarded it."""
    rule: Rule | None
    """That rule; None, too, if the rule is no longer known."""
    matched: tuple[MetCondition, ...]
    """The conditions of that rule which the message meets."""
    replays: tuple[Replay, ...]
    rows: tuple[EndRow, ...]
    """The rows that it is about, as they are now; none for an event that changes no table."""
    channel_name: str | None = None
    user_name: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """The names of the channels and people in the rule, by id."""

    @property
    def payload(self) -> str:
        """`event` as JSON that is easy to read."""
        return orjson.dumps(self.event, option=orjson.OPT_INDENT_2).decode()


async def fetch_event(connection: Connection, event_id: EventId) -> EventDetail | None:
    """The event; None if it was never delivered, or was deleted because of its age."""
    found = await fetch_stored_event(connection, event_id)
    if found is None:
        return None
    event = orjson.loads(found.event)
    rule = None if found.discard_id is None else await find_rule(connection, found.discard_id)
    return EventDetail(
        id=found.id,
        event_id=found.event_id,
        event_ts=found.event_ts,
        received_at=found.received_at,
        last_received_at=found.last_received_at,
        deliveries=found.deliveries,
        type=found.type,
        subtype=found.subtype,
        outcome=found.outcome,
        team_id=found.team_id,
        channel_id=found.channel_id,
        user_id=found.user_id,
        message_ts=found.message_ts,
        slack_ts=found.slack_ts,
        event=event,
        error=_without_values(found.error),
        rule_id=found.discard_id,
        rule=rule,
        names=await names_in(connection, rule.match) if rule else {},
        matched=await met_conditions(connection, rule.match, found.message) if rule else (),
        replays=parse_replays(found.replays),
        rows=await _rows(connection, found, event.get("reaction")),
        channel_name=found.channel_name,
        user_name=found.user_name,
    )


def _without_values(error: dict[str, Any] | None) -> dict[str, Any] | None:
    """The error without detail and context, which earlier versions stored: they quote the event's values."""
    if error is None or not isinstance(diagnostics := error.get("diagnostics"), dict):
        return error
    kept = {k: v for k, v in diagnostics.items() if k not in ("context", "message_detail")}
    return error | {"diagnostics": kept}


def parse_replays(value: list[dict[str, Any]] | None) -> tuple[Replay, ...]:
    """The replays in slack.event.replays."""
    return tuple(
        Replay(**(replay | {"at": datetime.fromisoformat(replay["at"])})) for replay in value or ()
    )


async def _rows(connection: Connection, event: StoredEvent, reaction: Any) -> tuple[EndRow, ...]:
    """The rows that the event is about. A failed event may lack a part of its row's key: then there is none."""
    if event.outcome in (Outcome.AUDIT, Outcome.UNROUTED):
        return ()
    type_ = event.type or ""
    channel_id, user_id, slack_ts = event.channel_id, event.user_id, event.slack_ts
    row = None
    if type_.startswith("reaction_"):
        if channel_id and slack_ts and user_id and reaction and isinstance(reaction, str):
            key = (channel_id, slack_ts, user_id, reaction)
            content = await reaction_content(connection, *key, event_id=event.event_id)
            row = _end_row("reaction", key, content)
    elif slack_ts is not None:
        if channel_id and slack_ts:
            row = await _message(connection, channel_id, slack_ts, event.event_id)
    elif type_.startswith(("user_", "team_join")):
        row = await _merged(connection, "user", user_id)
    elif type_.startswith(("channel_", "group_")):
        row = await _merged(connection, "channel", channel_id)
    return () if row is None else (row,)


async def _message(
    connection: Connection, channel_id: ChannelId, slack_ts: SlackTs, event_id: EventId
) -> EndRow:
    key = (channel_id, slack_ts)
    content = await message_content(connection, *key, event_id=event_id)
    if content is None and (deleted_at := await deletion_time(connection, *key)) is not None:
        return EndRow("message", key, "deleted", deleted_at)
    return _end_row("message", key, content)


def _end_row(
    table: Literal["message", "reaction"], key: tuple[str, ...], content: Content | None
) -> EndRow:
    if content is None:
        return EndRow(table, key, "missing")
    return EndRow(table, key, "content" if content.is_own else "newer", content.event_ts)


async def _merged(
    connection: Connection, table: Literal["user", "channel"], id_: str | None
) -> EndRow | None:
    if not id_:
        return None
    state: RowState = "merged" if await has_row(connection, table, id_) else "missing"
    return EndRow(table, (id_,), state)
