"""The spool's calls to the operating system. All of them block and raise OSError."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path


def os_reason(error: OSError) -> str:
    """The operating system's words for the error; its class if it has none."""
    return error.strerror or type(error).__name__


class FileSystem:
    """The file system of this machine. Tests pass a subclass whose calls fail."""

    def make_directory(self, path: Path) -> None:
        """Create the directory and its parents durably, if they do not exist."""
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for each in reversed(missing):
            self.sync_directory(each.parent)

    def list(self, directory: Path) -> list[tuple[str, int]]:
        """Name and size of each file. A file that is deleted meanwhile is left out."""
        found = []
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    found.append((entry.name, entry.stat(follow_symlinks=False).st_size))
                except FileNotFoundError:
                    continue
        return found

    def create(self, path: Path) -> int:
        """Create a file, open for reading and writing. Raises FileExistsError."""
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        """Open a regular file for reading and writing. Raises OSError for a link, a pipe and the like."""
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return file

    def lock(self, file: int) -> None:
        """Lock the file for this process. Raises BlockingIOError if another process holds the lock."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def is_at(self, file: int, path: Path) -> bool:
        """Whether the path still leads to the open file."""
        try:
            found = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(file))

    def size(self, file: int) -> int:
        return os.fstat(file).st_size

    def read(self, file: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file."""
        pieces = []
        while size > 0 and (piece := os.pread(file, size, offset)):
            pieces.append(piece)
            size, offset = size - len(piece), offset + len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def write(self, file: int, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(file, view, offset)
            view, offset = view[written:], offset + written

    def sync(self, file: int) -> None:
        os.fdatasync(file)

    def truncate(self, file: int, size: int) -> None:
        os.ftruncate(file, size)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def sync_directory(self, path: Path) -> None:
        """Make creations, renames and deletions in the directory durable."""
        directory = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def close(self, file: int) -> None:
        os.close(file)
