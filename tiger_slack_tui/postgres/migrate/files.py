"""The migration files, and what of them a database still needs. No I/O but reading the files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from tiger_slack_tui.base.errors import MigrationError

_NAME = re.compile(r"(\d{3})-[a-z0-9]+(-[a-z0-9]+)*\.sql")


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """One file. `name` is its path below the migrations directory, and its key in slack.migration."""

    name: str
    body: str

    @property
    def incremental(self) -> bool:
        """Whether it runs once; idempotent ones run whenever they or the version changed."""
        return self.name.startswith("incremental/")


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of slack.migration."""

    version: str
    at: datetime
    body: str


class FileState(StrEnum):
    """What a database has of a file."""

    APPLIED = "applied"
    PENDING = "pending"
    CHANGED = "changed"
    """An incremental file whose body is not the one that was applied. It is not run again."""
    MISSING = "missing"
    """Applied, but not among the files."""


def migrations_directory() -> Path:
    """Where the files are: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent.parent.parent
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def read_migrations(directory: Path) -> tuple[MigrationFile, ...]:
    """All files, in the order in which they run.

    Raises MigrationError where a name is not NNN-lower-case-words.sql, or where a number is missing or
    stands twice. Numbers begin with 001, in incremental/ and idempotent/ apart.
    """
    files: list[MigrationFile] = []
    for kind in ("incremental", "idempotent"):
        try:
            paths = sorted((directory / kind).iterdir())
        except OSError:
            raise MigrationError(f"There is no directory {directory / kind}.") from None
        for number, path in enumerate(paths, start=1):
            name = f"{kind}/{path.name}"
            match = _NAME.fullmatch(path.name)
            if match is None:
                raise MigrationError(f"{name} is no name of a migration: NNN-lower-case-words.sql")
            if int(match[1]) < number:
                raise MigrationError(f"{name}: the number {match[1]} stands twice in {kind}/")
            if int(match[1]) > number:
                raise MigrationError(f"{name}: the number {number:03d} is missing in {kind}/")
            files.append(MigrationFile(name, path.read_text(encoding="utf-8")))
    return tuple(files)


def file_states(
    files: tuple[MigrationFile, ...], applied: Mapping[str, Applied], *, same_version: bool
) -> dict[str, FileState]:
    """The state of each file, and of each applied one that is missing. `same_version`: see `pending`."""
    states = {}
    for file in files:
        row = applied.get(file.name)
        if row is None:
            state = FileState.PENDING
        elif file.incremental:
            state = FileState.APPLIED if row.body == file.body else FileState.CHANGED
        else:
            current = same_version and row.body == file.body
            state = FileState.APPLIED if current else FileState.PENDING
        states[file.name] = state
    return states | {name: FileState.MISSING for name in applied if name not in states}


def pending(
    files: tuple[MigrationFile, ...],
    applied: Mapping[str, Applied],
    *,
    version: str,
    database_version: str | None,
) -> list[MigrationFile]:
    """The files to run on a database of `database_version` (None: a new one), in order.

    Raises MigrationError where the database is newer, where a new incremental file comes without a raised
    version, and where one stands before others that were already applied.
    """
    if database_version is not None and number(version) < number(database_version):
        raise MigrationError(
            f"The database has version {database_version}, which is newer than this program's {version}.",
            hint=f"Install version {database_version} or newer.",
        )
    states = file_states(files, applied, same_version=version == database_version)
    due = [file for file in files if states[file.name] is FileState.PENDING]
    new = [file for file in due if file.incremental]
    newest = max((name for name in applied if name.startswith("incremental/")), default="")
    for file in new:
        if database_version == version:
            raise MigrationError(
                f"{file.name} is new, but the database already has version {version}.",
                hint="Raise the version together with a new migration.",
            )
        if file.name < newest:
            raise MigrationError(
                f"{file.name} is new, but {newest}, which follows it, was applied."
            )
    return due


def number(version: str) -> tuple[int, ...]:
    """The version as something to compare: "0.10.2" is newer than "0.9"."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def body_difference(file: MigrationFile, applied: Applied) -> str:
    """How the file differs from the body that was applied, as a unified diff."""
    before, now = applied.body.splitlines(), file.body.splitlines()
    return "\n".join(difflib.unified_diff(before, now, "applied", file.name, lineterm="", n=1))
