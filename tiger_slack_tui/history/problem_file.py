"""The file of `import --errors`: what was wrong with the archive, a JSON line each."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import psycopg

from tiger_slack_tui.database.failures import describe
from tiger_slack_tui.errors import SettingsError, TigerSlackError
from tiger_slack_tui.history.progress import BadRecord
from tiger_slack_tui.history.report import write_problem, write_problems


class ProblemFile:
    """Is written beside its place, and put there by `close`: until then, what stands there stays.

    It holds what `add` was given, or, after `complete`, all that the database knows of the import.
    """

    def __init__(self, path: Path) -> None:
        """Raises SettingsError where it cannot be written."""
        self._path = Path(os.path.realpath(path))  # a link stays one
        beside = f".{self._path.name}.{os.getpid()}"
        self._new = self._path.with_name(f"{beside}.new")
        self._all = self._path.with_name(f"{beside}.all")
        self._given = path
        self._trouble: str | None = None
        self._scratch: Path | None = None
        try:
            # A pipe or a terminal has no place beside it, and is written at the end.
            self._is_file = self._path.is_file() or not self._path.exists()
            if not self._is_file:
                self._scratch = Path(tempfile.mkdtemp(prefix="tiger-slack-"))
                self._new, self._all = self._scratch / "new", self._scratch / "all"
            if self._path.exists() and not os.access(self._path, os.W_OK):
                raise PermissionError(13, "Permission denied")
            if self._path.is_dir():
                raise IsADirectoryError(21, "Is a directory")
            self._file = self._new.open("w", encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"--errors: {path} cannot be written: {error.strerror}.") from None

    def add(self, problem: BadRecord) -> None:
        """Write one that was found now. A disk that is full is told by `close`."""
        if self._trouble is None:
            try:
                write_problem(self._file, problem.path, problem.position, problem.reason)
            except OSError as error:
                self._note(error)

    async def complete(self, conninfo: str, import_id: int) -> None:
        """Take all that the database knows, also from the runs before; where it is lost, what was added stays."""
        try:
            with self._all.open("w", encoding="utf-8") as file:
                await write_problems(file, conninfo, import_id)
            self._all.replace(self._new)
        except OSError as error:
            self._note(error)
        except (psycopg.Error, TigerSlackError) as error:
            words = describe(error) if isinstance(error, psycopg.Error) else str(error.args[0])
            self._trouble = (
                f"--errors: {self._given} holds only what was found in this run: {words}"
            )

    def close(self) -> str | None:
        """Put it in its place; what is wrong with it, None where all is there. Raises nothing."""
        try:
            self._file.close()
            if self._is_file:
                with suppress(FileNotFoundError):
                    shutil.copymode(self._path, self._new)
                self._new.replace(self._path)
            else:
                with self._new.open("rb") as source, self._path.open("wb", buffering=0) as target:
                    shutil.copyfileobj(source, target)
        except OSError as error:
            self._note(error)
        for left in (self._new, self._all):
            with suppress(OSError):
                left.unlink()
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
        return self._trouble

    def _note(self, error: OSError) -> None:
        self._trouble = (
            f"--errors: {self._given} was not written: {error.strerror or type(error).__name__}."
        )
