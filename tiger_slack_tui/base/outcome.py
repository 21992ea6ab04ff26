"""What was done with an event."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What was done with an event (slack.event.outcome)."""

    STORED = "stored"
    DISCARDED = "discarded"
    AUDIT = "audit"
    UNROUTED = "unrouted"
    FAILED = "failed"
