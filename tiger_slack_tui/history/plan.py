"""What an archive holds: the lists of users and channels, the day files and the channels that they belong to."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from tiger_slack_tui.history.account import Reason
from tiger_slack_tui.history.archive import DAMAGE, Archive, ArchiveRefused, Member
from tiger_slack_tui.history.records import BadFile, Repaired, read_records
from tiger_slack_tui.history.rows import Channel

_DAY_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})\.json")
_USERS = ("users.json", "org_users.json")
_CHANNELS = {
    "channels.json": "channel",
    "groups.json": "group",
    "dms.json": "im",
    "mpims.json": "mpim",
}
_TYPES = {"C": "channel", "D": "im", "G": "group"}
_SPAN_FILES = 400
"""Files that a worker gets at once, ..."""
_SPAN_BYTES = 2 << 20
"""... or so many bytes of them."""
_COMMENTS = "FC:"
"""Begins the names of folders that hold comments on canvases and files."""
_MARGIN = timedelta(days=1)
"""Day files follow another time zone than UTC: a file outside by less than this may hold messages that are inside."""


class PlannedFile(NamedTuple):
    """A day file to import. `folder` is the name that the export gives to the channel; a path where two have it."""

    member: Member
    folder: str
    channel: Channel


@dataclass(slots=True)
class Plan:
    """What an import will read, in this order, and what it leaves alone."""

    lists: list[tuple[str, Member]] = field(default_factory=list)
    """("user" or "channel", its file)."""
    files: list[PlannedFile] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    """Day files that are not read, by reason."""
    other_files: int = 0
    """Files of an export that hold no messages (canvases, logs, …)."""
    warnings: list[str] = field(default_factory=list)
    unmapped: dict[str, int] = field(default_factory=dict)
    """Day files by folder, of folders that no channel is known for."""

    def skip(self, reason: str, files: int = 1) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + files


@dataclass(frozen=True)
class Selection:
    """Which messages of an archive are wanted. Times are compared with each message's ts."""

    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is not wanted."""
    channels: tuple[str, ...] = ()
    """Names or ids, with * and ?; without any, all."""
    channel_map: Mapping[str, str] = field(default_factory=dict)
    """Channel ids of folders that the export's lists do not name."""

    @property
    def has_dates(self) -> bool:
        """Whether it is not about all times."""
        return self.since is not None or self.until is not None

    def is_wanted(self, ts: datetime) -> bool:
        return not (self.since and ts < self.since) and not (self.until and ts >= self.until)

    def may_hold(self, day: date) -> bool:
        """Whether the file of this day may hold a wanted message."""
        return not (
            (self.since and day + _MARGIN < self.since.date())
            or (self.until and day - _MARGIN > self.until.date())
        )

    def selects(self, folder: str, channel: Channel) -> bool:
        return not self.channels or any(
            fnmatchcase(name, _key(pattern.removeprefix("#")))
            for pattern in self.channels
            for name in (_key(folder), channel.id)
        )


def make_plan(
    path: Path,
    members: Sequence[Member],
    selection: Selection,
    names: Mapping[str, Sequence[str]],
) -> Plan:
    """Sort the members into lists, day files and the rest. Blocks.

    `names` has the ids of the channels that the database knows by that name, or by that id.
    Raises ArchiveRefused where nothing in the archive is of an export.
    """
    plan = Plan()
    days: list[tuple[str, date, Member]] = []
    lists: list[Member] = []
    for member in members:
        folder, _, name = member.path.rpartition("/")
        if name in _USERS or name in _CHANNELS:
            lists.append(member)
        elif folder and (day := _day(name)) is not None:
            days.append((folder, day, member))
        else:
            plan.other_files += 1
    if not lists and not days:
        raise ArchiveRefused(
            f"{path} is no Slack export: it holds neither lists of users or channels nor day files.",
            hint="Give the ZIP as it was downloaded, or the folder that users.json is in.",
        )
    plan.lists = [
        ("user" if PurePosixPath(member.path).name in _USERS else "channel", member)
        for member in sorted(
            lists, key=lambda member: PurePosixPath(member.path).name not in _USERS
        )
    ]
    _warn_of_missing(plan, lists)
    channels = _Channels(path, lists, selection, names)
    titles: dict[str, str] = {}
    days.sort(key=itemgetter(0, 1))
    for folder, files in groupby(days, key=itemgetter(0)):
        channel, name = channels.find(folder), folder.rpartition("/")[2]
        if channel is None:
            _leave_out(plan, folder, name, sum(1 for _ in files))
        elif not selection.selects(name, channel):
            plan.skip("channel not selected", sum(1 for _ in files))
        else:
            title = name if titles.setdefault(name, folder) == folder else folder
            for _, day, member in files:
                if selection.may_hold(day):
                    plan.files.append(PlannedFile(member, title, channel))
                else:
                    plan.skip("outside the dates")
    plan.warnings += channels.warnings
    if selection.channels and not plan.files:
        plan.warnings.append("No file of the archive is of a channel that --channel selects.")
    return plan


def _leave_out(plan: Plan, folder: str, name: str, files: int) -> None:
    """Leave out the files of a folder without a channel."""
    if name.startswith(_COMMENTS):
        plan.skip("comments on canvases and files", files)
    else:
        plan.skip("folder without a channel", files)
        plan.unmapped[folder] = files


def deal(files: Iterable[PlannedFile]) -> list[list[tuple[int, PlannedFile]]]:
    """The files, numbered, in parts for workers."""
    spans: list[list[tuple[int, PlannedFile]]] = []
    size = 0
    for number, planned in enumerate(files):
        if not spans or size >= _SPAN_BYTES or len(spans[-1]) == _SPAN_FILES:
            spans.append([])
            size = 0
        spans[-1].append((number, planned))
        size += planned.member.size
    return spans


class _Channels:
    """The channel of each folder."""

    def __init__(
        self,
        path: Path,
        lists: Iterable[Member],
        selection: Selection,
        names: Mapping[str, Sequence[str]],
    ) -> None:
        self.warnings: list[str] = []
        self._map = {_key(name): channel for name, channel in selection.channel_map.items()}
        self._names = names
        self._listed: dict[str, dict[str, Channel]] = {}  # by the directory of the list
        archive = Archive(path)
        for member in lists:
            self._read_list(archive, member)

    def find(self, folder: str) -> Channel | None:
        """The folder's channel, or None, of which there is a warning then."""
        name = _key(PurePosixPath(folder).name)
        if any("\ud800" <= character <= "\udfff" for character in folder):
            self.warnings.append(f"The name of the folder {folder!r} is no UTF-8; rename it.")
            return None
        if channel := self._mapped(folder, name):
            return channel
        ids = self._names.get(name, [])
        if len(ids) == 1:
            return Channel(ids[0], _TYPES.get(ids[0][:1]))
        if not name.startswith(_COMMENTS):
            self.warnings.append(
                f"No channel for the folder {folder!r}: "
                + ("several had that name" if ids else "not in the lists, not in the database")
                + "; --channel-map can name one."
            )
        return None

    def _mapped(self, folder: str, name: str) -> Channel | None:
        if mapped := self._map.get(name) or self._map.get(_key(folder)):
            return Channel(mapped, _TYPES.get(mapped[:1]))
        # The lists beside the folder, else those of the archive around it.
        for parent in PurePosixPath(folder).parents:
            if channel := self._listed.get(str(parent), {}).get(name):
                return channel
        return None

    def _read_list(self, archive: Archive, member: Member) -> None:
        name = PurePosixPath(member.path)
        if name.name not in _CHANNELS:
            return
        known = self._listed.setdefault(str(name.parent), {})
        try:
            with archive.open(member) as stream:
                for record in read_records(stream, member.size):
                    _note(known, record, _CHANNELS[name.name])
        except BadFile as error:
            self.warnings.append(f"{member.path}: {error.reason}.")
        except DAMAGE:
            self.warnings.append(f"{member.path}: {Reason.DAMAGED}.")


def _note(known: dict[str, Channel], record: Any, kind: str) -> None:
    if isinstance(record, Repaired):
        record = record.value
    if not isinstance(record, dict) or not isinstance(record.get("id"), str) or not record["id"]:
        return
    channel = Channel(record["id"], kind)
    for name in (record["id"], record.get("name")):
        if isinstance(name, str):
            known.setdefault(_key(name), channel)


@lru_cache(10_000)  # the same days in each channel
def _day(name: str) -> date | None:
    match = _DAY_FILE.fullmatch(name)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def _key(name: str) -> str:
    """Names as they compare: macOS takes letters and their accents apart."""
    return unicodedata.normalize("NFC", name)


def _warn_of_missing(plan: Plan, lists: Iterable[Member]) -> None:
    names = {PurePosixPath(member.path).name for member in lists}
    if not names & set(_USERS):
        plan.warnings.append("There is no users.json: people stay as the database knows them.")
    if "channels.json" not in names:
        plan.warnings.append("There is no channels.json: folders are looked up in the database.")
