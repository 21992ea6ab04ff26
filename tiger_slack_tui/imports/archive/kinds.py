"""Tells from its first bytes what a file is that cannot be imported."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, NamedTuple

from tiger_slack_tui.base.sizes import byte_size

_HEAD = 512
_END = 1 << 16
"""A ZIP ends with its directory's end record and a comment of at most so many bytes."""
_UNPACK = "Unpack it, and import the folder or the ZIP that is in it."
_AGAIN = "Download it again."


class FileKind(NamedTuple):
    """What a file is, to complete the sentence "It is …", and what to do."""

    about: str
    hint: str


_KINDS = (
    (0, b"\x1f\x8b", FileKind("a gzip file", _UNPACK)),
    (0, b"BZh", FileKind("a bzip2 file", _UNPACK)),
    (0, b"\xfd7zXZ", FileKind("an xz file", _UNPACK)),
    (0, b"\x28\xb5\x2f\xfd", FileKind("a zstd file", _UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", _UNPACK)),
    (0, b"Rar!", FileKind("a RAR archive", _UNPACK)),
    (257, b"ustar", FileKind("a tar archive", _UNPACK)),
    (0, b"%PDF", FileKind("a PDF", "Give the ZIP that Slack sent, or its folder.")),
    (
        0,
        b"SQLite format 3\0",
        FileKind(
            "an SQLite database",
            "Rename it so that its name ends with .sqlite, if Slackdump wrote it.",
        ),
    ),
)
_LOCAL_HEADER = struct.Struct("<4s2xH10xLLHH")
"""Signature, flags, packed and unpacked size, lengths of the name and the extra field: APPNOTE.TXT of ZIP, 4.3.7."""
_SIZES_FOLLOW = 8
"""The flag of a member whose sizes come after it."""


def non_archive_kind(path: Path) -> FileKind:
    """What the file seems to be. Blocks. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head[:4] == b"PK\3\4":
            return _cut_off(file, path.stat().st_size)
    for at, magic, kind in _KINDS:
        if head[at:].startswith(magic):
            return kind
    if not head:
        return FileKind("empty", _AGAIN)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html")):
        return FileKind(
            "a web page, such as a log-in page", "Log in to Slack, and download the export again."
        )
    if start.startswith((b"[", b"{")):
        return FileKind(
            "a JSON file", "Give the folder of the export that it is in, or the whole ZIP."
        )
    if _is_text(head):
        return FileKind("a text file", "Give the ZIP that Slack sent, or its folder.")
    return FileKind("of no kind that is known", f"If the download is not complete: {_AGAIN}")


def _cut_off(file: IO[bytes], size: int) -> FileKind:
    """A ZIP without its directory, which is at the end. `file` is open at any place."""
    at = 0
    while True:
        file.seek(at)
        header = file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\3\4":
            break
        _, flags, packed, _, name, extra = _LOCAL_HEADER.unpack(header)
        if flags & _SIZES_FOLLOW or packed == 0xFFFFFFFF:
            break
        at += _LOCAL_HEADER.size + name + extra + packed
    file.seek(max(size - _END, 0))
    if b"PK\5\6" in file.read():
        return FileKind("a damaged ZIP", _AGAIN)
    had = byte_size(size)
    of = f" of at least {byte_size(at)}" if at > size else ""
    return FileKind(
        f"a ZIP that is cut off at {had}{of}", f"The download is not complete. {_AGAIN}"
    )


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not only a character that the end of the head cuts
            return False
        text = head[: error.start].decode()
    return all(c.isprintable() or c in "\t\r\n" for c in text)
