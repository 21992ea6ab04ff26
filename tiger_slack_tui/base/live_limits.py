"""When imports and backfills wait for live events."""

from __future__ import annotations

from typing import Final

LIVE_LIMIT: Final = 0.2
"""p95 of the time to an acknowledgement, in seconds, above which an import or a backfill waits for live events."""
RESUME_BELOW: Final = 0.7
"""Fraction of the limit below which it continues (hysteresis)."""
