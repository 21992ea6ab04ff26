"""Numbers, durations and times as short texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tiger_slack_tui.base.times import duration


def age(seconds: float, *, is_brief: bool = False) -> str:
    """A duration of whole seconds with at most two units: 14 s, 3 min 20 s, 2 h 11 min, 3 d 4 h."""
    return duration(timedelta(seconds=int(seconds)), is_brief=is_brief) if seconds >= 1 else "0 s"


def brief(seconds: float) -> str:
    """A duration with one unit, for a narrow column: 14 s, 3 min, 2 h, 3 d."""
    return age(seconds, is_brief=True)


def millis(seconds: float | None) -> str:
    """A latency: 0.4 ms, 61 ms, 2.3 s."""
    if seconds is None:
        return "-"
    if seconds >= 10:
        return age(seconds)
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.001 else f"{seconds * 1000:.0f} ms"


def clock(at: float | datetime) -> str:
    """The time of day, UTC."""
    return f"{_utc(at):%H:%M:%S}"


def moment(at: float | datetime | None) -> str:
    """Date and time, UTC; "-" for none."""
    return "-" if at is None else f"{_utc(at):%Y-%m-%d %H:%M:%S}"


def count(number: float) -> str:
    """A number in at most seven characters: 1,204, 88,204, 2.4 M."""
    if abs(number) < 1_000_000:
        return f"{number:,.0f}"
    return f"{number / 1e6:,.1f} M" if abs(number) < 1e9 else f"{number / 1e9:,.1f} G"


def _utc(at: float | datetime) -> datetime:
    return at.astimezone(UTC) if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
