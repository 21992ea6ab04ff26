"""Opens an archive by its kind."""

from __future__ import annotations

from pathlib import Path

from tiger_slack_tui.imports.archive.folder import FolderSource, unreadable
from tiger_slack_tui.imports.archive.members import ArchiveRefused, Source
from tiger_slack_tui.imports.archive.names import from_path, shown
from tiger_slack_tui.imports.archive.slackdump import SlackdumpSource, archive_kind
from tiger_slack_tui.imports.archive.zips import ZipSource


def open_source(path: Path) -> Source:
    """The source for the archive: a folder, a database of Slackdump, or else a ZIP. Blocks.

    Raises ArchiveRefused if the path is none of these.
    """
    if path.is_dir():
        return FolderSource(path)
    name = shown(from_path(path))
    if not path.exists():
        raise ArchiveRefused(f"There is no folder and no file {name}.")
    if not path.is_file():
        message, hint = not_an_archive(name)
        raise ArchiveRefused(message, hint=hint)
    try:
        database = archive_kind(path)
    except OSError as error:
        raise unreadable(path, error) from None
    if database is None:
        return ZipSource(path)
    if not database.is_slackdump:
        raise ArchiveRefused(f"{name} is {database.about}.")
    return SlackdumpSource(path)


def not_an_archive(name: str) -> tuple[str, str]:
    """The error, and the hint, for a path that is of a device, a pipe or a socket."""
    return (
        f"{name} is neither a folder nor a regular file.",
        "Give the folder of an export, its ZIP, or a database of Slackdump.",
    )
