"""Inspects a path while it is typed. The functions block as long as the disk takes: call them in a thread."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.sizes import byte_size
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.imports.archive.kinds import non_archive_kind
from tiger_slack_tui.imports.archive.names import is_possible
from tiger_slack_tui.imports.archive.slackdump import archive_kind
from tiger_slack_tui.imports.request import resolved

_MOST = 2000
"""Entries of a folder that are read."""
_LISTS = ("users.json", "org_users.json", "channels.json", "groups.json", "dms.json", "mpims.json")


@dataclass(frozen=True, slots=True)
class PathEntry:
    """A folder, or a file that may be an archive. `text` is what to type for it."""

    text: str
    is_folder: bool
    size: int


@dataclass(frozen=True, slots=True)
class PathInspection:
    """What is at the path `text`."""

    text: str
    state: str = "off"
    """A key of `paint.MARKS`: ok, note, bad or off."""
    verdict: str = ""
    path: Path | None = None
    """The absolute path, with links followed if an archive may be there."""
    entries: Sequence[PathEntry] = ()
    """Folders and files whose paths begin with the text."""

    @property
    def is_good(self) -> bool:
        """Whether the path can be checked as an archive."""
        return self.state in ("ok", "note")

    @property
    def completed(self) -> str:
        """The longest text that all entries begin with."""
        texts = [entry.text for entry in self.entries]
        if not texts:
            return self.text
        first, last = min(texts), max(texts)  # a common beginning of these two is common to all
        ends = (at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
        return first[: next(ends, min(len(first), len(last)))]


def expand(text: str) -> Path:
    """The absolute path of the text, with ~ expanded. Blocks: a user's home can come from a directory service.

    A relative path stays relative if the working directory was deleted; ~NAME stays if NAME is not a valid name.
    """
    path = text.strip()
    with suppress(ValueError):
        path = os.path.expanduser(path)
    try:
        return Path(os.path.abspath(path))
    except OSError:
        return Path(path)


def inspect_path(text: str) -> PathInspection:
    """What is at the path. Blocks as long as the disk takes."""
    if not text.strip():
        return PathInspection(text)
    path = expand(text)
    if not path.is_absolute():
        return PathInspection(
            text, "bad", "The working directory was deleted. Type an absolute path."
        )
    if not is_possible(path):
        return PathInspection(text, "bad", "A path cannot hold such characters.")
    entries = _entries(text)
    if entries and not os.path.lexists(path):
        return PathInspection(text, "off", "See the completions below.", path, entries)
    try:
        return PathInspection(text, *_classify(path), resolved(path), entries)
    except SettingsError as error:
        return PathInspection(text, "bad", str(error.args[0]), path, entries)


def complete(text: str) -> str | None:
    """The first path that begins with the text; None if there is none. Blocks."""
    if not is_possible(expand(text)):
        return None
    return next((entry.text for entry in _entries(text) if entry.text != text), None)


def _classify(path: Path) -> tuple[str, str]:
    """The state and the verdict of an inspection."""
    try:
        if path.is_dir():
            return _classify_folder(path)
        if not path.exists():
            return "bad", "There is no such file or folder."
        if not path.is_file():  # opening a named pipe would wait for its writer
            return "bad", "This is neither a folder nor a file."
        size = byte_size(path.stat().st_size)
        with path.open("rb") as file:
            is_zip = zipfile.is_zipfile(file)
        database = None if is_zip else archive_kind(path)
        kind = None if is_zip or database else non_archive_kind(path)
    except OSError as error:
        return "bad", f"This cannot be read: {error.strerror}."
    if database is not None:
        if database.is_slackdump:
            return "ok", f"A database of Slackdump, {size}."
        return "bad", f"This is {database.about}."
    if kind is not None:
        return "bad", f"This is {kind.about}. {kind.hint}"
    return "ok", f"A ZIP file, {size}."


def _classify_folder(path: Path) -> tuple[str, str]:
    lists, folders = [], 0
    with os.scandir(path) as found:
        for number, entry in enumerate(found):
            if number >= _MOST:
                break
            folders += entry.is_dir()
            lists += [entry.name] if entry.name in _LISTS else []
    if lists:
        more = "over " if folders >= _MOST - len(lists) else ""
        return (
            "ok",
            f"A folder with {', '.join(sorted(lists))}, and {more}{amount(folders, 'folder')}.",
        )
    return "note", "A folder without users.json or channels.json. Is it the export's folder?"


def _entries(text: str) -> list[PathEntry]:
    """Folders, ZIP files and databases whose paths begin with the text, by name."""
    if not text.strip():
        return []
    head, tail = os.path.split(text)
    found = []
    try:
        with os.scandir(expand(head or ".")) as entries:
            for number, entry in enumerate(entries):
                if number >= _MOST:
                    break
                name = entry.name
                if not name.startswith(tail) or (name.startswith(".") and not tail):
                    continue
                if entry.is_dir():
                    found.append(PathEntry(os.path.join(head, name) + "/", True, 0))
                elif name.lower().endswith((".zip", ".sqlite")):
                    size = entry.stat(follow_symlinks=False).st_size
                    found.append(PathEntry(os.path.join(head, name), False, size))
    except OSError:
        return []
    return sorted(found, key=lambda entry: entry.text)
