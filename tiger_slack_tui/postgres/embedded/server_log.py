"""The embedded server's log: it holds no data of the tables, is bounded in size, and only we can read it."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

MOST_BYTES = 2_000_000
"""Size at which the log is moved aside. One older part is kept, so both together are twice as large."""
GIVEN_UP = "the server does not stay up"
"""What the supervisor says at last; it is not the reason."""

# A level of `log` leaves out errors and warnings of sessions: even the first line of an error can quote a value
# (invalid input syntax for type numeric: "…"). We get them as the server's clients. What the server itself says of
# its start, stop and crashes is LOG, FATAL or PANIC.
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
"""Settings of the server, which no configuration file of its data directory overrules."""

_REASON = re.compile(r"\b(?:FATAL|PANIC|error):\s")


def log_path(home: Path) -> Path:
    """Where the log of the server of this home directory lies."""
    return home / "postgres.log"


def open_log(home: Path) -> int:
    """An empty log for a new supervisor and its server, as a file descriptor. Removes what older ones have written.

    Raises OSError.
    """
    _older(home).unlink(missing_ok=True)
    # Emptied and not replaced: a server that outlived its supervisor still writes to this file.
    log = os.open(log_path(home), os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND, 0o600)
    os.fchmod(log, 0o600)
    return log


def limit_log(home: Path) -> None:
    """Move the log's content aside once there is much of it. Lines that come in that moment are lost."""
    log = log_path(home)
    try:
        if log.stat().st_size < MOST_BYTES:
            return
        new = _older(home).with_suffix(".new")
        with contextlib.suppress(OSError):  # a full disk, which is one reason more to make room
            with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                file.write(log.read_bytes())
            new.rename(_older(home))
        os.truncate(log, 0)
    except OSError:
        return  # somebody removed it; the server goes on


def failure_reason(home: Path) -> str:
    """Why the server did not start, as the log says it."""
    try:
        lines = log_path(home).read_text(errors="replace").splitlines()
    except OSError:
        return "no log"
    said = [line for line in lines if line.strip() and line != GIVEN_UP]
    reasons = [line for line in said if _REASON.search(line)]
    return next(reversed(reasons or said), "no reason was given")


def _older(home: Path) -> Path:
    return home / "postgres.log.1"
