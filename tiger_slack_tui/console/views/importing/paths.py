"""What lies at a path that is being typed: looked at in a thread, because a disk may take its time."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import humanize

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.imports.archive.names import is_possible
from tiger_slack_tui.imports.archive.slackdump import kind_of
from tiger_slack_tui.imports.request import resolved

_MOST = 2000
"""Entries of a folder that are looked at."""
_LISTS = ("users.json", "org_users.json", "channels.json", "groups.json", "dms.json", "mpims.json")


@dataclass(frozen=True, slots=True)
class PathEntry:
    """A folder, or a file that may be an archive. `text` is what to type for it."""

    text: str
    is_folder: bool
    size: int


@dataclass(frozen=True, slots=True)
class Look:
    """What lies at `text`."""

    text: str
    state: str = "off"
    """Of `paint.MARKS`."""
    verdict: str = ""
    path: Path | None = None
    """The absolute path that the text means; links are followed where an archive may be there."""
    entries: Sequence[PathEntry] = ()
    """What the text may go on to."""

    @property
    def is_good(self) -> bool:
        """Whether it can be looked at as an archive."""
        return self.state in ("ok", "note")

    @property
    def completed(self) -> str:
        """The text as far as it can go on in only one way."""
        texts = [entry.text for entry in self.entries]
        if not texts:
            return self.text
        first, last = min(texts), max(texts)  # what these two have in common, all have
        ends = (at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
        return first[: next(ends, min(len(first), len(last)))]


def full(text: str) -> Path:
    """The path that the text means. Blocks: the home of a user can come from a directory service.

    A relative path stays as it is where the working directory was deleted, ~NAME where NAME cannot be a user's name.
    """
    path = text.strip()
    with suppress(ValueError):
        path = os.path.expanduser(path)
    try:
        return Path(os.path.abspath(path))
    except OSError:
        return Path(path)


def look_at(text: str) -> Look:
    """Look at the path that the text means. Blocks as long as the disk takes."""
    if not text.strip():
        return Look(text)
    path = full(text)
    if not path.is_absolute():
        return Look(text, "bad", "The working directory was deleted: type a path from / on.")
    if not is_possible(path):
        return Look(text, "bad", "No path has such characters.")
    entries = _entries(text)
    if entries and not os.path.lexists(path):
        return Look(text, "off", "Goes on as below.", path, entries)
    try:
        return Look(text, *_judge(path), resolved(path), entries)
    except SettingsError as error:
        return Look(text, "bad", str(error.args[0]), path, entries)


def complete(text: str) -> str | None:
    """The first entry that begins like this. Blocks."""
    if not is_possible(full(text)):
        return None
    return next((entry.text for entry in _entries(text) if entry.text != text), None)


def _judge(path: Path) -> tuple[str, str]:
    try:
        if path.is_dir():
            return _judge_folder(path)
        if not path.exists():
            return "bad", "There is no such file or folder."
        if not path.is_file():  # opening a named pipe would wait for its writer
            return "bad", "It is neither a folder nor a regular file."
        size = humanize.naturalsize(path.stat().st_size)
        with path.open("rb") as file:
            is_zip = zipfile.is_zipfile(file)
        database = None if is_zip else kind_of(path)
    except OSError as error:
        return "bad", f"It cannot be read: {error.strerror}."
    if is_zip:
        return "ok", f"A ZIP of {size}."
    if database is not None:
        if database.is_slackdump:
            return "ok", f"A database of Slackdump of {size}."
        return "bad", f"It is {database.about}."
    return "bad", f"A file of {size}, but no ZIP, or one that lacks its end."


def _judge_folder(path: Path) -> tuple[str, str]:
    lists, folders = [], 0
    with os.scandir(path) as found:
        for number, entry in enumerate(found):
            if number >= _MOST:
                break
            folders += entry.is_dir()
            lists += [entry.name] if entry.name in _LISTS else []
    if lists:
        more = "over " if folders >= _MOST - len(lists) else ""
        return "ok", f"A folder with {', '.join(sorted(lists))}, and {more}{folders:,} folders."
    return "note", "A folder without users.json or channels.json: is it the export's own?"


def _entries(text: str) -> list[PathEntry]:
    """Folders, ZIPs and databases that the text may go on to, by name."""
    if not text.strip():
        return []
    head, tail = os.path.split(text)
    found = []
    try:
        with os.scandir(full(head or ".")) as entries:
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
