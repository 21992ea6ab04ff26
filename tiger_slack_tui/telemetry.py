"""Logging: one structured line for each thing that an operator should know."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

_FILE_BYTES = 5_000_000
_OLD_FILES = 3


def log_to_stderr(service_name: str) -> None:
    """Write the program's log to stderr, as JSON lines.

    A line has a timestamp (UTC), level, logger, message, and what the call's `extra` adds. None holds a token,
    a password or the text of a message.
    """
    _install(logging.StreamHandler(sys.stderr), service_name)


def log_to_file(directory: Path, service_name: str) -> None:
    """Write it to `directory`/tiger-slack.log instead, where a console has the terminal."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "tiger-slack.log"
    _install(RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=_OLD_FILES), service_name)


def _install(handler: logging.Handler, service_name: str) -> None:
    handler.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger"},
            static_fields={"service": service_name},
            timestamp=True,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tiger_slack_tui").setLevel(logging.INFO)
    # The pool warns of each failed attempt to connect; the engine says it once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
