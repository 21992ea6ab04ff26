"""Helpers for the tests of the spool."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.faults.clock import ManualClock
from tiger_slack_tui.ingest.spool.spool import Spool


async def opened(directory: Path, **options: Any) -> Spool:
    """An open spool that looks into its directory all the time, by a clock that stands still."""
    spool = Spool(directory, **({"scan_seconds": 0.001, "clock": ManualClock()} | options))
    await spool.open()
    return spool


async def drain(spool: Spool) -> list[bytes]:
    """All records that can be read."""
    records: list[bytes] = []
    while batch := await spool.read():
        records += batch.records
        await spool.done(batch)
    return records


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.segment"))


def descriptors(directory: Path) -> int:
    """How many files below the directory this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith(str(directory))
        except FileNotFoundError:  # the one that lists
            continue
    return found
