"""A disk that fails, as this process sees it: full, read-only, somebody else's, or with I/O errors.

The faults are made inside the process, around `os` and `open`, for paths and descriptors below one directory. Real
faults need what a CI's container does not give: mounting a small tmpfs needs CAP_SYS_ADMIN, `chattr +i` needs
CAP_LINUX_IMMUTABLE, permissions do not stop root (CAP_DAC_OVERRIDE), RLIMIT_FSIZE gives EFBIG instead of ENOSPC, and
/dev/full is a file and no directory. So a process that a test starts does not see these faults, and neither do
libraries that open files in C (sqlite3).
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

CHANGES = ("create", "write", "sync", "delete", "rename", "mkdir")
ALL = ("open", "read", "list", *CHANGES)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class FaultyDisk:
    """What is below `directory`. It works until a method says otherwise; each fault replaces the one before.

    Operations are `open` (for reading), `create` (open for writing, whether or not the file is there), `read`,
    `list`, `write` (truncating, too), `sync`, `delete`, `rename` and `mkdir`. `calls` counts them, `failures` those
    that failed. Use `faulty_disk` to make one.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = os.path.realpath(directory)
        self._error: int | None = None
        self._operations: tuple[str, ...] = ()
        self._name = ""
        self._capacity: int | None = None
        self._stat, self._scandir = os.stat, os.scandir
        self.calls = 0
        self.failures = 0

    def works(self) -> None:
        """Everything succeeds again."""
        self._error, self._capacity = None, None

    def fails(self, error: int, *operations: str, name: str = "") -> None:
        """The operations raise OSError with this errno; with `name`, only for paths that contain it."""
        self.works()
        self._error, self._operations, self._name = error, operations or ALL, name

    def full(self, room: int = 0) -> None:
        """Only so many more bytes fit. A write that does not fit is cut short; the next one raises ENOSPC.

        Deleted files give their room back; empty files can be created.
        """
        self.works()
        self._capacity = self._used() + room

    def read_only(self) -> None:
        """Remounted after an error of the disk: every change raises EROFS, on open files, too."""
        self.fails(errno.EROFS, *CHANGES)

    def foreign(self, name: str = "") -> None:
        """It belongs to another user: EACCES. Files that are open already go on working."""
        self.fails(errno.EACCES, "open", "create", "list", "delete", "rename", "mkdir", name=name)

    def broken(self, *operations: str, name: str = "") -> None:
        """The operations (all, where none is named) raise EIO."""
        self.fails(errno.EIO, *operations, name=name)

    def check(self, operation: str, target: Any) -> None:
        """Raise the error of this operation, if it fails now. `target` is a path or a descriptor."""
        path = self._path(target)
        if path is None:
            return
        self.calls += 1
        if self._error and operation in self._operations and self._name in path:
            self.fail(self._error, path)

    def fail(self, error: int, path: str) -> None:
        self.failures += 1
        raise OSError(error, os.strerror(error), path)

    def room(self, target: Any, size: int) -> int:
        """How many of so many bytes fit. Raises ENOSPC where none does."""
        path = self._path(target)
        if self._capacity is None or path is None:
            return size
        fitting = min(size, self._capacity - self._used())
        if fitting <= 0 < size:
            self.fail(errno.ENOSPC, path)
        return fitting

    def _path(self, target: Any) -> str | None:
        """The target's path if it is here, else None."""
        if isinstance(target, int):
            try:
                path = os.readlink(f"/proc/self/fd/{target}")
            except OSError:
                return None
        else:
            path = os.path.abspath(os.fsdecode(target))
        inside = path == self._directory or path.startswith(self._directory + os.sep)
        return path if inside else None

    def _used(self, directory: str | None = None) -> int:
        total = 0
        with self._scandir(directory or self._directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += self._used(entry.path)
                else:
                    total += self._stat(entry.path, follow_symlinks=False).st_size
        return total


@contextmanager
def faulty_disk(directory: Path) -> Iterator[FaultyDisk]:
    """A FaultyDisk for the block, in all threads of this process. The directory must be there."""
    disk = FaultyDisk(directory)

    def checked(operation: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: Any = ".", *args: Any, **kwargs: Any) -> Any:
            disk.check(operation, target)
            return real(target, *args, **kwargs)

        return call

    def writing(real: Callable[..., int]) -> Callable[..., int]:
        def call(target: int, data: Any, *args: Any) -> int:
            disk.check("write", target)
            return real(target, memoryview(data)[: disk.room(target, len(data))], *args)

        return call

    def opening(real: Callable[..., int]) -> Callable[..., int]:
        def call(target: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            disk.check("create" if flags & _WRITING else "open", target)
            return real(target, flags, *args, **kwargs)

        return call

    def opening_object(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            writes = set(mode) & set("wax+")
            disk.check("create" if writes else "open", target)
            if not writes:
                disk.check("read", target)
            opened = real(target, mode, *args, **kwargs)
            try:
                if writes:  # its writes do not pass through `os`, so they fail here
                    disk.check("write", target)
                    disk.room(target, 1)
            except OSError:
                opened.close()
                raise
            return opened

        return call

    with ExitStack() as patches:
        for names, make in (
            (("write", "pwrite"), writing),
            (("open",), opening),
        ):
            for name in names:
                patches.enter_context(mock.patch.object(os, name, make(getattr(os, name))))
        for operation, names in _CHECKED.items():
            for name in names:
                real = getattr(os, name)
                patches.enter_context(mock.patch.object(os, name, checked(operation, real)))
        open_object = opening_object(builtins.open)
        for module in (io, builtins):  # pathlib uses io's
            patches.enter_context(mock.patch.object(module, "open", open_object))
        yield disk


_CHECKED = {
    "read": ("read", "pread"),
    "write": ("truncate", "ftruncate"),
    "sync": ("fsync", "fdatasync"),
    "delete": ("unlink", "remove", "rmdir"),
    "rename": ("rename", "replace", "link"),
    "mkdir": ("mkdir",),
    "list": ("scandir", "listdir"),
}
