"""The spool's file format. A segment is a sequence of frames; a frame contains the records of one `append`.

A frame consists of a marker, the length of its content, the crc32 of the content, and the content. The content
consists of the time of receipt of the oldest record, the number of records, the length of each, and the records. The
marker contains the version of the format: change it with the format.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_HEADER = struct.Struct(">4sII")
_CONTENT = struct.Struct(">dI")
_MARKER = b"TSS1"
_ANY_VERSION = b"TSS"


@dataclass(frozen=True, slots=True)
class SpoolFrame:
    """The place of a frame in its segment, and a summary of its content."""

    offset: int
    size: int
    count: int
    """Number of records."""
    oldest: float
    """Time of receipt of the oldest record, in seconds since 1970."""


@dataclass(slots=True)
class SegmentContent:
    """The result of reading a segment."""

    frames: list[SpoolFrame] = field(default_factory=list)
    """The whole frames, in order."""
    torn: int = 0
    """1 if the segment ends with an unfinished frame. Its records were never acknowledged."""
    is_damaged: bool = False
    """Whether other parts have changed since they were written."""
    other_version: bool = False
    """Whether parts have the format of another version of the program."""
    unreadable: str | None = None
    """The operating system's error if parts cannot be read."""


def encode_frame(records: Sequence[bytes], oldest: float) -> bytes:
    """A frame with the records. `oldest` is when the first of them was received, in seconds since 1970."""
    lengths = struct.pack(f">{len(records)}I", *map(len, records))
    content = b"".join([_CONTENT.pack(oldest, len(records)), lengths, *records])
    return _HEADER.pack(_MARKER, len(content), zlib.crc32(content)) + content


def decode_frame(data: bytes, offset: int = 0) -> list[bytes] | None:
    """The records of the frame at the offset; None if there is no complete frame."""
    if not is_whole(data, offset):
        return None
    begin = offset + _HEADER.size
    _, count = _CONTENT.unpack_from(data, begin)
    lengths = struct.unpack_from(f">{count}I", data, begin + _CONTENT.size)
    ends = itertools.accumulate(lengths, initial=begin + _CONTENT.size + 4 * count)
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def is_whole(data: bytes, offset: int = 0) -> bool:
    """Whether a complete, unchanged frame of this version begins at the offset."""
    if len(data) - offset < _HEADER.size:
        return False
    marker, length, crc = _HEADER.unpack_from(data, offset)
    begin = offset + _HEADER.size
    if marker != _MARKER or length < _CONTENT.size or begin + length > len(data):
        return False
    if zlib.crc32(memoryview(data)[begin : begin + length]) != int(crc):
        return False
    _, count = _CONTENT.unpack_from(data, begin)
    rest = int(length) - _CONTENT.size - 4 * int(count)
    if rest < 0:
        return False
    return int(sum(struct.unpack_from(f">{count}I", data, begin + _CONTENT.size))) == rest


def scan(data: bytes) -> SegmentContent:
    """Find the frames of a segment with these bytes. Never raises."""
    found = SegmentContent()
    offset = 0
    while offset < len(data):
        if is_whole(data, offset):
            _, length, _ = _HEADER.unpack_from(data, offset)
            oldest, count = _CONTENT.unpack_from(data, offset + _HEADER.size)
            found.frames.append(SpoolFrame(offset, _HEADER.size + length, count, oldest))
            offset += _HEADER.size + length
            continue
        if _is_other_version(data[offset : offset + len(_MARKER)]):
            found.other_version = True
        following = next((at for at in _markers(data, offset + 1) if is_whole(data, at)), None)
        if following is None:
            if _is_torn(data, offset):
                found.torn = 1
            elif not found.other_version:
                found.torn, found.is_damaged = 1, True
            return found
        found.is_damaged = found.is_damaged or not found.other_version
        offset = following
    return found


def _markers(data: bytes, start: int) -> Iterator[int]:
    while (start := data.find(_MARKER, start)) >= 0:
        yield start
        start += 1


def _is_other_version(marker: bytes) -> bool:
    return marker != _MARKER and marker.startswith(_ANY_VERSION) and marker[3:].isalnum()


def _is_torn(data: bytes, offset: int) -> bool:
    """Whether the rest is an append that was cut off: it is too short, or ends with zeros."""
    rest = memoryview(data)[offset:]
    if len(rest) < _HEADER.size or not any(rest[-64:]):
        return True
    marker, length, _ = _HEADER.unpack_from(rest)
    return marker == _MARKER and _HEADER.size + int(length) > len(rest)
