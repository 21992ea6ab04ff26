"""The faulty disk fails as the other tests need it, and only below its directory."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.disk import FaultyDisk, faulty_disk


def test_it_works_until_it_fails_and_again(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    outside, inside = tmp_path / "outside", tmp_path / "disk" / "inside"
    with faulty_disk(tmp_path / "disk") as disk:
        inside.write_bytes(b"kept")
        disk.broken()
        with pytest.raises(OSError, match="Input/output") as raised:
            inside.read_bytes()
        assert raised.value.errno == errno.EIO
        outside.write_bytes(b"other disk")
        disk.works()
        assert inside.read_bytes() == b"kept"
    assert disk.failures == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (FaultyDisk.read_only, errno.EROFS),
        (FaultyDisk.foreign, errno.EACCES),
        (FaultyDisk.broken, errno.EIO),
    ],
)
def test_no_change_succeeds(tmp_path: Path, fault: Callable[[FaultyDisk], None], code: int) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"x")
    changes: list[Callable[[], object]] = [
        lambda: (tmp_path / "new").write_bytes(b"x"),
        lambda: os.open(tmp_path / "new", os.O_CREAT | os.O_WRONLY),
        there.unlink,
        lambda: there.rename(tmp_path / "other"),
        (tmp_path / "directory").mkdir,
    ]
    with faulty_disk(tmp_path) as disk:
        fault(disk)
        for change in changes:
            with pytest.raises(OSError) as raised:  # noqa: PT011 the number is looked at
                change()
            assert raised.value.errno == code
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_open_files_of_a_disk_that_became_read_only_take_no_writes(tmp_path: Path) -> None:
    with faulty_disk(tmp_path) as disk:
        file = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
        os.pwrite(file, b"before", 0)
        disk.read_only()
        for change in (
            lambda: os.pwrite(file, b"after!", 0),
            lambda: os.ftruncate(file, 0),
            lambda: os.fdatasync(file),
        ):
            with pytest.raises(OSError, match="Read-only"):
                change()
        assert os.pread(file, 10, 0) == b"before"
        os.close(file)


def test_a_full_disk_cuts_a_write_short_and_has_room_after_a_deletion(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"x" * 100)
    with faulty_disk(tmp_path) as disk:
        disk.full(room=10)
        file = os.open(tmp_path / "new", os.O_CREAT | os.O_RDWR)
        assert os.write(file, b"y" * 30) == 10
        with pytest.raises(OSError, match="No space"):
            os.write(file, b"y" * 20)
        with pytest.raises(OSError, match="No space"):
            (tmp_path / "another").write_bytes(b"z")
        (tmp_path / "old").unlink()
        assert os.write(file, b"y" * 20) == 20
        os.close(file)


def test_a_fault_of_one_operation_and_one_name(tmp_path: Path) -> None:
    with faulty_disk(tmp_path) as disk:
        for name in ("a.segment", "b.segment"):
            (tmp_path / name).write_bytes(b"x")
        disk.broken("delete", name="a.seg")
        (tmp_path / "b.segment").unlink()
        assert (tmp_path / "a.segment").read_bytes() == b"x"
        with pytest.raises(OSError, match="Input/output"):
            (tmp_path / "a.segment").unlink()
