"""The embedded server's log: it contains no data, its size is limited, and only its owner can read it."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

MOST_BYTES = 2_000_000
"""Size at which the log is moved aside. One older part is kept, so both take twice as much."""
GIVEN_UP = "the server does not stay up"
"""The supervisor's last line when it gives up. It does not say why."""

# The level `log` leaves out errors and warnings of sessions: even the first line of an error can quote a value
# (invalid input syntax for type numeric: "…"). The program gets them as a client. The server's own messages about
# its start, stop and crashes are LOG, FATAL or PANIC.
# https://www.postgresql.org/docs/current/runtime-config-logging.html
OPTIONS = (
    "logging_collector=off",
    "log_destination=stderr",
    "log_min_messages=log",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
    "log_statement=none",
    "log_duration=off",
    "log_min_duration_statement=-1",
    "log_min_duration_sample=-1",
    "log_transaction_sample_rate=0",
    "log_parameter_max_length=0",
    "log_parameter_max_length_on_error=0",
    "log_autovacuum_min_duration=-1",
    "log_temp_files=-1",
    "log_lock_waits=off",
    "log_checkpoints=off",
    "debug_print_parse=off",
    "debug_print_rewritten=off",
    "debug_print_plan=off",
)
"""Settings for the server's command line, which overrules every configuration file."""

_REASON = re.compile(r"\b(?:FATAL|PANIC|error):\s")


def log_path(home: Path) -> Path:
    """The path of the log of this home directory's server."""
    return home / "postgres.log"


def open_log(home: Path) -> int:
    """Empty the log for a new supervisor and its server, and return it as a file descriptor. Removes older parts.

    Raises OSError.
    """
    _older(home).unlink(missing_ok=True)
    # The file is emptied, not replaced: a server that has outlived its supervisor still writes to it.
    log = os.open(log_path(home), os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND, 0o600)
    os.fchmod(log, 0o600)
    return log


def limit_log(home: Path) -> None:
    """Move the log's content aside once it is large. Lines that are written in that moment are lost."""
    log = log_path(home)
    try:
        if log.stat().st_size < MOST_BYTES:
            return
        new = _older(home).with_suffix(".new")
        with contextlib.suppress(OSError):  # for example a full disk: emptying the log makes room
            with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                file.write(log.read_bytes())
            new.rename(_older(home))
        os.truncate(log, 0)
    except OSError:
        return  # the log was removed; the server goes on


def failure_reason(home: Path) -> str:
    """Why the server did not start, according to its log."""
    try:
        lines = log_path(home).read_text(errors="replace").splitlines()
    except OSError:
        return "no log"
    said = [line for line in lines if line.strip() and line != GIVEN_UP]
    reasons = [line for line in said if _REASON.search(line)]
    return next(reversed(reasons or said), "no reason was given")


def _older(home: Path) -> Path:
    return home / "postgres.log.1"
