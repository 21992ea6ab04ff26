"""A small export with damaged files."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.export import Size, write_export

MESSAGES, FILES = 6000, 200
BROKEN = "channel-01/2023-01-03.json"
ODD = "channel-02/2023-01-04.json"
NAMELESS = "old-ops"
BAD = 3
"""Two records of ODD, and BROKEN, which is cut off in the middle."""


def write_damaged_export(root: Path) -> Path:
    """Write 40 channels of 5 days each, with a file that is cut off, bad records and a folder without a channel."""
    write_export(root, Size(MESSAGES, FILES))
    broken = (root / BROKEN).read_bytes()
    (root / BROKEN).write_bytes(broken[: len(broken) // 2])
    records = json.loads((root / ODD).read_bytes())
    records[1:3] = [{"type": "message", "ts": "nonsense", "text": "[/foo]"}, 5]
    (root / ODD).write_text(json.dumps(records))
    (root / NAMELESS).mkdir()
    message = {"type": "message", "user": "U00000001", "ts": "1600000000.000100", "text": "x"}
    (root / NAMELESS / "2020-09-13.json").write_text(json.dumps([message]))
    return root


def repair(root: Path) -> None:
    """Replace the broken file by a sound one with fewer records."""
    (root / BROKEN).write_text(
        json.dumps([{"type": "message", "user": "U1", "ts": "1672740000.000100", "text": "x"}])
    )
