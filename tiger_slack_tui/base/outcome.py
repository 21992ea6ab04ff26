"""What was done with an event."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Outcome(StrEnum):
    """What was done with an event (slack.event.outcome)."""

    STORED = "stored"
    DISCARDED = "discarded"
    AUDIT = "audit"
    UNROUTED = "unrouted"
    FAILED = "failed"


def sum_by_outcome(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """The counts by the second key, an event's outcome, of all first keys together."""
    sums: dict[str, int] = {}
    for (_, outcome), n in counts.items():
        sums[str(outcome)] = sums.get(str(outcome), 0) + n
    return sums
