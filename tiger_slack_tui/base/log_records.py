"""Removes data from log records before any handler sees them."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.stacktrace import error_attributes, internal_error, where

log = logging.getLogger(__name__)

_OURS = "tiger_slack_tui"
# Beginnings of asyncio's messages about unhandled errors. The rest of such a message shows objects with their values.
_ASYNCIO = (
    "Task exception was never retrieved",
    "Future exception was never retrieved",
    "Task was destroyed but it is pending!",
    "Unhandled exception in event loop",
    "Exception in callback",
)


def keep_data_out_of_records() -> None:
    """Make every later log record of the process a `SafeRecord`, for all loggers and handlers."""
    logging.setLogRecordFactory(SafeRecord)


def keeps_data_out_of_records() -> bool:
    """Whether `keep_data_out_of_records` was called, which each function that opens a log does."""
    return logging.getLogRecordFactory() is SafeRecord


class SafeRecord(logging.LogRecord):
    """A log record without data.

    An error becomes the attributes `exception.type` and `exception.stacktrace`, without its message. A
    TigerSlackError, whose message is safe, is appended to the record's message and has no stack.

    This program's own messages are kept; an error among their arguments becomes its type and place. Of a message of
    another logger, the template and numbers are kept. A message without arguments can be an f-string, so the place of
    the call replaces it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        error = self.exc_info[1] if self.exc_info else None
        if error is not None and not isinstance(error, TigerSlackError):
            self.__dict__ |= error_attributes(error)
        self.exc_info = self.exc_text = self.stack_info = None  # stack_info has source lines
        if (self.name or "").partition(".")[0] == _OURS:  # makeLogRecord passes no name
            self._hide(BaseException)
        else:
            self._hide(object)
            self._rewrite()
        if isinstance(error, TigerSlackError):
            sentence = " ".join(str(error).split())
            self.msg, self.args = f"{self.getMessage()}: {sentence}", ()

    def _hide(self, kind: type[object]) -> None:
        """Replace arguments of this class, except numbers."""
        if isinstance(self.args, tuple):
            self.args = tuple(_shown(value, kind) for value in self.args)
        elif isinstance(self.args, Mapping):
            self.args = {name: _shown(value, kind) for name, value in self.args.items()}

    def _rewrite(self) -> None:
        """Replace the message by one without data."""
        try:
            if self.args and isinstance(self.msg, str):
                self.msg, self.args = self.msg % self.args, ()
                return
        except (TypeError, ValueError, KeyError):
            pass  # the arguments do not fit the template
        known = [text for text in _ASYNCIO if self.name == "asyncio" and _begins(self.msg, text)]
        self.msg = known[0] if known else f"logged at {self.filename}:{self.lineno}"
        self.args = ()


class _Hidden:
    def __repr__(self) -> str:
        return "…"


def _shown(value: object, kind: type[object]) -> object:
    if isinstance(value, BaseException) and not isinstance(value, TigerSlackError):
        return where(value)
    if isinstance(value, int | float) or not isinstance(value, kind):
        return value
    return value if isinstance(value, TigerSlackError) else _Hidden()


def _begins(message: object, text: str) -> bool:
    return isinstance(message, str) and message.startswith(text)


def log_uncaught_errors(terminal: TextIO | None = None) -> None:
    """Log uncaught errors and warnings, which Python would print with messages and source lines.

    This covers errors that end the program or a thread, and errors that cannot be raised (in `__del__`, in callbacks
    of C). An error that ends the program is also written to `terminal`, in one line without data.
    """

    def ends(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("an uncaught error ends the program", exc_info=error)
        if terminal is not None:
            terminal.write(f"tiger-slack: {internal_error(error)}. The log has its stack.\n")

    def ends_thread(found: threading.ExceptHookArgs) -> None:
        if found.exc_value is not None and not issubclass(found.exc_type, SystemExit):
            log.error("an uncaught error ends a thread", exc_info=found.exc_value)

    def cannot_be_raised(found: sys.UnraisableHookArgs) -> None:
        log.error("an error could not be raised", exc_info=found.exc_value)

    def warn(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        log.warning("%s at %s:%d", category.__name__, filename, lineno)

    sys.excepthook = ends
    threading.excepthook = ends_thread
    sys.unraisablehook = cannot_be_raised
    warnings.showwarning = warn
