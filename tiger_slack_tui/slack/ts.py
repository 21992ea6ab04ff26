"""Reads and writes Slack's ts, the time that identifies a message in its channel; reads permalinks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _END = -210_866_803_200, 9_224_318_016_000
"""PostgreSQL's first second, and the one after its last: 4714-11-24 BC and 294277-01-01
(https://www.postgresql.org/docs/current/datatype-datetime.html)."""
_MOST_SENT = 10**12
"""A peer that sends more seconds has sent milliseconds."""
_TS = re.compile(r"(-?[0-9]{1,13})(?:\.([0-9]{1,9}))?")
# https://WORKSPACE.slack.com/archives/CHANNEL/pTTTTTTTTTTUUUUUU. A query ?thread_ts=… may follow.
_PERMALINK = re.compile(
    r"https?://[^/\s]+/archives/([A-Z0-9]{1,40})/p([0-9]{1,12})([0-9]{6})/?(?:[?#]\S*)?"
)


def slack_ts(time: datetime) -> str:
    """The time as Slack writes it: seconds.microseconds."""
    seconds, micros = divmod(to_micros(time), 1_000_000)
    return f"{seconds}.{micros:06}"


def to_micros(time: datetime) -> int:
    """Microseconds since 1970."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time that is `micros` microseconds after 1970. Raises OverflowError beyond the year 9999."""
    return _EPOCH + micros * _MICROSECOND


def parse_ts(value: object) -> int | None:
    """Microseconds since 1970 of a ts that a peer sent, as text or as a number; None if the value is no ts.

    Up to nine decimals are rounded to microseconds, as slack.to_timestamptz() rounds them. The result can be beyond
    the year 9999.
    """
    if type(value) is str and len(value) == 17 and value[10] == ".":
        digits = value[:10] + value[11:]
        if digits.isdigit() and digits.isascii():  # nearly every ts
            return int(digits)
    text = number_text(value)
    found = _parts(text)
    if found is None or text[0] == "-" or found[0] >= _MOST_SENT:
        return None
    seconds, decimals = found
    return seconds * 1_000_000 + (int(f"{decimals:0<9}") + 500) // 1000


def lateness(event_ts: str, received_at: float) -> float:
    """Seconds from an event, by Slack's clock, to its receipt at `received_at` (seconds since 1970).

    Raises ValueError if `event_ts` is no ts.
    """
    micros = parse_ts(event_ts)
    if micros is None:
        raise ValueError("no ts")
    return received_at - micros / 1_000_000


def number_text(value: object) -> str:
    """A number as PostgreSQL's jsonb writes it (1e-05 is 0.00001), a text as it is, and "" for other values."""
    if isinstance(value, float):
        return f"{Decimal(str(value)):f}"
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def read_ts(text: str) -> str | None:
    """An operator's "seconds.microseconds" as `slack_ts` writes it; None if PostgreSQL has no such time."""
    found = _parts(text)
    if found is None or len(found[1]) > 6:
        return None
    return f"{found[0]}.{found[1]:0<6}"


def read_permalink(text: str) -> tuple[str, str] | None:
    """Channel and ts of the message that a permalink leads to; None if the text is none."""
    found = _PERMALINK.fullmatch(text)
    if found is None or (ts := read_ts(f"{found[2]}.{found[3]}")) is None:
        return None
    return found[1], ts


def _parts(text: str) -> tuple[int, str] | None:
    """Seconds and decimals; None if PostgreSQL has no such time."""
    found = _TS.fullmatch(text)
    if found is None or not _FIRST < int(found[1]) < _END:
        return None
    return int(found[1]), found[2] or ""
