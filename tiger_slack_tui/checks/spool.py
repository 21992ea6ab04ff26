"""Checks of the spool's directory and disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tiger_slack_tui.base.sizes import byte_size
from tiger_slack_tui.checks.check import Check, CheckState


def check_spool(place: Path, limit: int) -> Iterator[Check]:
    """Check that files can be made durable in the directory, and that its disk has room for `limit` bytes.

    Where it is missing, the directory is checked in which a run would make it. Blocks as long as the disk takes.
    """
    try:
        existing = next(path for path in (place, *place.parents) if path.exists())
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"doctor")
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(existing).free
    except OSError as error:
        fix = "Set TIGER_SLACK_HOME to a directory that this user can write to."
        yield Check("spool", CheckState.FAILED, f"cannot be written to: {error.strerror}", fix)
        return
    waiting = sum(map(_size, place.glob("*.segment")))
    if free < limit:
        fix = "Free space on the disk, or lower TIGER_SLACK_SPOOL_MIB."
        room = f"{byte_size(free)} free on the disk, less than the spool's limit"
        yield Check("spool", CheckState.WARNING, room, fix)
    else:
        kept = byte_size(waiting) if waiting else "empty"
        yield Check("spool", CheckState.OK, f"{kept}, {byte_size(free)} free on the disk")


def _size(segment: Path) -> int:
    """The bytes of a segment; 0 if a running instance has deleted it meanwhile."""
    try:
        return segment.stat().st_size
    except OSError:
        return 0
