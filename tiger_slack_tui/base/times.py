"""Times and durations: as an operator writes them, as the program writes them, and in a range that Python can use."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.text import cut

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""The range of times. Python's range is a day longer at both ends, so that a time zone can be applied."""

_SHOWN = 60
"""Most characters of a wrong time that an error quotes."""
_DURATION = re.compile(r"([0-9]{1,5}) ?([a-z]{1,10})", re.IGNORECASE)
_SECONDS = {"m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MONTHS = {"mo": 1, "y": 12}
UNITS = "m minutes, h hours, d days, w weeks, mo months, y years"
"""The units of durations, for help and errors."""
_DATE = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}")


def parse_time(text: str, now: datetime, name: str, *, is_end: bool = False) -> datetime:
    """Read a date, a time, or a duration before now: 30m, 12h, 7d, 4w, 6mo, 1y.

    A date begins at 00:00 UTC; with `is_end`, the result is the end of that day. The result is in UTC, from EARLIEST
    to LATEST; a time beyond them becomes the nearer one. Raises SettingsError, which calls the text `name`.
    """
    if match := _DURATION.fullmatch(text):
        return shift(_before(now, int(match[1]), match[2], name), timedelta())
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{name} {cut(text, _SHOWN)!r} is neither a date nor a duration.",
            hint=f"Write 2024-03-01, 2024-03-01T12:00 (UTC), or a duration before now: 12h, 30d ({UNITS}).",
        ) from None
    is_whole_day = is_end and _DATE.fullmatch(text)
    return shift(time, timedelta(days=1 if is_whole_day else 0))


def parse_period(
    since: str | None, until: str | None, now: datetime, prefix: str = "--"
) -> tuple[datetime | None, datetime | None]:
    """Read the two ends of a period as `parse_time` does; None for an open end.

    Raises SettingsError for a wrong text, and if the period is empty. `prefix` stands before the names in errors.
    """
    begin = parse_time(since, now, f"{prefix}since") if since is not None else None
    end = parse_time(until, now, f"{prefix}until", is_end=True) if until is not None else None
    if begin and end and begin >= end:
        raise SettingsError(f"{prefix}since is not before {prefix}until.")
    return begin, end


def duration(time: timedelta, *, is_brief: bool = False) -> str:
    """The duration with at most two units: 368 ms, 1.25 s, 3 min 20 s, 2 h 11 min, 3 d 4 h. If negative, 0 ms.

    If it `is_brief`, only the first unit.
    """
    seconds = max(time.total_seconds(), 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.995:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s"
    whole = round(seconds)
    for unit, size, part, part_size in (
        ("d", 86_400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            rest = 0 if is_brief else whole % size // part_size
            return f"{whole // size:,} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def shift(time: datetime, by: timedelta) -> datetime:
    """The time plus `by`, in UTC, from EARLIEST to LATEST. A time without a time zone is in UTC. Never raises."""
    # The offset is subtracted here, because `astimezone` overflows within a day of Python's first and last time.
    offset = time.utcoffset() or timedelta()
    try:
        moved = time.replace(tzinfo=UTC) + (by - offset)
    except OverflowError:
        moved = EARLIEST if by - offset < timedelta() else LATEST
    return min(max(moved, EARLIEST), LATEST)


def _before(now: datetime, number: int, unit: str, name: str) -> datetime:
    known = "mo" if unit == "M" else unit.lower()  # versions up to 0.4.0 wrote M for months
    if known not in _SECONDS | _MONTHS:
        raise SettingsError(
            f"{name} {number}{unit}: there is no unit {unit!r}.", hint=f"The units are {UNITS}."
        )
    try:
        if known in _SECONDS:
            return now - number * timedelta(seconds=_SECONDS[known])
        months = now.year * 12 + now.month - 1 - number * _MONTHS[known]
        year, month = months // 12, months % 12 + 1
        day = min(now.day, monthrange(year, month)[1])
        return now.replace(year=year, month=month, day=day)
    except (OverflowError, ValueError):
        raise SettingsError(f"{name} reaches back before the year 1.") from None
