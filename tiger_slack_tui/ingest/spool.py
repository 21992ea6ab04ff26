"""Keeps events on disk while the database cannot take them.

The directory holds segments: files of frames, each frame one `append`. A segment belongs to whoever holds its
lock (flock), which the kernel frees when a process dies; then the next one takes it over. A segment is deleted
once all of its frames are in the database, so a frame can be drained twice, but is never lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import logging
import os
import struct
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from tiger_slack_tui.errors import SpoolError, SpoolFull

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# A frame is a marker, the length of its content and the content's crc32; the content is when the oldest record
# was received, the number of records, the length of each, and the records.
_HEADER = struct.Struct(">4sII")
_CONTENT = struct.Struct(">dI")
_MARKER = b"TSS1"
_SUFFIX = ".segment"
_SCAN_SECONDS = 2.0
"""How often segments of dead processes are looked for."""


@dataclass(frozen=True, slots=True)
class _Frame:
    offset: int
    size: int
    count: int
    oldest: float


@dataclass(slots=True)
class _Segment:
    """A locked file and the frames in it that still wait."""

    path: Path
    file: int
    size: int = 0
    frames: deque[_Frame] = field(default_factory=deque)
    sealed: bool = False
    """Takes no more frames."""
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """What one `append` wrote."""

    records: list[bytes]
    segment: _Segment = field(repr=False)
    frame: _Frame = field(repr=False)


class Spool:
    """A queue on disk, in `directory`, of at most `limit_bytes` together with all others that use it.

    Made for one writer and one reader in one event loop. `open` first.
    """

    def __init__(
        self, directory: Path, *, limit_bytes: int = 1 << 30, segment_bytes: int = 4 << 20
    ) -> None:
        self._directory = directory
        self._limit = limit_bytes
        self._segment_bytes = segment_bytes
        self._segments: deque[_Segment] = deque()
        self._written = asyncio.Event()
        self._files = asyncio.Lock()  # one at a time changes files and the list of segments
        self._names = (f"{time.time_ns():020d}-{os.getpid()}-{n}" for n in itertools.count())
        self.torn = 0
        """Unfinished frames at the end of a segment; nobody was told that they were durable."""
        self.damaged = 0
        """Segments set aside as *.damaged, because a part of them could not be read."""

    @property
    def depth(self) -> int:
        """Records that wait."""
        return sum(frame.count for segment in self._segments for frame in segment.frames)

    @property
    def size(self) -> int:
        """Size of the segments that wait here."""
        return sum(segment.size for segment in self._segments)

    @property
    def oldest(self) -> float | None:
        """When the oldest waiting record was received, in seconds since 1970; None where none waits."""
        times = (frame.oldest for segment in self._segments for frame in segment.frames)
        return min(times, default=None)

    def open(self) -> None:
        """Make the directory, and take over what dead processes left. Raises SpoolError where it takes no writes."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe = self._directory / f".probe-{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()
            self._take_over()
        except OSError as error:
            raise SpoolError(
                f"The spool {self._directory} takes no writes: {error.strerror}",
                hint="Make it writable, or set TIGER_SLACK_HOME to a directory that is.",
            ) from None

    def close(self) -> None:
        """Give up the segments; whatever waits in them is taken over by the next process."""
        for segment in self._segments:
            os.close(segment.file)
        self._segments.clear()

    async def append(self, records: Sequence[bytes], *, oldest: float) -> None:
        """Write the records durably: when this returns, they outlive a crash of process and machine.

        `oldest` is when the first of them was received. Raises SpoolFull where the limit is reached and
        SpoolError where the disk refuses; then none of them counts as written. One call at a time.
        """
        frame = _encode(records, oldest)
        async with self._files:
            # The thread cannot be stopped, so a cancelled append still waits for its end.
            segment = await _in_thread(self._append, frame)
            segment.frames.append(_Frame(segment.size, len(frame), len(records), oldest))
            segment.size += len(frame)
        self._written.set()

    async def read(self) -> SpooledBatch | None:
        """The oldest batch that waits; the same again until it is `done`. None where none waits."""
        while segment := next((s for s in self._segments if s.frames), None):
            frame = segment.frames[0]
            data = await _in_thread(os.pread, segment.file, frame.size, frame.offset)
            if _is_whole(data):
                return SpooledBatch(_records(data, frame.count), segment, frame)
            log.error(
                "a frame of the spool cannot be read any more; its segment is kept as *.damaged"
            )
            segment.damaged = True  # it was whole when it was written, or taken over
            await self.done(SpooledBatch([], segment, frame))
        return None

    async def done(self, batch: SpooledBatch) -> None:
        """Forget a batch that is in the database; its segment is deleted with the last one."""
        segment = batch.segment
        async with self._files:
            segment.frames.popleft()
            if not segment.frames:
                self._segments.remove(segment)
                await _in_thread(self._retire, segment)

    async def wait(self) -> None:
        """Wait until there is something to `read`."""
        while not any(segment.frames for segment in self._segments):
            self._written.clear()
            try:
                async with asyncio.timeout(_SCAN_SECONDS):
                    await self._written.wait()
            except TimeoutError:
                async with self._files:
                    await _in_thread(self._take_over)

    def _append(self, frame: bytes) -> _Segment:
        """Write the frame behind the newest segment's end; the caller takes it into account."""
        try:
            if self._used() + len(frame) > self._limit:
                raise SpoolFull(
                    f"The spool {self._directory} is full ({self._limit >> 20} MiB).",
                    hint="Bring the database back, or raise TIGER_SLACK_SPOOL_MIB.",
                )
            segment = self._segments[-1] if self._segments else None
            if segment is None or segment.sealed or segment.size >= self._segment_bytes:
                segment = self._create()
            try:
                _write_all(segment.file, frame, segment.size)
                os.fdatasync(segment.file)
            except OSError:
                # What the disk holds behind the end is unknown now, so nothing more is written there.
                segment.sealed = True
                os.ftruncate(segment.file, segment.size)
                raise
        except OSError as error:
            raise SpoolError(
                f"The spool {self._directory} cannot be written: {error.strerror}"
            ) from None
        return segment

    def _create(self) -> _Segment:
        while True:
            path = self._directory / (next(self._names) + _SUFFIX)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            file = _claim(path)
            if file is not None:  # another process can have taken the empty file for a dead one's
                break
        self._sync_directory()
        segment = _Segment(path, file)
        self._segments.append(segment)
        return segment

    def _retire(self, segment: _Segment) -> None:
        if segment.damaged:
            self.damaged += 1
            segment.path.rename(segment.path.with_suffix(".damaged"))
        else:
            segment.path.unlink(missing_ok=True)
        os.close(segment.file)
        self._sync_directory()

    def _take_over(self) -> None:
        """Claim the segments that nobody holds: their processes are dead."""
        mine = {segment.path for segment in self._segments}
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            if path in mine or (file := _claim(path)) is None:
                continue
            data = path.read_bytes()
            frames, torn, damaged = _scan(data)
            self.torn += torn
            segment = _Segment(path, file, len(data), deque(frames), sealed=True, damaged=damaged)
            log.warning(
                "took over a segment of the spool",
                extra={"records": sum(f.count for f in frames), "torn": torn, "damaged": damaged},
            )
            if frames:
                self._segments.appendleft(segment)
            else:
                self._retire(segment)
        self._segments = deque(sorted(self._segments, key=lambda segment: segment.path.name))

    def _used(self) -> int:
        """Bytes in the directory, also those of other processes."""
        total = 0
        with os.scandir(self._directory) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    total += entry.stat().st_size
        return total

    def _sync_directory(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def peek(directory: Path) -> Iterator[bytes]:
    """The records that wait in the directory, whoever holds them, the oldest first; some may be drained already.

    Changes and locks nothing. What cannot be read is left out.
    """
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        with contextlib.suppress(OSError):  # drained and deleted meanwhile
            data = path.read_bytes()
            for frame in _scan(data)[0]:
                yield from _records(data[frame.offset : frame.offset + frame.size], frame.count)


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run the function in a thread and wait for its end, even when cancelled meanwhile."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def _claim(path: Path) -> int | None:
    """The locked file; None where another holds it, or where it is gone by the time that it is locked."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino == os.fstat(file).st_ino:
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(file)
    return None


def _write_all(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _scan(data: bytes) -> tuple[list[_Frame], int, bool]:
    """The whole frames of a segment, how many unfinished ones end it, and whether other parts are unreadable."""
    frames: list[_Frame] = []
    offset, damaged = 0, False
    while offset < len(data):
        if _is_whole(data, offset):
            _, length, _ = _HEADER.unpack_from(data, offset)
            oldest, count = _CONTENT.unpack_from(data, offset + _HEADER.size)
            frame = _Frame(offset, _HEADER.size + length, count, oldest)
            frames.append(frame)
            offset += frame.size
            continue
        following = next((at for at in _markers(data, offset + 1) if _is_whole(data, at)), None)
        if following is None:
            return frames, 1, damaged or not _is_torn(data, offset)
        offset, damaged = following, True
    return frames, 0, damaged


def _markers(data: bytes, start: int) -> Iterator[int]:
    while (start := data.find(_MARKER, start)) >= 0:
        yield start
        start += 1


def _is_whole(data: bytes, offset: int = 0) -> bool:
    if len(data) - offset < _HEADER.size:
        return False
    marker, length, crc = _HEADER.unpack_from(data, offset)
    begin = offset + _HEADER.size
    if marker != _MARKER or length < _CONTENT.size or begin + length > len(data):
        return False
    return zlib.crc32(memoryview(data)[begin : begin + length]) == int(crc)


def _is_torn(data: bytes, offset: int) -> bool:
    """Whether the rest looks like an append that was cut off: too short, or filled up with zeros."""
    rest = memoryview(data)[offset:]
    if len(rest) < _HEADER.size or not any(rest[-64:]):
        return True
    marker, length, _ = _HEADER.unpack_from(rest)
    return marker == _MARKER and _HEADER.size + int(length) > len(rest)


def _encode(records: Sequence[bytes], oldest: float) -> bytes:
    lengths = struct.pack(f">{len(records)}I", *map(len, records))
    content = b"".join([_CONTENT.pack(oldest, len(records)), lengths, *records])
    return _HEADER.pack(_MARKER, len(content), zlib.crc32(content)) + content


def _records(frame: bytes, count: int) -> list[bytes]:
    begin = _HEADER.size + _CONTENT.size
    lengths = struct.unpack_from(f">{count}I", frame, begin)
    ends = itertools.accumulate(lengths, initial=begin + 4 * count)
    return [frame[begin:end] for begin, end in itertools.pairwise(ends)]
