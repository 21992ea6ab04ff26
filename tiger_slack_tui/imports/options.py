"""The options of an import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.archive.plan import ImportSelection


@dataclass(frozen=True)
class ImportOptions:
    """What to import, and how. An unfinished import is continued by one with the same `as_given`."""

    selection: ImportSelection = field(default_factory=ImportSelection)
    as_given: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 2
    dry_run: bool = False
    restart: bool = False
    compress: bool = True
    silent_seconds: float = 60.0
    """How long a worker may report nothing before it is killed. It reports at least 12 times as often."""
    limits: ArchiveLimits = field(default_factory=lambda: ArchiveLimits(500, 1 << 40))
