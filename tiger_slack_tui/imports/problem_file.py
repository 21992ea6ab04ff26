"""The file of `import --errors`: each problem of the archive as a JSON line."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from tiger_slack_tui.base.errors import SettingsError, TigerSlackError
from tiger_slack_tui.imports.report import problem_line, write_problems
from tiger_slack_tui.postgres.failures import translate_errors
from tiger_slack_tui.store.import_account import ImportProblem


class ProblemFile:
    """Collects problems in an unnamed temporary file, which `close` puts in place.

    Until then, and if it cannot be written whole, the existing file stays. A killed process leaves nothing behind.
    The file has the problems that `add` got; after `complete`, all problems in the database.
    """

    def __init__(self, path: Path) -> None:
        """`path` may be a pipe or terminal, such as /dev/stdout. Raises SettingsError if it cannot be written."""
        self._given = self._path = path
        self._trouble: str | None = None
        self._is_whole = True
        self._stream: int | None = None
        """The descriptor, if the path is our own standard output or error."""
        try:
            mode = _mode(path)
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(21, "Is a directory")
            self._stream = next((fd for fd in (1, 2) if mode and _is_same(path, fd)), None)
            self._is_file = self._stream is None and (not mode or stat.S_ISREG(mode))
            if mode and self._stream is None and not os.access(path, os.W_OK):
                raise PermissionError(13, "Permission denied")
            if self._is_file:
                self._path = Path(os.path.realpath(path))  # a link stays one
            self._file = self._make()
        except OSError as error:
            raise SettingsError(f"--errors: {path} cannot be written: {error.strerror}.") from None

    def add(self, problem: ImportProblem) -> None:
        """Add a problem. `close` reports a full disk."""
        if self._is_whole:
            try:
                self._file.write(problem_line(problem))
            except OSError as error:
                self._fail(error)

    async def complete(self, conninfo: str, import_id: int) -> None:
        """Replace the added problems by those of all runs in the database. If it is away, the added ones stay."""
        try:
            file = self._make()
            try:
                with translate_errors(conninfo):
                    await write_problems(file, conninfo, import_id)
                file.flush()
            except BaseException:
                with suppress(OSError):
                    file.close()
                raise
            self._file, added = file, self._file
            self._is_whole = True  # it has what could not be added
            with suppress(OSError):
                added.close()
        except OSError as error:
            self._fail(error)
        except TigerSlackError as error:
            self._trouble = self._trouble or (
                f"--errors: {self._given} has only the problems of this run: {error.args[0]}"
            )

    def close(self) -> str | None:
        """Put the file in place. A sentence about what went wrong; None if nothing did. Raises nothing."""
        try:
            self._file.flush()
            source = cast(BinaryIO, self._file.buffer)  # type: ignore[redundant-cast]
            source.seek(0)
            if self._is_whole:
                (self._replace if self._is_file else self._append)(source)
        except OSError as error:
            self._fail(error)
        with suppress(OSError):
            self._file.close()
        return self._trouble

    def _make(self) -> TextIO:
        """An unnamed temporary file, on the same disk as the path."""
        directory = self._path.parent if self._is_file else None
        return cast(TextIO, tempfile.TemporaryFile("w+", encoding="utf-8", dir=directory))

    def _replace(self, source: BinaryIO) -> None:
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}.new")
        try:
            with new.open("wb") as target:
                shutil.copyfileobj(source, target)
            with suppress(FileNotFoundError):
                shutil.copymode(self._path, new)
            new.replace(self._path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise

    def _append(self, source: BinaryIO) -> None:
        """Write to a path that cannot be replaced: a pipe, a terminal, the file of our own output."""
        # Our own output is duplicated: what we print later then follows.
        stream = self._stream
        fd = os.dup(stream) if stream is not None else os.open(self._path, os.O_WRONLY)
        with os.fdopen(fd, "wb", buffering=0) as target:
            shutil.copyfileobj(source, target)

    def _fail(self, error: OSError) -> None:
        self._is_whole = False
        kept = " What was there before is kept." if self._is_file else ""
        why = error.strerror or type(error).__name__
        self._trouble = f"--errors: {self._given} was not written: {why}.{kept}"


def _mode(path: Path) -> int:
    """The mode of the file; 0 if there is none."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return 0


def _is_same(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except OSError:
        return False
