"""Writes log records for a person who reads them on a terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from tiger_slack_tui.base.stacktrace import STACKTRACE
from tiger_slack_tui.base.text import visible

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""The attributes that every record has. The others are the fields of the call's `extra`."""
_INDENT = " " * 14


class TextFormatter(logging.Formatter):
    """A line with the time of day (UTC), the level if it is not INFO, and the message.

    Fields follow as name=value; those whose values have blanks, such as commands to copy, have a line each. Fields
    that are empty are left out.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The lines of the record."""
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        time = datetime.fromtimestamp(record.created, UTC)
        first, below = [f"{time:%H:%M:%S} UTC  {level}{visible(record.getMessage())}"], []
        for name, text in _fields(record):
            if name == STACKTRACE:
                below += [f"{_INDENT}{visible(line)}" for line in text.splitlines()]
            elif " " in text:
                below.append(f"{_INDENT}{name}: {visible(text)}")
            else:
                first.append(f"{name}={visible(text)}")
        return "\n".join(["  ".join(first), *below])


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    for name, value in vars(record).items():
        if name in _STANDARD or value is None or value in ("", [], {}):
            continue
        if isinstance(value, Mapping):
            yield name, ", ".join(f"{each} {number}" for each, number in value.items())
        else:
            yield name, str(value)
