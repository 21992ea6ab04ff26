"""Encodes events as records, and decodes them: the form that the queue, the spool and slack.ingest() use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from tiger_slack_tui.base.ids import ChannelId, EventId, SlackTs, UserId
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.slack.events import Envelope, EventEffect, Route
from tiger_slack_tui.slack.ts import lateness
from tiger_slack_tui.store.events import EncodedEvent

Id = TypeVar("Id")

_VERSION = 1
"""The version of the records. A record without the field `version` has version 1.

Raise it when a field changes its meaning, or a new field must not be ignored. Older programs then leave the record in
the spool.
"""


def encode_record(envelope: Envelope, routed: Route, **more: Any) -> bytes:
    """Encode the event as a JSON object with the fields of slack.routed_event, and `more`."""
    problem = envelope.problem
    return orjson.dumps(
        {
            "event_id": envelope.event_id,
            "event_ts": envelope.event_ts,
            "received_at": datetime.fromtimestamp(envelope.received_at, UTC),
            "type": routed.type,
            "subtype": routed.subtype,
            "effects": routed.effects,
            "outcome": routed.outcome,
            "team_id": envelope.team_id,
            "channel_id": routed.channel_id,
            "user_id": routed.user_id,
            "message_ts": routed.message_ts,
            "event": envelope.event,
            "error": {"class": "MalformedEvent", "message": problem} if problem else None,
            **more,
        }
    )


@dataclass(slots=True)
class SpooledEvent(EncodedEvent):
    """An event of the spool, decoded from its record."""

    received_at: float
    """Seconds since 1970."""
    late: float
    """Seconds from the event, by Slack's clock, to its receipt."""


def decode_record(data: bytes) -> SpooledEvent | None:
    """Decode a record. Returns None if this version of the program does not understand it. Never raises."""
    try:
        fields = orjson.loads(data)
        if fields.get("version", _VERSION) != _VERSION or not isinstance(fields["event"], dict):
            return None
        event_id = _id(EventId, fields["event_id"])
        received_at = datetime.fromisoformat(fields["received_at"]).timestamp()
        routed = Route(
            _text(fields.get("type")),
            _text(fields.get("subtype")),
            tuple(EventEffect(effect) for effect in fields["effects"]),
            Outcome(fields["outcome"]),
            _id(ChannelId, fields.get("channel_id")),
            _id(UserId, fields.get("user_id")),
            _id(SlackTs, fields.get("message_ts")),
        )
        late = lateness(fields["event_ts"], received_at)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    return SpooledEvent(data, event_id, routed, received_at, late) if event_id else None


def _id(kind: Callable[[str], Id], value: Any) -> Id | None:
    """The value as an id. Raises TypeError unless it is text or None."""
    text = _text(value)
    return None if text is None else kind(text)


def _text(value: Any) -> str | None:
    """The value. Raises TypeError unless it is text or None."""
    if value is None or isinstance(value, str):
        return value
    raise TypeError
