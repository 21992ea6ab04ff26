"""The spool: a record for which `append` returned survives everything."""

import asyncio
import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.spools import drain, segments
from tests.support import until
from tiger_slack_tui.base.errors import SpoolError, SpoolFull
from tiger_slack_tui.ingest.spool.spool import Spool


async def opened(directory: Path, **options: Any) -> Spool:
    spool = Spool(directory, **options)
    await spool.open()
    return spool


async def test_first_in_first_out_over_many_segments(tmp_path: Path) -> None:
    spool = await opened(tmp_path, segment_bytes=500)
    batches = [[f"{n}-{m}".encode() * 20 for m in range(n % 4 + 1)] for n in range(50)]
    for n, batch in enumerate(batches):
        await spool.append(batch, oldest=float(n))
    assert spool.depth == sum(map(len, batches))
    assert spool.oldest == 0.0
    assert len(segments(tmp_path)) > 5
    assert await drain(spool) == [record for batch in batches for record in batch]
    assert (spool.depth, spool.size, spool.oldest) == (0, 0, None)
    assert list(tmp_path.iterdir()) == []


async def test_read_gives_the_same_batch_until_it_is_done(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.append([b"a"], oldest=1)
    await spool.append([b"b", b""], oldest=2)
    for _ in range(2):
        batch = await spool.read()
        assert batch is not None
        assert batch.records == [b"a"]
    await spool.done(batch)
    batch = await spool.read()
    assert batch is not None
    assert batch.records == [b"b", b""]


async def test_files_are_private(tmp_path: Path) -> None:
    spool = await opened(tmp_path / "spool")
    await spool.append([b"x"], oldest=1)
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert segments(tmp_path / "spool")[0].stat().st_mode & 0o777 == 0o600


async def test_full_takes_nothing_and_then_again(tmp_path: Path) -> None:
    spool = await opened(tmp_path, limit_bytes=1000)
    await spool.append([b"x" * 600], oldest=1)
    other = await opened(tmp_path, limit_bytes=1000)
    with pytest.raises(SpoolFull):
        await other.append(
            [b"x" * 600], oldest=2
        )  # the limit holds for all who share the directory
    assert (await drain(spool), other.depth) == ([b"x" * 600], 0)
    await other.append([b"y" * 600], oldest=3)
    assert await drain(other) == [b"y" * 600]


async def test_wait_ends_with_an_append(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    waiting = asyncio.create_task(spool.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    await spool.append([b"x"], oldest=1)
    await asyncio.wait_for(waiting, 10)


async def test_takes_over_from_the_closed_and_only_from_them(tmp_path: Path) -> None:
    first = await opened(tmp_path)
    await first.append([b"1"], oldest=1)
    second = await opened(tmp_path)
    assert await second.read() is None
    await first.close()
    await asyncio.wait_for(second.wait(), 10)
    await second.append([b"2"], oldest=2)
    assert await drain(second) == [b"1", b"2"]
    assert segments(tmp_path) == []


async def test_of_two_only_one_takes_over(tmp_path: Path) -> None:
    left = await opened(tmp_path, segment_bytes=1)
    for n in range(20):
        await left.append([b"%d" % n], oldest=n)
    await left.close()
    both = await opened(tmp_path), await opened(tmp_path)
    drained = [await drain(spool) for spool in both]
    assert sorted(drained[0] + drained[1]) == sorted(b"%d" % n for n in range(20))


async def test_an_empty_segment_of_the_dead_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "0-1-1.segment").touch()
    assert await (await opened(tmp_path)).read() is None
    assert list(tmp_path.iterdir()) == []


async def make_segment(directory: Path, batches: list[list[bytes]]) -> tuple[Path, bytes]:
    spool = await opened(directory)
    for n, batch in enumerate(batches):
        await spool.append(batch, oldest=n)
    await spool.close()
    (path,) = segments(directory)
    return path, path.read_bytes()


async def test_cut_at_any_byte_it_keeps_all_whole_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    batches = [[b"one"], [b"two", b"three"], [b"four"]]
    path, data = await make_segment(tmp_path, batches)
    ends = [data.find(b"TSS1", at + 1) for at in (0, data.find(b"TSS1", 1))] + [len(data)]
    for cut in range(len(data) + 1):
        for rest in (b"", b"\0" * 100):  # a crash can leave zeros where data was to come
            path.write_bytes(data[:cut] + rest)
            spool = await opened(tmp_path)
            whole = sum(end <= cut for end in ends)
            assert await drain(spool) == [record for batch in batches[:whole] for record in batch]
            torn = caplog.records[-1].torn  # type: ignore[attr-defined]
            assert torn == (1 if rest or cut not in (0, *ends) else 0)
            for left in tmp_path.iterdir():
                left.unlink()


async def test_damage_costs_one_frame_and_keeps_the_file(tmp_path: Path) -> None:
    batches = [[b"one" * 9], [b"two" * 9], [b"three" * 9]]
    path, data = await make_segment(tmp_path, batches)
    starts = [0, data.find(b"TSS1", 1), data.rfind(b"TSS1"), len(data)]
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        hit = next(n for n in range(3) if at < starts[n + 1])
        spool = await opened(tmp_path)
        expected = [record for n, batch in enumerate(batches) if n != hit for record in batch]
        assert await drain(spool) == expected
        if hit < 2:  # of the last frame nobody can tell whether it was ever finished
            assert spool.damaged == 1
            assert [left.suffix for left in tmp_path.iterdir()] == [".damaged"]
        for left in tmp_path.iterdir():
            left.unlink()


async def test_damage_after_the_take_over_does_not_stop_the_rest(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.append([b"one"], oldest=1)
    await spool.append([b"two"], oldest=2)
    path = segments(tmp_path)[0]
    data = path.read_bytes()
    path.write_bytes(data.replace(b"one", b"xxx"))
    assert await drain(spool) == [b"two"]
    assert spool.damaged == 1
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".damaged"
    await spool.close()
    again = await opened(tmp_path, scan_seconds=0.01)  # the next process shows it, too
    assert again.damaged == 1
    assert "1 damaged files were renamed" in again.problems[0]
    left.unlink()
    await again.append([b"three"], oldest=3)
    await drain(again)
    waiting = asyncio.create_task(again.wait())
    await until(lambda: again.problems == ())
    waiting.cancel()


async def test_a_refusing_disk_loses_nothing_written_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await opened(tmp_path)
    await spool.append([b"before"], oldest=1)
    real = os.pwrite

    def half(file: int, data: memoryview, offset: int) -> int:
        if offset % 7 == 0 or len(data) < 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[: len(data) // 2], offset)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(SpoolError, match="No space left"):
        await spool.append([b"refused" * 100], oldest=2)
    monkeypatch.setattr(os, "pwrite", real)
    monkeypatch.setattr(os, "fdatasync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "I/O")))
    with pytest.raises(SpoolError):
        await spool.append([b"refused too"], oldest=2)
    monkeypatch.undo()
    await spool.append([b"after"], oldest=3)
    await spool.close()
    spool = await opened(tmp_path)
    assert await drain(spool) == [b"before", b"after"]


async def test_a_directory_that_takes_no_writes_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spool = await opened(tmp_path / "file" / "spool")
    assert str(tmp_path / "file" / "spool") in str(spool.problem)
    with pytest.raises(SpoolError, match="cannot be written"):
        await spool.append([b"x"], oldest=1)


WRITER = """
import asyncio, sys
from pathlib import Path
from tiger_slack_tui.ingest.spool.spool import Spool

async def main():
    spool = Spool(Path(sys.argv[1]), segment_bytes=20_000)
    await spool.open()
    n = int(sys.argv[2])
    while True:
        records = [f"{n + i}:".encode() + b"x" * (n % 300) for i in range(n % 7 + 1)]
        await spool.append(records, oldest=n)
        n += len(records)
        print(n, flush=True)
        if n % 3 == 0 and (batch := await spool.read()):
            await spool.done(batch)
            print("done", *(r.split(b":")[0].decode() for r in batch.records), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(6))
async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    written, drained = 0, set[int]()
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(written)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(chance.randrange(5, 150))]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines()
        process.wait()
        for line in lines:
            if line.startswith("done"):
                drained |= {int(n) for n in line.split()[1:]}
            elif line.strip().isdigit():
                written = max(written, int(line))
    spool = await opened(tmp_path)
    left = {int(record.split(b":")[0]) for record in await drain(spool)}
    assert set(range(written)) <= left | drained
    assert spool.damaged == 0
