"""The command line that starts this program again."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def own_command() -> str:
    """How this process was started, for a line to paste: with its whole path, because PATH may not lead to it."""
    script = Path(sys.argv[0])
    if script.stem == "tiger-slack":
        return shlex.quote(str(script.absolute()))
    return f"{shlex.quote(sys.executable)} -m tiger_slack_tui"
