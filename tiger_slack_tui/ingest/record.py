"""The form in which an event waits for the database: in the queue, in a batch and in the spool alike."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from tiger_slack_tui.slack.events import Envelope, Routed


def encode(envelope: Envelope, routed: Routed) -> bytes:
    """A JSON object with the fields of slack.routed_event."""
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
        }
    )
