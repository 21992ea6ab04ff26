"""Which version of the program this is, and which commit it was built from."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tiger_slack_tui import __version__

_PACKAGE = Path(__file__).parent.parent


def version_text() -> str:
    """The version, and the commit if it is known: "1.2.3 (commit 0123456789ab)"."""
    commit = _commit()
    return f"{__version__} (commit {commit})" if commit else __version__


def _commit() -> str:
    """The commit that the package was built from, or that the checkout is at; "" if neither is known."""
    try:
        return (_PACKAGE / "commit.txt").read_text().strip()
    except OSError:
        pass
    if not (_PACKAGE.parent / ".git").exists():
        return ""
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    try:
        found = subprocess.run(
            command, cwd=_PACKAGE, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip()
