"""Which source reads an archive."""

from __future__ import annotations

import os
from pathlib import Path

from tiger_slack_tui.imports.archive.folder import FolderSource, unreadable
from tiger_slack_tui.imports.archive.members import ArchiveRefused, Source
from tiger_slack_tui.imports.archive.names import from_bytes, shown
from tiger_slack_tui.imports.archive.slackdump import SlackdumpSource, kind_of
from tiger_slack_tui.imports.archive.zips import ZipSource


def open_source(path: Path) -> Source:
    """What reads the archive: a folder, a database of Slackdump, else a ZIP. Blocks.

    Raises ArchiveRefused where there is nothing, or what cannot be read in one of these ways.
    """
    if path.is_dir():
        return FolderSource(path)
    name = shown(from_bytes(os.fsencode(path)))
    if not path.exists():
        raise ArchiveRefused(f"There is no folder and no file {name}.")
    if not path.is_file():
        raise ArchiveRefused(
            f"{name} is neither a folder nor a regular file.",
            hint="Give the folder of an export, its ZIP, or a database of Slackdump.",
        )
    try:
        database = kind_of(path)
    except OSError as error:
        raise unreadable(path, error) from None
    if database is None:
        return ZipSource(path)
    if not database.is_slackdump:
        raise ArchiveRefused(f"{name} is {database.about}.")
    return SlackdumpSource(path)
