"""Prints CHANGELOG.md's text about a version: python scripts/release_notes.py vX.Y.Z

Fails if the package has another version than the tag, or if the changelog has no text about it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def release_notes(tag: str, package_version: str, changelog: str) -> str:
    """The text of the version's section. Raises ValueError."""
    version = tag.removeprefix("v")
    if version != package_version:
        raise ValueError(f"The tag is {tag}, but the package has version {package_version}.")
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$\n(.*?)(?=^## \[|\Z)"
    found = re.search(heading, changelog, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise ValueError(f"CHANGELOG.md has no section “## [{version}] - DATE” with text.")
    return found[1].strip() + "\n"


def main() -> None:
    """Print the notes for the tag of the command line."""
    source = (ROOT / "tiger_slack_tui" / "__init__.py").read_text()
    (version,) = re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    try:
        notes = release_notes(sys.argv[1], version, (ROOT / "CHANGELOG.md").read_text())
    except ValueError as error:
        sys.exit(str(error))
    sys.stdout.write(notes)


if __name__ == "__main__":
    main()
