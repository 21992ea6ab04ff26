"""Keeps events on disk while the database cannot take them.

The directory holds segments: files of frames, each frame one `append`. A segment belongs to the process that holds
its lock; when the process dies, the next one takes it over. A segment is deleted once all of its frames are in the
database, so a frame can be drained twice, but is never lost.

FileSystem are touched in threads, one call at a time. What the spool knows of them is changed on the event loop only.
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
from tiger_slack_tui.ingest.spool.file_system import FileSystem
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
    TakenOver,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

_CLOSE_SECONDS = 0.5
_RETRY_FIRST = 2.0
_RETRY_MOST = 300.0
_SHOWN = 5
"""Files that `problems` names; more are counted."""


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """What one `append` wrote."""

    records: list[bytes]
    segment: Segment = field(repr=False)
    frame: SpoolFrame = field(repr=False)


@dataclass(slots=True)
class _Retry:
    """Why a file cannot be used now, and when it is tried again."""

    reason: str
    failures: int
    again_at: float
    segment: Segment | None = None
    """Where it is ours; None where it could not be taken over."""


class Spool:
    """A queue on disk, in `directory`, of at most `limit_bytes` together with all others that use it.

    Made for one writer and one reader in one event loop. `open` first. Only `append` raises; any other failure of
    the disk is logged once, counted in `errors`, shown in `problems`, and tried again: after 2 s at most, later after
    5 min at most.
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
        """`scan_seconds` is how often an idle reader looks for segments of dead processes."""
        self._directory = directory
        self._disk = SegmentDirectory(directory, limit=limit_bytes, files=files or FileSystem())
        self._segment_bytes = segment_bytes
        self._scan_seconds = scan_seconds
        self._clock = clock or SystemClock()
        self._segments: deque[Segment] = (
            deque()
        )  # each has frames; in the order in which they are read
        self._current: Segment | None = None  # the one that is appended to
        self._retries: dict[str, _Retry] = {}  # by the name of the file
        self._directory_problem: str | None = None
        self._probe_failures, self._probe_at = 0, 0.0
        self.problem: str | None = None
        """Why it takes no events; None while it does, as far as anybody tried."""
        self._written = asyncio.Event()
        self._files = asyncio.Lock()
        self._depth = 0
        self._size = 0
        self.errors = 0
        """Calls to the operating system that failed."""
        self.damaged = 0
        """Files set aside as *.damaged in the directory, by this process or before: parts of them are not what was
        written."""

    @property
    def depth(self) -> int:
        """Records that wait."""
        return self._depth

    @property
    def size(self) -> int:
        """Bytes of the segments that hold waiting records."""
        return self._size

    @property
    def oldest(self) -> float | None:
        """When the oldest record of the next batch was received, in seconds since 1970; None where none waits."""
        return self._segments[0].frames[0].oldest if self._segments else None

    @property
    def problems(self) -> tuple[str, ...]:
        """What cannot be used on the disk, as sentences."""
        found = [self._directory_problem] if self._directory_problem else []
        for name, retry in list(self._retries.items())[:_SHOWN]:
            found.append(visible(f"{self._directory / name}: {retry.reason}"))
        if len(self._retries) > _SHOWN:
            found.append(f"{len(self._retries) - _SHOWN} more files of the spool cannot be used")
        if self.damaged:
            found.append(
                visible(
                    f"{self._directory}: {self.damaged} damaged files are set aside as *.damaged."
                    " Some of their events are lost. Look for gaps, then delete the files"
                )
            )
        return tuple(found)

    async def open(self) -> None:
        """Make the directory, and take over what dead processes left. `problem` says whether it takes writes."""
        await _to_the_end(self._look_around(probe=True))

    async def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Release the segments; the next process takes over the events in them.

        Waits for a busy disk for `seconds`. After that the end of the process releases the segments. It does not
        wait for the disk where the loop runs on `DaemonThreads`.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.05)):
                await self._files.acquire()
            held = {s for t in self._retries.values() if (s := t.segment) is not None}
            for segment in held.union(self._segments):
                self._disk.release(segment)
            self._segments.clear()
            self._retries.clear()
            self._current = None
            self._depth = self._size = 0
            self._files.release()

    async def append(self, records: Sequence[bytes], *, oldest: float) -> None:
        """Write the records durably: when this returns, they outlive a crash of process and machine.

        `oldest` is when the first of them was received. Raises SpoolFull where the limit is reached and
        SpoolError where the disk refuses; then none of them counts as written, and `problem` is set. One call at a
        time.
        """
        await _to_the_end(self._append(encode_frame(records, oldest), len(records), oldest))

    async def _append(self, data: bytes, count: int, oldest: float) -> None:
        async with self._files:
            current = self._current
            if current is not None and current.size >= self._segment_bytes:
                current = None
            try:
                segment = await asyncio.to_thread(self._disk.append, current, data)
            except SpoolFull as error:
                self.problem = _one_line(error)
                raise
            except OSError as error:
                self._current = None  # nothing more is written to a file whose end is unknown
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
            f"The spool {self._directory} cannot be written: {_reason(error)}.",
            hint="Free some room on its disk or make it writable, or set TIGER_SLACK_HOME to another directory.",
        )
        self.problem = _one_line(refused)
        return refused

    async def read(self) -> SpooledBatch | None:
        """The oldest batch that waits; the same again until it is `done`. None where none waits."""
        while self._segments:
            segment = self._segments[0]
            frame = segment.frames[0]
            try:
                data = await _to_the_end(self._in_thread(self._disk.read, segment, frame))
            except OSError as error:
                self.errors += 1
                segment.unreadable = _unreadable(_reason(error))
                segment.unread.append(frame)
                await _to_the_end(self._drop_first_frame(segment))
                continue
            records = decode_frame(data)
            if records is not None:
                return SpooledBatch(records, segment, frame)
            log.error(
                "a frame of the spool was changed on the disk; its segment is kept as *.damaged"
            )
            segment.is_damaged = True  # the frame was whole when it was written, or taken over
            await self.done(SpooledBatch([], segment, frame))
        return None

    async def done(self, batch: SpooledBatch, *, keep: str | None = None) -> None:
        """Forget a batch that is in the database; its segment is deleted with the last one.

        Where the database does not have all of it, `keep` says why: then the segment stays on the disk, and the next
        process that takes it over drains it again, which is harmless for the events that are stored.
        """
        segment = batch.segment
        segment.kept = segment.kept or keep
        segment.drained.add(batch.frame.offset)
        self._depth -= batch.frame.count
        await _to_the_end(self._drop_first_frame(segment))

    async def postpone(self, batch: SpooledBatch, reason: str) -> None:
        """Read the other batches first, and this one again later: after 2 s, when it comes back up to 5 min."""
        segment = batch.segment
        segment.postponed = reason
        segment.unread.append(batch.frame)
        await _to_the_end(self._drop_first_frame(segment))

    async def wait(self) -> None:
        """Wait until there is something to `read`. Looks for segments of dead processes meanwhile."""
        while not self._segments:
            self._written.clear()
            try:
                async with asyncio.timeout(self._scan_seconds):
                    await self._written.wait()
            except TimeoutError:
                await _to_the_end(self._look_around())

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        async with self._files:
            return await asyncio.to_thread(call, *arguments)

    async def _drop_first_frame(self, segment: Segment) -> None:
        """Remove the first frame of the segment; after its last one, finish the segment."""
        async with self._files:
            segment.frames.popleft()
            if not segment.frames:
                self._segments.remove(segment)
                await self._finish(segment)

    async def _finish(self, segment: Segment) -> None:
        """Delete a segment that has no frames to read. If it must stay or cannot be deleted, it is retried later."""
        self._size -= segment.size
        if self._current is segment:
            self._current = None
        reason = segment.unreadable or segment.postponed or segment.kept
        if segment.is_finished:
            try:
                await asyncio.to_thread(self._disk.retire, segment)
            except OSError as error:
                self.errors += 1
                reason = f"it is drained but cannot be deleted: {_reason(error)}"
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
        """When to try again after so many failures in a row, as `Clock.elapsed`."""
        return self._clock.elapsed() + backoff(failures, first=_RETRY_FIRST, most=_RETRY_MOST)

    async def _look_around(self, *, probe: bool = False) -> None:
        async with self._files:
            if probe or (self.problem is not None and self._probe_at <= self._clock.elapsed()):
                await self._probe()
            await self._look()

    async def _probe(self) -> None:
        """Find out whether the spool takes events. Holds the lock."""
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

    async def _look(self) -> None:
        """Take over what dead processes left, and try again what failed. Holds the lock."""
        now = self._clock.elapsed()
        waiting = set(self._segments)
        due = [
            retry.segment
            for retry in self._retries.values()
            if retry.segment and retry.segment not in waiting and retry.again_at <= now
        ]
        for segment in due:
            await self._try_again(segment)
        known = {segment.path.name for segment in self._segments}
        known |= {name for name, t in self._retries.items() if t.segment or t.again_at > now}
        try:
            found = await asyncio.to_thread(self._disk.take_over, known)
        except OSError as error:
            self.errors += 1
            problem = f"The spool {self._directory} cannot be read: {_reason(error)}"
            if self._directory_problem is None:
                log.error("%s", problem)
            self._directory_problem = problem
        else:
            self._directory_problem = None
            await self._take(found, known)

    async def _take(self, found: TakenOver, known: set[str]) -> None:
        self.damaged = found.damaged
        for name, reason in found.refused.items():
            self.errors += 1
            self._retry_later(name, f"it cannot be taken over; its events wait: {reason}", None)
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
        """Put a segment among those to read, in the order of their names. Finish it if nothing waits in it."""
        self._size += segment.size
        if not segment.frames:
            await self._finish(segment)
            return
        self._segments.append(segment)
        self._segments = deque(sorted(self._segments, key=lambda each: each.path.name))

    async def _try_again(self, segment: Segment) -> None:
        """Read what could not be read before, or was postponed, or delete what could not be deleted."""
        if segment.postponed is not None and segment.unreadable is None:
            segment.frames.extend(segment.unread)
            segment.unread, segment.postponed = [], None
        elif segment.unreadable is not None:
            try:
                content = await asyncio.to_thread(self._disk.read_again, segment)
            except OSError as error:
                content = SegmentContent(unreadable=_reason(error))
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
                # It can be read, and the frames are not there: they were changed on the disk.
                self._depth -= sum(frame.count for frame in segment.unread)
                segment.unread, segment.is_damaged = [], True
            segment.frames.extend(fresh)
            if fresh:
                del self._retries[segment.path.name]
        await self._insert(segment)


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for the work, which goes on when the caller is cancelled: a thread cannot be stopped."""
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
    return f"parts of it cannot be read; their events wait: {reason}"


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
