"""What is known about one event as named lines, for `tiger-slack event` and the console."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from tiger_slack_tui.audit.detail import EndRow, EventDetail, Replay
from tiger_slack_tui.audit.rule_names import with_names
from tiger_slack_tui.audit.words import (
    UNROUTED,
    event_kind,
    format_channel,
    format_error,
    format_time,
    format_user,
    receipt,
)
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.store.rules import Rule

_WIDEST = 69
"""The most columns of a channel or user."""


@dataclass(frozen=True, slots=True)
class DetailLine:
    """A fact about an event. The text can be long, and contain whatever Slack sent."""

    name: str
    """Empty where the text goes on about the line before it."""
    text: str


def detail_lines(event: EventDetail) -> Iterator[DetailLine]:
    """Everything that is known about the event, except its payload."""
    yield DetailLine("outcome", event.outcome)
    if event.outcome == Outcome.UNROUTED:
        yield DetailLine("", UNROUTED)
    yield DetailLine("event", f"{event.event_id}  {event_kind(event.type, event.subtype)}")
    happened = format_time(event.event_ts)
    yield DetailLine("happened", f"{happened}, {receipt(event.event_ts, event.received_at)}")
    if event.deliveries > 1:
        last = format_time(event.last_received_at)
        yield DetailLine("received", f"{event.deliveries} times, the last time {last}")
    yield DetailLine("about", ", ".join(_subjects(event)) or "-")
    yield from _rule_lines(event)
    yield from _error_lines(event)
    for replay in event.replays:
        yield DetailLine("replayed", replay_words(replay))
    for row in event.rows:
        yield DetailLine("row", _row_words(row))


def replay_words(replay: Replay) -> str:
    """When the event was replayed, and its outcome before that."""
    rule = f" by rule {replay.discard_id}" if replay.discard_id is not None else ""
    return f"{format_time(replay.at)}; before: {replay.outcome}{rule}"


def rule_words(rule: Rule) -> str:
    """The rule's number, whether it is on, and its note."""
    state = "removed" if rule.is_removed else "on" if rule.is_on else "off"
    note = f" ({rule.note})" if rule.note else ""
    return f"{rule.id}, {state}{note}"


def _subjects(event: EventDetail) -> Iterator[str]:
    if event.channel_id:
        yield f"channel {format_channel(event.channel_id, event.channel_name, _WIDEST)}"
    if event.user_id:
        yield f"user {format_user(event.user_id, event.user_name, _WIDEST)}"
    if event.message_ts:
        yield f"message of {format_time(event.message_ts)}"
    if event.team_id:
        yield f"workspace {event.team_id}"


def _rule_lines(event: EventDetail) -> Iterator[DetailLine]:
    """The rule that discarded the event, and the conditions of it that the message meets."""
    if event.rule_id is None:
        return
    if event.rule is None:
        yield DetailLine("rule", f"{event.rule_id}, whose text is no longer known")
        return
    yield DetailLine("rule", rule_words(event.rule))
    yield DetailLine("", with_names(event.rule.readable, event.names))
    for match in event.matched:
        found = ", ".join(orjson.dumps(value).decode() for value in match.found)
        yield DetailLine("matched", with_names(match.condition, event.names))
        yield DetailLine("", f"found: {found or 'nothing'}")


def _error_lines(event: EventDetail) -> Iterator[DetailLine]:
    """What PostgreSQL said about an event that failed."""
    if event.error is None:
        return
    code = event.error.get("sqlstate")
    yield DetailLine("error", format_error(code) if code else str(event.error.get("class")))
    yield DetailLine("", str(event.error.get("message")))
    diagnostics: dict[str, Any] = event.error.get("diagnostics") or {}
    for name, value in diagnostics.items():
        yield DetailLine("", f"{name}: {' '.join(str(value).split())}")


def _row_words(row: EndRow) -> str:
    states = {
        "content": "has the content of this event",
        "newer": f"has newer content, of {format_time(row.at)}",
        "deleted": f"was deleted {format_time(row.at)}",
        "missing": "does not exist",
        "merged": "exists; it merges the values of several events",
    }
    return f"slack.{row.table} {' '.join(row.key)}: {states[row.state]}"
