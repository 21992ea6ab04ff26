"""The spool: a queue on disk for events that the database cannot take now.

The directory contains segments, which are files of frames; each `append` writes one frame. A segment belongs to the
process that holds its lock. When the process dies, another one takes the segment over. A segment is deleted when all
of its frames are in the database, so a frame can be drained twice, but is never lost.

Threads make the calls to the disk, one at a time. Only the event loop changes the spool's state in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.errors import SpoolError, SpoolFull
from tiger_slack_tui.base.text import visible
from tiger_slack_tui.ingest.spool.file_system import FileSystem, os_reason
from tiger_slack_tui.ingest.spool.frames import (
    SegmentContent,
    SpoolFrame,
    decode_frame,
    encode_frame,
)
from tiger_slack_tui.ingest.spool.segments import (
    OTHER_VERSION,
    Segment,
    SegmentDirectory,
    TakeOver,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

_CLOSE_SECONDS = 0.5
_RETRY_FIRST = 2.0
_RETRY_MOST = 300.0
_SHOWN = 5
"""Most files that `problems` names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """The records of one `append`."""

    records: list[bytes]
    segment: Segment = field(repr=False)
    frame: SpoolFrame = field(repr=False)


@dataclass(slots=True)
class _Retry:
    """Why a file cannot be used now, and when it is retried."""

    reason: str
    failures: int
    again_at: float
    segment: Segment | None = None
    """None if the file could not be taken over."""


class Spool:
    """A queue on disk in `directory`. All processes that use the directory share the limit of `limit_bytes`.

    For one writer and one reader in one event loop. Call `open` first. Only `append` raises. Any other failure of the
    disk is logged once, counted in `errors`, shown in `problems`, and retried after pauses of 2 s to 5 min.
    """

    def __init__(
        self,
        directory: Path,
        *,
        limit_bytes: int = 1 << 30,
        segment_bytes: int = 4 << 20,
        scan_seconds: float = 2.0,
        files: FileSystem | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`scan_seconds` is the pause after which an idle reader looks for segments of dead processes again."""
        self._directory = directory
        self._disk = SegmentDirectory(directory, limit=limit_bytes, files=files or FileSystem())
        self._segment_bytes = segment_bytes
        self._scan_seconds = scan_seconds
        self._clock = clock or SystemClock()
        self._segments: deque[Segment] = deque()  # each has frames; in reading order
        self._current: Segment | None = None  # the one to append to
        self._retries: dict[str, _Retry] = {}  # by file name
        self._directory_problem: str | None = None
        self._probe_failures, self._probe_at = 0, 0.0
        self.problem: str | None = None
        """Why it takes no events; None if the last try succeeded."""
        self._written = asyncio.Event()
        self._disk_lock = asyncio.Lock()
        self._depth = 0
        self._size = 0
        self.errors = 0
        """Calls to the operating system that failed."""
        self.damaged = 0
        """Files named *.damaged in the directory: parts of them have changed since they were written."""

    @property
    def depth(self) -> int:
        """Number of records in the spool."""
        return self._depth

    @property
    def size(self) -> int:
        """Bytes of the segments with records."""
        return self._size

    @property
    def oldest(self) -> float | None:
        """Time of receipt of the next batch's oldest record, in seconds since 1970; None if the spool is empty."""
        return self._segments[0].frames[0].oldest if self._segments else None

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences about what cannot be used on the disk."""
        found = [self._directory_problem] if self._directory_problem else []
        for name, retry in list(self._retries.items())[:_SHOWN]:
            found.append(visible(f"{self._directory / name}: {retry.reason}"))
        if len(self._retries) > _SHOWN:
            found.append(f"{len(self._retries) - _SHOWN} more files of the spool cannot be used")
        if self.damaged:
            found.append(
                visible(
                    f"{self._directory}: {self.damaged} damaged files were renamed to *.damaged."
                    " Some of their events are lost. Look for gaps, then delete the files"
                )
            )
        return tuple(found)

    async def open(self) -> None:
        """Create the directory, and take over segments of dead processes. Sets `problem` if it cannot be written."""
        await _until_done(self._probe_and_scan(probe=True))

    async def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Release the segments; the next process takes over the events in them.

        Waits for a busy disk for `seconds`. After that, the end of the process releases the segments. It does not
        wait for the disk if the event loop's executor is `DaemonThreads`.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.05)):
                await self._disk_lock.acquire()
            held = {retry.segment for retry in self._retries.values() if retry.segment is not None}
            for segment in held.union(self._segments):
                self._disk.release(segment)
            self._segments.clear()
            self._retries.clear()
            self._current = None
            self._depth = self._size = 0
            self._disk_lock.release()

    async def append(self, records: Sequence[bytes], *, oldest: float) -> None:
        """Write the records durably: when this returns, they survive a crash of the process and of the machine.

        `oldest` is the time of receipt of the first record, in seconds since 1970. Raises SpoolFull if the limit is
        reached, and SpoolError if the disk refuses. Then none of the records counts as written, and `problem` is set.
        One call at a time.
        """
        await _until_done(self._append(encode_frame(records, oldest), len(records), oldest))

    async def _append(self, data: bytes, count: int, oldest: float) -> None:
        async with self._disk_lock:
            current = self._current
            if current is not None and current.size >= self._segment_bytes:
                current = None
            try:
                segment = await asyncio.to_thread(self._disk.append, current, data)
            except SpoolFull as error:
                self.problem = _one_line(error)
                raise
            except OSError as error:
                self._current = None  # its end is unknown, so nothing more is written to it
                raise self._refused(error) from None
            self.problem = None
            if segment is not current:
                self._segments.append(segment)
                self._current = segment
            segment.frames.append(SpoolFrame(segment.size, len(data), count, oldest))
            segment.size += len(data)
            self._depth += count
            self._size += len(data)
        self._written.set()

    def _refused(self, error: OSError) -> SpoolError:
        self.errors += 1
        refused = SpoolError(
            f"The spool {self._directory} cannot be written: {os_reason(error)}.",
            hint="Free some room on its disk or make it writable, or set TIGER_SLACK_HOME to another directory.",
        )
        self.problem = _one_line(refused)
        return refused

    async def read(self) -> SpooledBatch | None:
        """The oldest batch; the same batch until it is `done` or postponed. None if the spool is empty."""
        while self._segments:
            segment = self._segments[0]
            frame = segment.frames[0]
            try:
                data = await _until_done(self._in_thread(self._disk.read, segment, frame))
            except OSError as error:
                self.errors += 1
                segment.unreadable = _unreadable(os_reason(error))
                segment.unread.append(frame)
                await _until_done(self._drop_first_frame(segment))
                continue
            records = decode_frame(data)
            if records is not None:
                return SpooledBatch(records, segment, frame)
            log.error(
                "a frame of the spool has changed on the disk; its segment is kept as *.damaged"
            )
            segment.is_damaged = True  # the frame was complete when it was written or taken over
            await self.done(SpooledBatch([], segment, frame))
        return None

    async def done(self, batch: SpooledBatch, *, keep: str | None = None) -> None:
        """Remove a batch that is in the database. With the last batch of a segment the segment is deleted.

        `keep` is a reason why the database does not have all of the batch. Then the segment stays on the disk, and a
        process that takes it over later drains it again. That is harmless for events that are stored.
        """
        segment = batch.segment
        segment.kept = segment.kept or keep
        segment.drained.add(batch.frame.offset)
        self._depth -= batch.frame.count
        await _until_done(self._drop_first_frame(segment))

    async def postpone(self, batch: SpooledBatch, reason: str) -> None:
        """Read this batch again later, after 2 s; after more failures, after up to 5 min."""
        segment = batch.segment
        segment.postponed = reason
        segment.unread.append(batch.frame)
        await _until_done(self._drop_first_frame(segment))

    async def wait(self) -> None:
        """Wait until there is a batch to `read`. Meanwhile, look for segments of dead processes."""
        while not self._segments:
            self._written.clear()
            try:
                async with asyncio.timeout(self._scan_seconds):
                    await self._written.wait()
            except TimeoutError:
                await _until_done(self._probe_and_scan())

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        async with self._disk_lock:
            return await asyncio.to_thread(call, *arguments)

    async def _drop_first_frame(self, segment: Segment) -> None:
        """Remove the first frame of the segment. After the last one, finish the segment."""
        async with self._disk_lock:
            segment.frames.popleft()
            if not segment.frames:
                self._segments.remove(segment)
                await self._finish(segment)

    async def _finish(self, segment: Segment) -> None:
        """Delete a segment without frames to read. If it must be kept, or cannot be deleted, retry later."""
        self._size -= segment.size
        if self._current is segment:
            self._current = None
        reason = segment.unreadable or segment.postponed or segment.kept
        if segment.is_finished:
            try:
                await asyncio.to_thread(self._disk.retire, segment)
            except OSError as error:
                self.errors += 1
                reason = (
                    f"All its events are stored, but the file cannot be deleted: {os_reason(error)}"
                )
            else:
                self.damaged += segment.is_damaged
                self._retries.pop(segment.path.name, None)
                return
        self._retry_later(segment.path.name, reason or "", segment)

    def _retry_later(self, name: str, reason: str, segment: Segment | None) -> None:
        before = self._retries.get(name)
        if before is None or before.reason != reason:
            log.error("a file of the spool: %s", reason, extra={"file": name})
        failures = 1 + (before.failures if before else 0)
        self._retries[name] = _Retry(reason, failures, self._try_at(failures), segment)

    def _try_at(self, failures: int) -> float:
        """`Clock.elapsed` of the next try after `failures` failures in a row."""
        return self._clock.elapsed() + backoff(failures, first=_RETRY_FIRST, most=_RETRY_MOST)

    async def _probe_and_scan(self, *, probe: bool = False) -> None:
        """Test whether the spool can be written, if that is due, and take over segments of dead processes."""
        async with self._disk_lock:
            if probe or (self.problem is not None and self._probe_at <= self._clock.elapsed()):
                await self._probe()
            await self._scan_directory()

    async def _probe(self) -> None:
        """Test whether the spool takes events. The caller holds the lock."""
        try:
            await asyncio.to_thread(self._disk.prepare)
        except SpoolFull as error:
            self.problem = _one_line(error)
        except OSError as error:
            before = self.problem
            self._refused(error)
            if self.problem != before:
                log.error("%s", self.problem)
        else:
            self.problem, self._probe_failures = None, 0
            return
        self._probe_failures += 1
        self._probe_at = self._try_at(self._probe_failures)

    async def _scan_directory(self) -> None:
        """Take over segments of dead processes, and retry what failed. The caller holds the lock."""
        now = self._clock.elapsed()
        waiting = set(self._segments)
        due = [
            retry.segment
            for retry in self._retries.values()
            if retry.segment and retry.segment not in waiting and retry.again_at <= now
        ]
        for segment in due:
            await self._retry_segment(segment)
        known = {segment.path.name for segment in self._segments}
        known |= {
            name for name, retry in self._retries.items() if retry.segment or retry.again_at > now
        }
        try:
            found = await asyncio.to_thread(self._disk.take_over, known)
        except OSError as error:
            self.errors += 1
            problem = f"The spool {self._directory} cannot be read: {os_reason(error)}"
            if self._directory_problem is None:
                log.error("%s", problem)
            self._directory_problem = problem
        else:
            self._directory_problem = None
            await self._add_segments(found, known)

    async def _add_segments(self, found: TakeOver, known: set[str]) -> None:
        self.damaged = found.damaged
        for name, reason in found.refused.items():
            self.errors += 1
            self._retry_later(
                name,
                f"It cannot be taken over. This is retried, and its events wait: {reason}",
                None,
            )
        for name, retry in tuple(self._retries.items()):
            is_over = name not in known and name not in found.refused
            if retry.segment is None and (is_over or name not in found.names):
                del self._retries[name]
        for segment, torn in found.taken:
            records = sum(frame.count for frame in segment.frames)
            if segment.unreadable is not None:
                self.errors += 1
                segment.unreadable = _unreadable(segment.unreadable)
            log.warning(
                "took over a segment of the spool",
                extra={"records": records, "torn": torn, "damaged": segment.is_damaged},
            )
            self._depth += records
            await self._insert(segment)

    async def _insert(self, segment: Segment) -> None:
        """Add a segment to those to read, in the order of their names. Finish it if it has no frames."""
        self._size += segment.size
        if not segment.frames:
            await self._finish(segment)
            return
        self._segments.append(segment)
        self._segments = deque(sorted(self._segments, key=lambda each: each.path.name))

    async def _retry_segment(self, segment: Segment) -> None:
        """Read again what could not be read or was postponed, or delete what could not be deleted."""
        if segment.postponed is not None and segment.unreadable is None:
            segment.frames.extend(segment.unread)
            segment.unread, segment.postponed = [], None
        elif segment.unreadable is not None:
            try:
                content = await asyncio.to_thread(self._disk.read_again, segment)
            except OSError as error:
                content = SegmentContent(unreadable=os_reason(error))
            missing = {frame.offset for frame in segment.unread}
            segment.unreadable = content.unreadable and _unreadable(content.unreadable)
            if content.other_version:
                segment.kept = OTHER_VERSION
            segment.is_damaged = segment.is_damaged or content.is_damaged
            fresh = [frame for frame in content.frames if frame.offset not in segment.drained]
            self._depth += sum(frame.count for frame in fresh if frame.offset not in missing)
            found = {frame.offset for frame in fresh}
            segment.unread = [frame for frame in segment.unread if frame.offset not in found]
            if content.unreadable is None and segment.unread:
                # The file can be read and the frames are missing, so they have changed on the disk.
                self._depth -= sum(frame.count for frame in segment.unread)
                segment.unread, segment.is_damaged = [], True
            segment.frames.extend(fresh)
            if fresh:
                del self._retries[segment.path.name]
        await self._insert(segment)


async def _until_done(work: Coroutine[Any, Any, T]) -> T:
    """Wait for the work. It also finishes when the caller is cancelled, because a thread cannot be stopped."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()
        raise


def _one_line(error: SpoolError) -> str:
    return " ".join(str(error).split())


def _unreadable(reason: str) -> str:
    return f"Some events cannot be read. They are retried: {reason}"
