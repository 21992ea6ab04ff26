"""The spool in real directories: full, of another user, with foreign files, and shared by several processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.disk import faulty_disk
from tests.faults.spools import descriptors, drain, opened, segments
from tiger_slack_tui.base.errors import SpoolError

IN_SUBPROCESS = """
import asyncio, os, resource, sys
from pathlib import Path
from tests.faults.spools import descriptors, drain, opened
from tiger_slack_tui.base.errors import SpoolError

async def main():
    directory = Path(sys.argv[1])
    await asyncio.to_thread(int)  # all is loaded while the files of Python can be read
    os.setuid(int(sys.argv[2]))
    {body}

asyncio.run(main())
"""


def run(body: str, directory: Path, *, uid: int | None = None) -> str:
    """What a process of its own prints."""
    code = IN_SUBPROCESS.format(body=body.replace("\n", "\n    "))
    command = [
        sys.executable,
        "-c",
        code,
        str(directory),
        str(os.geteuid() if uid is None else uid),
    ]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SMALL_FILES = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = await opened(directory)
await spool.append([b"before"], oldest=1)
before = (sorted(directory.iterdir()), descriptors(directory))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
refused = 0
for n in range(1000):
    try:
        await spool.append([b"x" * 2000], oldest=n)
    except SpoolError:
        refused += 1
after = (sorted(directory.iterdir()), descriptors(directory))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
await spool.append([b"after"], oldest=2)
print(refused, before == after, await drain(spool), spool.problem)
"""


def test_a_disk_that_takes_no_more_bytes(tmp_path: Path) -> None:
    """A limit of the kernel on the size of files stands in for a full disk: each write fails in its middle."""
    assert run(SMALL_FILES, tmp_path) == "1000 True [b'before', b'after'] None"


async def test_a_full_disk_is_used_again_once_there_is_room(tmp_path: Path) -> None:
    ballast = tmp_path / "ballast"
    ballast.write_bytes(b"x" * 1000)
    directory = tmp_path / "spool"
    with faulty_disk(tmp_path) as disk:
        spool = await opened(directory)
        await spool.append([b"before"], oldest=1)
        disk.full(room=10)
        before = (sorted(directory.iterdir()), descriptors(directory))
        for n in range(1000):
            with pytest.raises(SpoolError, match="No space left"):
                await spool.append([b"refused" * 10], oldest=n)
        assert (sorted(directory.iterdir()), descriptors(directory)) == before
        assert "No space left" in str(spool.problem)
        ballast.unlink()
        await spool.append([b"after"], oldest=2)
        assert spool.problem is None
        assert await drain(spool) == [b"before", b"after"]


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can reach: pytest closes its own ones whenever a run begins."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_a_directory_and_segments_of_another_user(open_directory: Path) -> None:
    """The other user's segment stays, is named and counted, and is drained by its owner later."""
    directory = open_directory / "spool"
    kept = run(
        "spool = await opened(directory)\nawait spool.append([b'root'], oldest=1)", directory
    )
    assert kept == ""
    directory.chmod(0o777)
    (name,) = [path.name for path in segments(directory)]
    found = run(
        """spool = await opened(directory)
await spool.append([b'mine'], oldest=1)
print(await drain(spool), spool.problem, spool.errors, spool.problems)""",
        directory,
        uid=65534,
    )
    assert found.startswith("[b'mine'] None 1 (")
    assert name in found
    assert "Permission denied" in found
    directory.chmod(0o700)
    refused = run("spool = await opened(directory)\nprint(spool.problem)", directory, uid=65534)
    assert "Permission denied" in refused
    assert run("print(await drain(await opened(directory)))", directory) == "[b'root']"


async def test_strange_files_in_the_directory_stay_and_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.segment").mkdir()
    os.mkfifo(tmp_path / "b.segment")
    (tmp_path / "c.segment").symlink_to("/etc/passwd")
    (tmp_path / "note.txt").write_text("of a person")
    spool = await opened(tmp_path)
    await spool.append([b"x"], oldest=1)
    assert await drain(spool) == [b"x"]
    assert [problem.partition(":")[0][-9:] for problem in spool.problems] == [
        "a.segment",
        "b.segment",
        "c.segment",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.segment",
        "b.segment",
        "c.segment",
        "note.txt",
    ]
    (tmp_path / "a.segment").rmdir()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(spool.wait(), 0.05)
    assert len(spool.problems) == 2
    await spool.close()
    assert descriptors(tmp_path) == 0
