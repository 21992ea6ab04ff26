"""After any error of the disk, no acknowledged event is lost, no file is left over, and the operator sees it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from pathlib import Path

import pytest

from tests.faults.clock import ManualClock
from tests.faults.failing_files import CALLS, FailingFiles
from tests.faults.spools import descriptors, drain, opened, segments
from tiger_slack_tui.base.errors import SpoolError
from tiger_slack_tui.ingest.spool.spool import Spool

MANY = 200
ERRORS = (errno.EIO, errno.EROFS, errno.ENOSPC, errno.EACCES, errno.ENOTSUP)


async def looked(spool: Spool) -> None:
    """Let an idle reader look around a few times."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(spool.wait(), 0.1)


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("call", CALLS)
async def test_a_call_that_fails_ends_nothing_and_loses_nothing(
    tmp_path: Path, call: str, number: int
) -> None:
    files, clock = FailingFiles(), ManualClock()
    left = await opened(tmp_path)
    await left.append([b"left"], oldest=1)
    await left.close()
    files.failing = {call: number}
    spool = await opened(tmp_path, files=files, clock=clock, segment_bytes=1)
    acknowledged = {b"left"}
    drained: set[bytes] = set()
    for record in (b"1", b"2"):
        with contextlib.suppress(SpoolError):
            await spool.append([record], oldest=2)
            acknowledged.add(record)
        drained |= set(await drain(spool))
        await looked(spool)
    files.failing = {}
    clock.advance(3600)
    await looked(spool)
    drained |= set(await drain(spool))
    await spool.append([b"3"], oldest=3)
    await spool.close()
    after = await opened(tmp_path)
    drained |= set(await drain(after))
    assert acknowledged | {b"3"} <= drained
    assert (after.depth, after.size, after.problems, after.problem) == (0, 0, (), None)
    await after.close()
    assert [path.suffix for path in tmp_path.iterdir()] == []
    assert descriptors(tmp_path) == 0


@pytest.mark.parametrize("call", ["create", "lock", "is_at", "write", "sync", "sync_directory"])
async def test_many_appends_that_fail_leave_no_file_and_no_descriptor(
    tmp_path: Path, call: str
) -> None:
    files = FailingFiles()
    spool = await opened(tmp_path, files=files)
    await spool.append([b"before"], oldest=1)
    before = (sorted(tmp_path.iterdir()), descriptors(tmp_path))
    files.failing = {call: errno.ENOSPC}
    failed = 0
    for n in range(MANY):
        try:
            await spool.append([b"refused %d" % n], oldest=n)
        except SpoolError:
            failed += 1
    assert failed >= (MANY if call in ("write", "sync") else 0)
    assert spool.errors == failed
    if failed:
        assert (sorted(tmp_path.iterdir()), descriptors(tmp_path)) == before
        assert "No space left" in str(spool.problem)
    files.failing = {}
    await spool.append([b"after"], oldest=2)
    assert spool.problem is None
    assert set(await drain(spool)) >= {b"before", b"after"}
    assert (list(tmp_path.iterdir()), descriptors(tmp_path)) == ([], 0)


async def test_files_that_cannot_be_deleted_do_not_accumulate(tmp_path: Path) -> None:
    files = FailingFiles()
    spool = await opened(tmp_path, files=files)
    files.failing = {"write": errno.EIO, "remove": errno.EPERM}
    for n in range(200):
        with pytest.raises(SpoolError):
            await spool.append([b"refused"], oldest=n)
    assert len(list(tmp_path.iterdir())) < 20
    files.failing = {}
    await spool.append([b"after"], oldest=2)
    assert len(segments(tmp_path)) == 1


async def test_a_disk_that_becomes_read_only_drains_each_frame_once(tmp_path: Path) -> None:
    files, clock = FailingFiles(), ManualClock()
    spool = await opened(tmp_path, files=files, clock=clock)
    await spool.append([b"1"], oldest=1)
    files.failing = dict.fromkeys(("remove", "truncate", "create", "write"), errno.EROFS)
    assert await drain(spool) == [b"1"]
    (problem,) = spool.problems
    assert segments(tmp_path)[0].name in problem
    assert "Read-only file system" in problem
    for _ in range(3):
        clock.advance(3600)
        await looked(spool)
        assert await drain(spool) == []
    assert (spool.depth, spool.size) == (0, 0)
    # Nor does another process drain it as long as this one lives.
    other = await opened(tmp_path)
    assert await drain(other) == []
    files.failing = {}
    clock.advance(3600)
    await looked(spool)
    assert (spool.problems, segments(tmp_path)) == ((), [])


async def test_a_part_that_cannot_be_read_waits_and_the_rest_is_drained(tmp_path: Path) -> None:
    files, clock = FailingFiles(), ManualClock()
    spool = await opened(tmp_path, files=files, clock=clock)
    for n in range(3):
        await spool.append([b"%d" % n * 20_000], oldest=n)
    (path,) = segments(tmp_path)
    files.bad = {path.name: range(30_000, 30_001)}  # in the second of the frames
    assert await drain(spool) == [b"0" * 20_000, b"2" * 20_000]
    assert spool.depth == 1
    (problem,) = spool.problems
    assert path.name in problem
    assert "Input/output error" in problem
    clock.advance(3600)
    await looked(spool)
    assert await drain(spool) == []
    files.bad = {}
    clock.advance(3600)
    await asyncio.wait_for(spool.wait(), 10)
    assert await drain(spool) == [b"1" * 20_000]
    assert (spool.problems, spool.depth, list(tmp_path.iterdir())) == ((), 0, [])


async def test_the_same_for_a_segment_of_a_dead_process(tmp_path: Path) -> None:
    left = await opened(tmp_path)
    for n in range(3):
        await left.append([b"%d" % n * 20_000], oldest=n)
    await left.close()
    (path,) = segments(tmp_path)
    files, clock = FailingFiles(), ManualClock()
    files.bad = {path.name: range(30_000, 30_001)}
    spool = await opened(tmp_path, files=files, clock=clock)
    assert await drain(spool) == [b"0" * 20_000, b"2" * 20_000]
    assert "Input/output error" in spool.problems[0]
    assert spool.damaged == 0
    files.bad = {}
    clock.advance(3600)
    await asyncio.wait_for(spool.wait(), 10)
    assert await drain(spool) == [b"1" * 20_000]
    assert (spool.problems, list(tmp_path.iterdir())) == ((), [])


async def test_the_directory_is_made_durably(tmp_path: Path) -> None:
    synced: list[Path] = []

    class Noted(FailingFiles):
        def sync_directory(self, path: Path) -> None:
            synced.append(path)

    await opened(tmp_path / "a" / "b" / "spool", files=Noted())
    assert synced[:3] == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


async def test_a_directory_that_somebody_deletes_is_made_again(tmp_path: Path) -> None:
    spool = await opened(tmp_path / "spool")
    (tmp_path / "spool").rmdir()
    await looked(spool)
    (tmp_path / "spool").rmdir()
    await spool.append([b"x"], oldest=1)
    assert await drain(spool) == [b"x"]
    assert spool.problems == ()


async def test_after_a_clock_that_goes_back_appends_share_a_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = await opened(tmp_path)
    await left.append([b"left"], oldest=1)
    await left.close()
    monkeypatch.setattr("time.time_ns", lambda: 1)
    spool = await opened(tmp_path)
    for n in range(10):
        await spool.append([b"%d" % n], oldest=n)
    assert len(segments(tmp_path)) == 2
    assert len(await drain(spool)) == 11


def test_no_name_is_made_twice_by_two_processes_with_one_pid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr("time.time_ns", lambda: 1)

    async def both() -> None:
        one, two = await asyncio.gather(opened(tmp_path), opened(tmp_path))
        await asyncio.gather(one.append([b"1"], oldest=1), two.append([b"2"], oldest=1))
        assert (one.problem, two.problem, len(segments(tmp_path))) == (None, None, 2)

    asyncio.run(both())
