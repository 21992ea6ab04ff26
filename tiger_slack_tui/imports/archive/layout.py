"""Classifies the files of an archive by their names, and groups them into exports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from pathlib import PurePosixPath

from tiger_slack_tui.base.ids import CHANNEL_ID
from tiger_slack_tui.imports.archive.members import Member

USER_LISTS = ("users.json", "org_users.json")
CHANNEL_LISTS = {
    "channels.json": "channel",
    "groups.json": "group",
    "dms.json": "im",
    "mpims.json": "mpim",
}
"""The lists of channels, and the kind of the channels in each."""
WORKSPACE = "workspace.json"
"""The file in which Slackdump describes the workspace."""

_LISTS = frozenset((*USER_LISTS, *CHANNEL_LISTS))
_DAY_FILE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:\D.*)?\.json", re.IGNORECASE | re.ASCII)
"""2024-03-09.json; browsers and file managers add " (1)" and " copy", systems turn .json into .JSON."""
_DUMP = re.compile(rf"({CHANNEL_ID})(?:-\d{{1,12}}\.\d{{6}})?\.json", re.ASCII)
"""A channel's or thread's file in a dump of Slackdump."""
_UPLOAD = re.compile(r"F[A-Z0-9]{7,}-.+", re.ASCII)
"""An uploaded file, which Slackdump names by its id."""
_UPLOADS = frozenset({"__uploads", "__avatars"})

# These files hold no messages of channels. Every other file that is not read is reported as a problem.
_HARMLESS_NAMES = frozenset(
    {
        WORKSPACE,
        "canvas_in_the_conversation.json",
        "canvases.json",
        "external_teams.json",
        "file_conversations.json",
        "huddle_transcripts.json",
        "integration_logs.json",
        "lists.json",
    }
)
_HARMLESS_SUFFIXES = frozenset(
    [
        ".avi",
        ".bmp",
        ".css",
        ".doc",
        ".docx",
        ".gif",
        ".heic",
        ".htm",
        ".html",
        ".ico",
        ".jpeg",
        ".jpg",
        ".js",
        ".log",
        ".m4a",
        ".m4v",
        ".md",
        ".mkv",
        ".mov",
        ".mp3",
        ".mp4",
        ".mpeg",
        ".ogg",
        ".pdf",
        ".png",
        ".ppt",
        ".pptx",
        ".svg",
        ".tif",
        ".tiff",
        ".txt",
        ".wav",
        ".webm",
        ".webp",
        ".xls",
        ".xlsx",
        ".yaml",
        ".yml",
    ]
)
_OTHERS = (
    (".json.gz", "a chunk file of Slackdump, which `slackdump convert` turns into an export"),
    (".sqlite", "a database that is not read here: unpack it, and give its path"),
    (".sqlite3", "a database that is not read here: unpack it, and give its path"),
    (".zip", "an archive in the archive: unpack it"),
    (".gz", "an archive in the archive: unpack it"),
    (".tar", "an archive in the archive: unpack it"),
)


class LeftOut(StrEnum):
    """Why files that may hold messages are not read."""

    NOT_SELECTED = "channel not selected"
    OUTSIDE = "outside the dates"
    COMMENTS = "comments on canvases and files"
    NO_CHANNEL = "folder without a channel"
    UNKNOWN = "not a file that is known"

    @property
    def is_wanted(self) -> bool:
        """Whether the operator chose that, or the documentation says so."""
        return self in (LeftOut.NOT_SELECTED, LeftOut.OUTSIDE, LeftOut.COMMENTS)


@dataclass(frozen=True, slots=True)
class MessageFile:
    """A file of messages. `folder` is the path that names the channel; `day` is None if it holds several days."""

    folder: str
    day: date | None
    member: Member
    is_dump: bool = False


@dataclass(slots=True)
class Root:
    """One export: the folder with its lists, and the files below it."""

    path: str
    """Relative to the archive; "." for the archive itself."""
    lists: list[Member] = field(default_factory=list)
    files: list[MessageFile] = field(default_factory=list)
    workspace: Member | None = None
    unknown: list[tuple[str, str]] = field(default_factory=list)
    """Files that may hold messages and are not read, each with the reason."""
    harmless: int = 0
    """Files that hold no messages."""


def find_roots(members: Iterable[Member], left_out: Iterable[tuple[str, str]]) -> list[Root]:
    """The exports of an archive, sorted by path.

    The workspaces below the folder `teams` of an Enterprise Grid's export are one export. Files outside of all
    exports belong to the first one.
    """
    lists, days, rest = _by_kind(members)
    channel_folders = {file.folder for file in days}
    dumps = [m for m in rest if _is_dump(m.path) and _parent(m.path) not in channel_folders]
    roots = {path: Root(path) for path in {_root_of(_parent(m.path)) for m in [*lists, *dumps]}}
    for file in days:
        path = _parent(file.folder)
        if _root_around(roots, path) is None:
            roots.setdefault(_root_of(path), Root(_root_of(path)))
    if not roots:
        return []
    exports = sorted(roots.values(), key=lambda root: root.path)

    def around(path: str) -> Root:
        return _root_around(roots, _parent(path)) or exports[0]

    for member in lists:
        around(member.path).lists.append(member)
    for file in days:
        around(file.folder).files.append(file)
    for member in dumps:
        id_ = _DUMP.fullmatch(PurePosixPath(member.path).name)
        assert id_ is not None  # noqa: S101 `_is_dump` has matched it
        folder = str(PurePosixPath(member.path).with_name(id_[1]))
        around(member.path).files.append(MessageFile(folder, None, member, is_dump=True))
    taken = {member.path for member in dumps}
    for member in rest:
        if member.path not in taken:
            _sort_rest(around(member.path), member, channel_folders)
    for path, reason in left_out:
        around(path).unknown.append((path, reason))
    return exports


def _by_kind(members: Iterable[Member]) -> tuple[list[Member], list[MessageFile], list[Member]]:
    """The lists of users and channels, the files of a channel's day, and all others."""
    lists: list[Member] = []
    days: list[MessageFile] = []
    rest: list[Member] = []
    for member in members:
        folder, _, name = member.path.rpartition("/")
        if _is_upload(folder, name):
            rest.append(member)
        elif name.lower() in _LISTS:
            lists.append(member)
        elif folder and _DAY_FILE.fullmatch(name):
            days.append(MessageFile(folder, day_of(name), member))
        else:
            rest.append(member)
    return lists, days, rest


def why_nothing(members: Iterable[Member]) -> str | None:
    """A sentence about what an archive that is not an export seems to be; None if nothing is known."""
    for member in members:
        for suffix, what in _OTHERS:
            if member.path.lower().endswith(suffix):
                return f"It holds {member.path!r}, {what}."
    return None


def _sort_rest(root: Root, member: Member, channel_folders: set[str]) -> None:
    folder, _, name = member.path.rpartition("/")
    lower = name.lower()
    if lower == WORKSPACE and _parent(member.path) == root.path:
        root.workspace = member
    if (
        lower in _HARMLESS_NAMES
        or PurePosixPath(lower).suffix in _HARMLESS_SUFFIXES
        or _is_upload(folder, name)
    ):
        root.harmless += 1
        return
    for suffix, what in _OTHERS:
        if lower.endswith(suffix):
            root.unknown.append((member.path, what))
            return
    if _DAY_FILE.fullmatch(name):
        reason = "messages of a day outside of a channel's folder"
    elif folder in channel_folders:
        reason = "not named like the messages of a day"
    else:
        reason = LeftOut.UNKNOWN.value
    root.unknown.append((member.path, reason))


def _is_upload(folder: str, name: str) -> bool:
    return bool(folder) and (
        not _UPLOADS.isdisjoint(folder.split("/")) or _UPLOAD.fullmatch(name) is not None
    )


def _is_dump(path: str) -> bool:
    return _DUMP.fullmatch(path.rpartition("/")[2]) is not None


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _root_of(folder: str) -> str:
    """The path of the export to which a folder with lists, or with channels, belongs."""
    path = PurePosixPath(folder)
    return str(path.parent.parent) if path.parent.name == "teams" else folder


def _root_around(roots: dict[str, Root], folder: str) -> Root | None:
    """The innermost export around the folder."""
    while True:
        if root := roots.get(folder):
            return root
        if folder == ".":
            return None
        folder = _parent(folder)


@lru_cache(10_000)  # the same days in each channel
def day_of(name: str) -> date | None:
    """The day in the name of a day file; None for other files, and if there is no such day."""
    found = _DAY_FILE.fullmatch(name)
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None
