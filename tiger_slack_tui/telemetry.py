"""Logging: one structured line for each thing that an operator should know."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def log_to_stderr(service_name: str, *, level: int = logging.INFO) -> None:
    """Write the program's log to stderr as JSON lines (time, level, logger, message and what `extra` adds).

    Libraries speak from warnings up. Messages hold no token, no password and no text of a message.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={"service": service_name},
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tiger_slack_tui").setLevel(level)
    # The pool warns of each failed attempt to connect; the engine says it once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
