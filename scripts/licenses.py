"""Writes docs/licenses.md, the licences of all packages that an installation brings: python scripts/licenses.py"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "licenses.md"
_INTRODUCTION = """\
# Licences

The packages that `requirements/runtime.txt` installs, and what their metadata says of their licence. `just licenses`
makes this page; a test compares the versions. tiger-slack-tui itself is under [Apache-2.0](../LICENSE).

| Package | Version | Licence |
|---|---|---|
"""
_ELSEWHERE = {"httpx2-jsfetch": "only in browsers", "pywin32": "PSF, only on Windows"}
"""Packages of other systems, which are not installed where this runs."""


def locked() -> list[tuple[str, str]]:
    """Name and version of each package in requirements/runtime.txt."""
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    return re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE)


def license_of(package: str) -> str:
    """The licence: the expression in SPDX, the classifiers, or the first line of the text."""
    try:
        found = metadata(package)
    except PackageNotFoundError:
        return _ELSEWHERE[package]
    if expression := found.get("License-Expression"):
        return expression
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in found.get_all("Classifier") or ()
        if each.startswith("License :: ") and not each.endswith("OSI Approved")
    ]
    text = (found.get("License") or "").strip()
    return ", ".join(classifiers) or text.partition("\n")[0]


def page() -> str:
    """The whole page. The packages of requirements/dev.txt must be installed."""
    rows = (f"| {name} | {version} | {license_of(name)} |\n" for name, version in locked())
    return _INTRODUCTION + "".join(rows)


if __name__ == "__main__":
    TARGET.write_text(page())
