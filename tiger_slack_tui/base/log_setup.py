"""Sets up the log. It never contains data."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection
from logging.handlers import RotatingFileHandler
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

from tiger_slack_tui.base.log_records import keep_data_out_of_records, log_uncaught_errors
from tiger_slack_tui.base.log_text import TextFormatter
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import wrap

_FILE_BYTES = 5_000_000
_OLD_FILES = 3
_WIDTH = 79
"""Columns of a sentence on a terminal."""


def log_to_stderr(settings: Settings) -> None:
    """Write the program's log to stderr: as text on a terminal, else as JSON lines, or as the settings say.

    A JSON line has a timestamp (UTC), level, logger, message, and the fields of the call's `extra`. A line about an
    error has `exception.type` and `exception.stacktrace`. No line contains a token, a password or the text of a
    message.
    """
    is_text = (settings.log_format or ("text" if sys.stderr.isatty() else "json")) == "text"
    _install(logging.StreamHandler(sys.stderr), settings, TextFormatter() if is_text else None)
    log_uncaught_errors()


def log_of_command(settings: Settings, *, printed: Collection[str] = ()) -> None:
    """Write the log of a command that runs once: as `log_to_stderr`, or on a terminal only warnings, as sentences.

    `printed` are the loggers whose warnings the command itself prints.
    """
    if not sys.stderr.isatty():
        log_to_stderr(settings)
        return
    handler = _TerminalHandler(logging.WARNING)
    handler.addFilter(lambda record: record.name not in printed)
    _install(handler, settings, logging.Formatter("warning: %(message)s"))
    log_uncaught_errors(sys.stderr)


class _TerminalHandler(logging.Handler):
    """Writes to the stderr of the moment: while a bar of progress is shown, that prints above the bar."""

    def emit(self, record: logging.LogRecord) -> None:
        for line in wrap(self.format(record), _WIDTH, hang=2):
            sys.stderr.write(f"{line}\n")


def log_path(settings: Settings) -> Path:
    """The log file of a console."""
    return settings.home / "tiger-slack.log"


def log_to_file(settings: Settings) -> None:
    """Write the program's log to `log_path`, because the console uses the terminal."""
    settings.home.mkdir(parents=True, exist_ok=True)
    _install(
        RotatingFileHandler(log_path(settings), maxBytes=_FILE_BYTES, backupCount=_OLD_FILES),
        settings,
    )
    log_uncaught_errors(sys.stderr)


def _install(
    handler: logging.Handler, settings: Settings, formatter: logging.Formatter | None = None
) -> None:
    """Make the handler the only one, apart from those of telemetry. Without a formatter, it writes JSON lines."""
    keep_data_out_of_records()
    json_lines = JsonFormatter(
        "{levelname}{name}{message}",
        style="{",
        rename_fields={"levelname": "level", "name": "logger"},
        static_fields={"service": settings.service_name},
        timestamp=True,
    )
    handler.setFormatter(formatter or json_lines)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    if settings.logfire.is_wanted:
        from tiger_slack_tui.base.logfire_export import set_up

        root.handlers += set_up(settings)
    root.setLevel(logging.WARNING)
    logging.getLogger("tiger_slack_tui").setLevel(logging.INFO)
    # slack_sdk's INFO and DEBUG lines contain user names and tickets.
    logging.getLogger("slack_sdk").setLevel(logging.WARNING)
    # The pool warns about each failed attempt to connect. The engine logs an outage once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
