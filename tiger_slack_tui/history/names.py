"""Names of files and folders as text that can be stored, shown and typed, whatever bytes they are made of."""

from __future__ import annotations


def from_bytes(name: bytes) -> str:
    """The name as text. In one that is not UTF-8, each byte that is not, and each %, stands as %XX."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        text = name.replace(b"%", b"%25").decode(errors="surrogateescape")
        return "".join(_escaped(c) if "\udc80" <= c <= "\udcff" else c for c in text)


def shown(name: str) -> str:
    """The name on one line of a terminal or log: each character that cannot be seen stands as %XX."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else _escaped(c) for c in name)


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogateescape"))
