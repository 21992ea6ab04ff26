"""The segments in the spool's directory, and their owners. Everything here blocks and must run in a thread.

A segment belongs to the process that holds its lock (flock). When the process dies, the kernel frees the lock, and
another process takes the segment over.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tiger_slack_tui.base.errors import SpoolFull
from tiger_slack_tui.ingest.spool.file_system import FileSystem, os_reason
from tiger_slack_tui.ingest.spool.frames import SegmentContent, SpoolFrame, decode_frame, scan

SUFFIX = ".segment"
DAMAGED = ".damaged"
_BLOCK = 4096
_LARGEST = 256 << 20
"""A file that is larger than this and than the spool's limit is not read: this program did not write it."""
_MOST_LEFTOVERS = 16
OTHER_VERSION = "another version of the program wrote parts of it; they wait for that version"
"""The reason why a segment with unknown frames is kept."""


@dataclass(slots=True, eq=False)
class Segment:
    """A locked file and its frames that are not drained. Only the spool's event loop changes it."""

    path: Path
    file: int
    size: int = 0
    frames: deque[SpoolFrame] = field(default_factory=deque)
    unread: list[SpoolFrame] = field(default_factory=list)
    """Frames that could not be read or are postponed. They are retried."""
    drained: set[int] = field(default_factory=set)
    """Offsets of the frames that are in the database."""
    is_damaged: bool = False
    unreadable: str | None = None
    """Why parts of it could not be read."""
    postponed: str | None = None
    """Why some of the frames in `unread` are postponed."""
    kept: str | None = None
    """Why the file is kept after it is drained."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing in the file is needed any more, so that it can be deleted."""
        return not (self.frames or self.unread or self.unreadable or self.kept)


@dataclass(slots=True)
class TakeOver:
    """The result of `SegmentDirectory.take_over`."""

    taken: list[tuple[Segment, int]] = field(default_factory=list)
    """Segments that this process has taken over, each with its number of torn frames."""
    refused: dict[str, str] = field(default_factory=dict)
    """Segments that cannot be used, by name, and why."""
    names: set[str] = field(default_factory=set)
    """Names of all segments in the directory."""
    damaged: int = 0
    """Number of files named *.damaged."""


class SegmentDirectory:
    """Creates, writes, takes over and deletes segments. For one call at a time. Methods raise OSError."""

    def __init__(self, path: Path, *, limit: int, files: FileSystem) -> None:
        self.path = path
        self._limit = limit
        self._files = files
        self._leftovers: set[Path] = set()

    def prepare(self) -> None:
        """Create the directory, and test that it can be written. Raises SpoolFull, too."""
        self._files.make_directory(self.path)
        self._check_room(1)
        path, file = self._create()
        try:
            self._write(file, b"\0", 0)
        finally:
            self._discard(path, file)

    def append(self, segment: Segment | None, frame: bytes) -> Segment:
        """Write the frame durably at the end of the segment, or into a new segment if it is None.

        Returns the segment; the caller adds the frame to it. Raises SpoolFull, or OSError if the disk refuses. After
        an OSError a new segment is removed, and an existing one must not be written again, because the content of the
        disk after its end is unknown.
        """
        self._check_room(len(frame))
        if segment is not None:
            self._write(segment.file, frame, segment.size)
            return segment
        path, file = self._create()
        try:
            self._files.sync_directory(self.path)
            self._write(file, frame, 0)
        except OSError:
            self._discard(path, file)
            raise
        return Segment(path, file)

    def read(self, segment: Segment, frame: SpoolFrame) -> bytes:
        """The bytes of the frame."""
        return self._files.read(segment.file, frame.size, frame.offset)

    def read_again(self, segment: Segment) -> SegmentContent:
        """Read the segment again."""
        return self._content(segment.file)

    def retire(self, segment: Segment) -> None:
        """Delete the segment, or rename it to *.damaged, and close it. After an OSError it is unchanged."""
        if segment.is_damaged:
            self._files.rename(segment.path, segment.path.with_suffix(DAMAGED))
        else:
            try:
                self._files.remove(segment.path)
            except OSError:
                # The next process does not drain an empty file again.
                with contextlib.suppress(OSError):
                    self._files.truncate(segment.file, 0)
                raise
        self._close(segment.file)
        # A file that reappears after a crash is drained again, which is harmless.
        with contextlib.suppress(OSError):
            self._files.sync_directory(self.path)

    def release(self, segment: Segment) -> None:
        """Close the segment, so that another process can take it over."""
        self._close(segment.file)

    def take_over(self, known: Collection[str]) -> TakeOver:
        """Lock and read the segments that no process holds, except those with `known` names."""
        found = TakeOver()
        try:
            listed = self._files.list(self.path)
        except FileNotFoundError:  # the directory was deleted
            self._files.make_directory(self.path)
            return found
        found.damaged = sum(name.endswith(DAMAGED) for name, _ in listed)
        listed = sorted(each for each in listed if each[0].endswith(SUFFIX))
        found.names = {name for name, _ in listed}
        for name, size in listed:
            if name in known:
                continue
            try:
                if size > max(self._limit, _LARGEST):
                    found.refused[name] = "the file is too large"
                    continue
                taken = self._take(self.path / name)
            except OSError as error:
                found.refused[name] = os_reason(error)
                continue
            if taken is not None:
                found.taken.append(taken)
        return found

    def _take(self, path: Path) -> tuple[Segment, int] | None:
        file = self._claim(path)
        if file is None:
            return None
        try:
            content = self._content(file)
            size = self._files.size(file)
        except OSError:
            self._close(file)
            raise
        segment = Segment(path, file, size, deque(content.frames), is_damaged=content.is_damaged)
        segment.unreadable = content.unreadable
        if content.other_version:
            segment.kept = OTHER_VERSION
        return segment, content.torn

    def _claim(self, path: Path) -> int | None:
        """Open and lock the file. Returns None if another process holds it, or if it was deleted meanwhile."""
        try:
            file = self._files.open(path)
        except FileNotFoundError:
            return None
        try:
            self._files.lock(file)
            if self._files.is_at(file, path):
                return file
        except BlockingIOError:
            pass
        except OSError:
            self._close(file)
            raise
        self._close(file)
        return None

    def _content(self, file: int) -> SegmentContent:
        """Find the frames of the file. If some blocks cannot be read, those in the other blocks."""
        size = self._files.size(file)
        try:
            return scan(self._files.read(file, size, 0))
        except OSError as error:
            reason = os_reason(error)
        blocks = []
        for offset in range(0, size, _BLOCK):
            length = min(_BLOCK, size - offset)
            try:
                blocks.append(self._files.read(file, length, offset).ljust(length, b"\0"))
            except OSError:
                blocks.append(bytes(length))
        content = scan(b"".join(blocks))
        # The parts that cannot be read are unknown, so they count neither as torn nor as damaged.
        content.torn, content.is_damaged, content.unreadable = 0, False, reason
        return content

    def _create(self) -> tuple[Path, int]:
        """Create and lock a file. No other process can choose its name, even with the same pid."""
        self._delete_leftovers()
        while True:
            path = self.path / f"{time.time_ns():020d}-{secrets.token_hex(8)}{SUFFIX}"
            try:
                file = self._files.create(path)
            except FileExistsError:
                continue
            except FileNotFoundError:  # the directory was deleted
                self._files.make_directory(self.path)
                file = self._files.create(path)
            try:
                self._files.lock(file)
                if self._files.is_at(file, path):
                    return path, file
            except BlockingIOError:
                pass
            except OSError:
                self._discard(path, file)
                raise
            self._close(file)  # another process has taken over the empty file

    def _write(self, file: int, data: bytes, offset: int) -> None:
        try:
            self._files.write(file, data, offset)
            self._files.sync(file)
        except OSError:
            with contextlib.suppress(OSError):
                self._files.truncate(file, offset)
            raise

    def _discard(self, path: Path, file: int) -> None:
        """Delete a file without acknowledged events."""
        try:
            self._files.remove(path)
        except OSError:
            self._leftovers.add(path)
        self._close(file)

    def _delete_leftovers(self) -> None:
        """Delete files that could not be deleted before. Raises OSError if too many are left."""
        for path in tuple(self._leftovers):
            try:
                self._files.remove(path)
            except OSError:
                if len(self._leftovers) >= _MOST_LEFTOVERS:
                    raise
            else:
                self._leftovers.discard(path)

    def _check_room(self, size: int) -> None:
        """Raise SpoolFull if `size` more bytes exceed the limit. Files of other processes count, too."""
        try:
            used = sum(each for _, each in self._files.list(self.path))
        except FileNotFoundError:
            used = 0
        if used + size > self._limit:
            raise SpoolFull(
                f"The spool {self.path} is full ({self._limit >> 20} MiB).",
                hint="Bring the database back, or raise TIGER_SLACK_SPOOL_MIB.",
            )

    def _close(self, file: int) -> None:
        # Linux frees the descriptor even where close() reports an error.
        with contextlib.suppress(OSError):
            self._files.close(file)


def peek(directory: Path) -> Iterator[bytes]:
    """Yield the records in the directory, the oldest first, whichever process holds them. Some may be drained.

    Locks and changes nothing. Skips what cannot be read.
    """
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        with contextlib.suppress(OSError):  # it was drained and deleted meanwhile
            data = path.read_bytes()
            for frame in scan(data).frames:
                yield from decode_frame(data, frame.offset) or ()
