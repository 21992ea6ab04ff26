"""How Slack names a message: its channel and ts, or a permalink."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _END = -210_866_803_200, 9_224_318_016_000
"""PostgreSQL's first second, and the one after its last: 4714-11-24 BC and 294277-01-01
(https://www.postgresql.org/docs/current/datatype-datetime.html)."""
_TS = re.compile(r"(-?[0-9]{1,13})(?:\.([0-9]{1,6}))?")
# https://WORKSPACE.slack.com/archives/CHANNEL/pTTTTTTTTTTUUUUUU, where ?thread_ts=… names the thread's parent
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
    """The time so many microseconds after 1970. Raises OverflowError beyond the year 9999."""
    return _EPOCH + micros * _MICROSECOND


def read_ts(text: str) -> str | None:
    """The text "seconds.microseconds" as `slack_ts` writes it; None where it is no time that PostgreSQL has."""
    found = _TS.fullmatch(text)
    return _ts(found[1], (found[2] or "").ljust(6, "0")) if found else None


def read_permalink(text: str) -> tuple[str, str] | None:
    """Channel and ts of the message that a permalink leads to; None where the text is none."""
    found = _PERMALINK.fullmatch(text)
    if found is None or (ts := _ts(found[2], found[3])) is None:
        return None
    return found[1], ts


def _ts(seconds: str, micros: str) -> str | None:
    return f"{int(seconds)}.{micros}" if _FIRST < int(seconds) < _END else None
