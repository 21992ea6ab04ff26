"""Names of files and folders as text that can be stored, shown and typed, whatever their bytes are."""

from __future__ import annotations

import os
from pathlib import Path


def from_bytes(name: bytes) -> str:
    """The name as text. If it is not UTF-8, each byte that is not, and each %, becomes %XX."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        text = name.replace(b"%", b"%25").decode(errors="surrogateescape")
        return "".join(_escaped(c) if "\udc80" <= c <= "\udcff" else c for c in text)


def from_path(path: str | Path) -> str:
    """The path as text, as `from_bytes`."""
    return from_bytes(os.fsencode(path))


def is_possible(path: Path) -> bool:
    """Whether the system can open such a path: it has no NUL, and only characters of the system's encoding."""
    try:
        return b"\0" not in os.fsencode(path)
    except ValueError:
        return False


def shown(name: str) -> str:
    """The name for one line of a terminal or log: each character that is not printable becomes %XX."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else _escaped(c) for c in name)


def _escaped(character: str) -> str:
    # JSON can contain surrogates that stand for no byte.
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"%{byte:02X}" for byte in character.encode(errors=errors))
