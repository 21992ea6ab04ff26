"""Which source reads an archive."""

from __future__ import annotations

import os
from pathlib import Path

from tiger_slack_tui.history.archive import ArchiveRefused, Source
from tiger_slack_tui.history.folder import Folder
from tiger_slack_tui.history.names import from_bytes, shown
from tiger_slack_tui.history.slackdump import SlackdumpDatabase, is_slackdump
from tiger_slack_tui.history.zips import Zip


def open_source(path: Path) -> Source:
    """What reads the archive: a folder, a database of Slackdump, else a ZIP. Blocks.

    Raises ArchiveRefused where there is nothing.
    """
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise ArchiveRefused(
            f"There is no folder and no file {shown(from_bytes(os.fsencode(path)))}."
        )
    return SlackdumpDatabase(path) if is_slackdump(path) else Zip(path)
