"""The newest lines of the program's log, kept in memory for the view Log."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import Final

MOST: Final = 2000
"""The most records that are kept."""
_ORDINARY: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record of the log. The stack of its error follows in further lines of `text`. `number` counts from 1."""

    number: int
    at: float
    level: int
    logger: str
    text: str


class LogRing(logging.Handler):
    """Keeps the newest records. Any thread may log; only the event loop calls `lines`."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__()
        self._lines: deque[LogLine] = deque(maxlen=most)
        self._total = 0
        self._taken: tuple[LogLine, ...] = ()

    @property
    def total(self) -> int:
        """How many records there were since the start."""
        return self._total

    def emit(self, record: logging.LogRecord) -> None:
        try:
            extra = {k: v for k, v in record.__dict__.items() if k not in _ORDINARY}
            stack = extra.pop("exception.stacktrace", None)
            words = [record.getMessage(), *(f"{name}={value}" for name, value in extra.items())]
            text = " ".join(words) + (f"\n{stack}" if stack else "")
            self._total += 1
            self._lines.append(
                LogLine(self._total, record.created, record.levelno, record.name, text)
            )
        except Exception:  # logging must never end the work that logs
            self.handleError(record)

    def lines(self) -> tuple[LogLine, ...]:
        """The newest records, the oldest first. The tuple is the same object until a record is added."""
        newest = self._lines.copy()
        if newest and (not self._taken or newest[-1] is not self._taken[-1]):
            self._taken = tuple(newest)
        return self._taken
