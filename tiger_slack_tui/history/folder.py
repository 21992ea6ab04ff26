"""An export that is unpacked: a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tiger_slack_tui.history.archive import (
    ArchiveLimits,
    ArchiveRefused,
    Listing,
    Member,
    is_system,
)
from tiger_slack_tui.history.names import from_bytes, shown
from tiger_slack_tui.history.slackdump import SlackdumpDatabase, is_slackdump


class Folder:
    """Reads the files of a folder, and the databases of Slackdump among them as if they were folders, too."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def list(self, limits: ArchiveLimits) -> Listing:
        """The members. A link to a folder is not followed: it may lead in a circle.

        Raises ArchiveRefused where a folder cannot be read, or a link leads out of the archive.
        """
        found = Listing()
        names: dict[str, str] = {}
        try:
            for name, status in self._walk(found):
                path = from_bytes(os.fsencode(name))
                if names.setdefault(path, name) != name:
                    raise ArchiveRefused(
                        f"Two files of the archive have names that read as {shown(path)!r}.",
                        hint="Rename the folder or file whose name is not UTF-8.",
                    )
                file = Path(self._path) / name
                if is_slackdump(file):
                    self._list_database(path, name, file, limits, found)
                else:
                    other = "" if path == name else name
                    found.members.append(Member(path, status.st_size, None, name=other))
        except OSError as error:
            raise unreadable(error.filename or self._path, error) from None
        found.members.sort(key=lambda member: member.path)
        return found

    def open(self, member: Member) -> IO[bytes]:
        if member.database:
            return SlackdumpDatabase(Path(self._path) / member.database).open(member)
        return open(f"{self._path}/{member.name or member.path}", "rb")

    def _walk(self, found: Listing) -> Iterator[tuple[str, os.stat_result]]:
        """The files, each with its path in the folder; what is none goes to `found`."""
        top = os.path.realpath(self._path)
        for directory, folders, files in os.walk(self._path, onerror=_fail):
            folders[:] = [name for name in folders if not is_system(name)]
            inside = os.path.relpath(directory, self._path)
            for name in [*folders, *files]:
                path = f"{directory}/{name}"
                relative = name if inside == "." else f"{inside}/{name}"
                if is_system(name) or (not (is_link := os.path.islink(path)) and name in folders):
                    continue
                if is_link and not _is_within(os.path.realpath(path), top):
                    raise ArchiveRefused(
                        f"{_text(path)!r} is a link that leads out of the archive."
                    )
                try:
                    status = os.stat(path)
                except FileNotFoundError:
                    found.left_out.append((_text(relative), "a link that leads nowhere"))
                    continue
                if stat.S_ISDIR(status.st_mode):
                    found.left_out.append((_text(relative), "a link to a folder"))
                elif stat.S_ISREG(status.st_mode):
                    yield relative, status
                else:
                    found.left_out.append((_text(relative), "not a file"))

    @staticmethod
    def _list_database(
        path: str, name: str, file: Path, limits: ArchiveLimits, found: Listing
    ) -> None:
        inner = SlackdumpDatabase(file).list(limits)
        found.members += [
            member._replace(path=f"{path}/{member.path}", name=member.path, database=name)
            for member in inner.members
        ]
        found.left_out += [(f"{path}/{inside}", why) for inside, why in inner.left_out]
        found.warnings += inner.warnings


def _is_within(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top.rstrip('/')}/")


def _text(path: str) -> str:
    return from_bytes(os.fsencode(path))


def _fail(error: OSError) -> None:
    raise error


def unreadable(path: str | Path, error: OSError) -> ArchiveRefused:
    """The error for what the operating system does not let us read."""
    return ArchiveRefused(f"{shown(_text(str(path)))!r} cannot be read: {error.strerror}.")
