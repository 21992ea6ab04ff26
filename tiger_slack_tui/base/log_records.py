"""Makes log records that hold no data, before any handler sees them."""

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
# What asyncio logs of errors that nobody handled; the rest of those messages shows the objects and their values.
_ASYNCIO = (
    "Task exception was never retrieved",
    "Future exception was never retrieved",
    "Task was destroyed but it is pending!",
    "Unhandled exception in event loop",
    "Exception in callback",
)


def keep_data_out_of_records() -> None:
    """From now on every log record of the process is a `SafeRecord`, whoever logs it and whatever handles it."""
    logging.setLogRecordFactory(SafeRecord)


def keeps_data_out_of_records() -> bool:
    """Whether that is so: the program has a log."""
    return logging.getLogRecordFactory() is SafeRecord


class SafeRecord(logging.LogRecord):
    """A record whose error is the attributes `exception.type` and `exception.stacktrace`, and nothing else of it.

    A TigerSlackError is added to the message as its sentence, without a stack: it says what happened and where.

    This program's messages are shown; an error among their arguments shows as its type and place. Of other loggers'
    messages the template is shown with its numbers; a message without arguments may be an f-string, so the place that
    logs it is shown instead.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        error = self.exc_info[1] if self.exc_info else None
        if error is not None and not isinstance(error, TigerSlackError):
            self.__dict__ |= error_attributes(error)
        self.exc_info = self.exc_text = self.stack_info = None  # the last holds source lines
        if (self.name or "").partition(".")[0] == _OURS:  # makeLogRecord gives no name
            self._hide(BaseException)
        else:
            self._hide(object)
            self._rewrite()
        if isinstance(error, TigerSlackError):
            sentence = " ".join(str(error).split())
            self.msg, self.args = f"{self.getMessage()}: {sentence}", ()

    def _hide(self, kind: type[object]) -> None:
        """Replace the arguments of the kind, apart from numbers."""
        if isinstance(self.args, tuple):
            self.args = tuple(_shown(value, kind) for value in self.args)
        elif isinstance(self.args, Mapping):
            self.args = {name: _shown(value, kind) for name, value in self.args.items()}

    def _rewrite(self) -> None:
        """Set a message that holds no data."""
        try:
            if self.args and isinstance(self.msg, str):
                self.msg, self.args = self.msg % self.args, ()
                return
        except (TypeError, ValueError, KeyError):
            pass  # the template asks for other arguments
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


def log_uncaught_errors(people: TextIO | None = None) -> None:
    """Log what Python would print with messages and source lines: uncaught errors of the program and of threads,
    errors that cannot be raised (in `__del__`, in callbacks of C), and warnings.

    An error that ends the program is also written to `people` in one line, without data.
    """

    def ends(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("an uncaught error ends the program", exc_info=error)
        if people is not None:
            people.write(f"tiger-slack: {internal_error(error)}. The log has its stack.\n")

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
