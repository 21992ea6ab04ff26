"""Times as an operator writes them."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta

from tiger_slack_tui.errors import SettingsError

_DURATION = re.compile(r"([0-9]{1,5})([HDWMY])", re.IGNORECASE)
_UNITS = {"H": "hours", "D": "days", "W": "weeks"}
_DATE = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}")


def read_time(text: str, now: datetime, name: str, *, is_end: bool = False) -> datetime:
    """A date (at UTC; as an end, all of that day), a time, or a duration before now: 12H, 30D, 4W, 7M, 1Y.

    Raises SettingsError, which calls it `name`.
    """
    if match := _DURATION.fullmatch(text):
        return _before(now, int(match[1]), match[2].upper(), name)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{name} {text!r} is no date and no duration.",
            hint="Write 2024-03-01, 2024-03-01T12:00, or a duration before now: 12H, 30D, 4W, 7M, 1Y.",
        ) from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    is_whole_day = is_end and _DATE.fullmatch(text)
    return (time + timedelta(days=1) if is_whole_day else time).astimezone(UTC)


def _before(now: datetime, number: int, unit: str, name: str) -> datetime:
    try:
        if unit in _UNITS:
            return now - number * timedelta(**{_UNITS[unit]: 1})
        months = now.year * 12 + now.month - 1 - number * (12 if unit == "Y" else 1)
        year, month = months // 12, months % 12 + 1
        day = min(now.day, monthrange(year, month)[1])
        return now.replace(year=year, month=month, day=day)
    except (OverflowError, ValueError):
        raise SettingsError(f"{name} reaches back before the year 1.") from None
