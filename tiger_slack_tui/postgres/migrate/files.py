"""Reads the migration files, and decides which of them a database still needs."""

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
    """A file. `name` is its path below the migrations directory, and its key in slack.migration."""

    name: str
    body: str

    @property
    def is_incremental(self) -> bool:
        """Whether it runs once. An idempotent file runs whenever it or the program's version has changed."""
        return self.name.startswith("incremental/")


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A row of slack.migration."""

    version: str
    at: datetime
    body: str


class MigrationFileState(StrEnum):
    """The state of a file in a database."""

    APPLIED = "applied"
    PENDING = "pending"
    CHANGED = "changed"
    """An incremental file whose text differs from the one that was applied. It is not run again."""
    MISSING = "missing"
    """Applied, but not among the files."""


def shipped_migrations() -> tuple[MigrationFile, ...]:
    """The files that belong to this program: in the installed package, or at the top of a checkout.

    Raises MigrationError as `read_migrations`.
    """
    package = Path(__file__).parent.parent.parent
    shipped = package / "migrations"
    return read_migrations(shipped if shipped.is_dir() else package.parent / "migrations")


def read_migrations(directory: Path) -> tuple[MigrationFile, ...]:
    """All files of a directory, in the order in which they run: first incremental/, then idempotent/.

    Each of the two directories numbers its files from 001. Raises MigrationError if a name is not
    NNN-lower-case-words.sql, or a number is missing or used twice.
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
                raise MigrationError(
                    f"{name} is not a valid name. A migration is named NNN-lower-case-words.sql."
                )
            if int(match[1]) < number:
                raise MigrationError(f"{name}: {kind}/ has the number {match[1]} twice.")
            if int(match[1]) > number:
                raise MigrationError(f"{name}: {kind}/ lacks the number {number:03d}.")
            files.append(MigrationFile(name, path.read_text(encoding="utf-8")))
    return tuple(files)


def file_states(
    files: tuple[MigrationFile, ...], applied: Mapping[str, AppliedMigration], *, same_version: bool
) -> dict[str, MigrationFileState]:
    """The state of each file, and of each applied file that is missing here.

    `same_version` says that the database has the program's version: then an idempotent file whose text has not
    changed does not run again.
    """
    states = {}
    for file in files:
        row = applied.get(file.name)
        if row is None:
            state = MigrationFileState.PENDING
        elif file.is_incremental:
            state = (
                MigrationFileState.APPLIED if row.body == file.body else MigrationFileState.CHANGED
            )
        else:
            current = same_version and row.body == file.body
            state = MigrationFileState.APPLIED if current else MigrationFileState.PENDING
        states[file.name] = state
    return states | {name: MigrationFileState.MISSING for name in applied if name not in states}


def pending(
    files: tuple[MigrationFile, ...],
    applied: Mapping[str, AppliedMigration],
    *,
    version: str,
    database_version: str | None,
) -> list[MigrationFile]:
    """The files to run on a database of `database_version` (None: a new one), in order.

    Raises MigrationError if the database is newer than the program, an incremental file is new although the
    version is not, or a new one precedes one that was applied.
    """
    if database_version is not None and version_number(version) < version_number(database_version):
        raise MigrationError(
            f"The database has version {database_version}, which is newer than this program's {version}.",
            hint=f"Install version {database_version} or newer.",
        )
    states = file_states(files, applied, same_version=version == database_version)
    due = [file for file in files if states[file.name] is MigrationFileState.PENDING]
    new = [file for file in due if file.is_incremental]
    newest = max((name for name in applied if name.startswith("incremental/")), default="")
    for file in new:
        if database_version == version:
            raise MigrationError(
                f"{file.name} is new, but the database already has version {version}.",
                hint="Raise the version together with a new migration.",
            )
        if file.name < newest:
            raise MigrationError(
                f"{file.name} is new, but {newest}, which comes after it, was applied already."
            )
    return due


def version_number(version: str) -> tuple[int, ...]:
    """The version as a tuple to compare: "0.10.2" is newer than "0.9"."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def body_difference(file: MigrationFile, applied: AppliedMigration) -> str:
    """A unified diff from the text that was applied to the file."""
    before, now = applied.body.splitlines(), file.body.splitlines()
    return "\n".join(difflib.unified_diff(before, now, "applied", file.name, lineterm="", n=1))
