"""Reads the members of an archive that is a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tiger_slack_tui.imports.archive.members import (
    ArchiveLimits,
    ArchiveRefused,
    Listing,
    Member,
    is_system,
)
from tiger_slack_tui.imports.archive.names import from_path, shown
from tiger_slack_tui.imports.archive.slackdump import SlackdumpSource, archive_kind


class FolderSource:
    """Reads the files of a folder. A database of Slackdump in it is read like a folder, too."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def list(self, limits: ArchiveLimits) -> Listing:
        """List the members.

        Links to folders, which may lead in a circle, and links out of the archive are not followed. Files that cannot
        be read are left out. Raises ArchiveRefused if the folder itself, or a database in it, cannot be read.
        """
        found = Listing()
        names: dict[str, str] = {}
        try:
            for name, status in self._walk(found):
                path = from_path(name)
                if names.setdefault(path, name) != name:
                    raise ArchiveRefused(
                        f"Two files of the archive have names that read as {shown(path)!r}.",
                        hint="Rename the folder or file whose name is not UTF-8.",
                    )
                file = Path(self._path) / name
                try:
                    database = archive_kind(file)
                except OSError as error:
                    found.left_out.append((path, f"a file that cannot be read: {error.strerror}"))
                    continue
                if database is None:
                    other = "" if path == name else name
                    found.members.append(Member(path, status.st_size, None, name=other))
                elif database.is_slackdump:
                    self._list_database(path, name, file, limits, found)
                else:
                    found.left_out.append((path, database.about))
        except OSError as error:
            raise unreadable(error.filename or self._path, error) from None
        found.members.sort(key=lambda member: member.path)
        return found

    def open(self, member: Member) -> IO[bytes]:
        if member.database:
            return SlackdumpSource(Path(self._path) / member.database).open(member)
        return open(f"{self._path}/{member.name or member.path}", "rb")

    def _walk(self, found: Listing) -> Iterator[tuple[str, os.stat_result]]:
        """The files, each with its path in the folder. The rest is added to `found.left_out`."""
        top = os.path.realpath(self._path)

        def leave_out(error: OSError) -> None:
            if error.filename == self._path:
                raise error
            inside = os.path.relpath(error.filename, self._path)
            found.left_out.append(
                (from_path(inside), f"a folder that cannot be read: {error.strerror}")
            )

        for directory, folders, files in os.walk(self._path, onerror=leave_out):
            folders[:] = [name for name in folders if not is_system(name)]
            inside = os.path.relpath(directory, self._path)
            for name in [*folders, *files]:
                path = f"{directory}/{name}"
                relative = name if inside == "." else f"{inside}/{name}"
                if is_system(name) or (not (is_link := os.path.islink(path)) and name in folders):
                    continue
                try:
                    status = os.stat(path)
                except FileNotFoundError:
                    why = "a link that leads nowhere" if is_link else "a file that was deleted"
                    found.left_out.append((from_path(relative), why))
                    continue
                except OSError as error:
                    why = "link that cannot be followed" if is_link else "file that cannot be read"
                    found.left_out.append((from_path(relative), f"a {why}: {error.strerror}"))
                    continue
                if stat.S_ISDIR(status.st_mode):
                    found.left_out.append((from_path(relative), "a link to a folder"))
                elif is_link and not _is_within(os.path.realpath(path), top):
                    found.left_out.append(
                        (from_path(relative), "a link that leads out of the archive")
                    )
                elif stat.S_ISREG(status.st_mode):
                    yield relative, status
                else:
                    found.left_out.append((from_path(relative), "not a file"))

    @staticmethod
    def _list_database(
        path: str, name: str, file: Path, limits: ArchiveLimits, found: Listing
    ) -> None:
        inner = SlackdumpSource(file).list(limits)
        found.members += [
            member._replace(path=f"{path}/{member.path}", name=member.path, database=name)
            for member in inner.members
        ]
        found.left_out += [(f"{path}/{inside}", why) for inside, why in inner.left_out]
        found.warnings += inner.warnings


def _is_within(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top.rstrip('/')}/")


def unreadable(path: str | Path, error: OSError) -> ArchiveRefused:
    """The error for a path that the operating system does not let us read."""
    return ArchiveRefused(f"{shown(from_path(path))!r} cannot be read: {error.strerror}.")
