"""Makes the plan of an import: the lists and files that it reads, and the channel of each file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.base.name_patterns import NamePatterns, closest, did_you_mean
from tiger_slack_tui.imports.archive.channels import COMMENTS, FolderChannel, FolderChannels
from tiger_slack_tui.imports.archive.layout import (
    USER_LISTS,
    LeftOut,
    MessageFile,
    Root,
    day_of,
    find_roots,
    why_nothing,
)
from tiger_slack_tui.imports.archive.members import (
    ArchiveRefused,
    Listing,
    Member,
    NothingSelected,
    Source,
)
from tiger_slack_tui.imports.archive.names import from_path, shown
from tiger_slack_tui.imports.archive.workspaces import ExportChoice, choose
from tiger_slack_tui.slack.ts import to_micros
from tiger_slack_tui.store.directory import DirectoryKind
from tiger_slack_tui.store.import_account import ImportProblem
from tiger_slack_tui.store.import_messages import Channel
from tiger_slack_tui.store.lock_spans import LOCK_SPAN

_BATCH_FILES = 400
"""Most files of a batch."""
_BATCH_BYTES = 2 << 20
"""Size in bytes at which a batch of files ends."""
_SHOWN = 10
"""Most channels that an error lists."""
_MARGIN = timedelta(days=1)
"""Day files follow another time zone than UTC: a file this close to the dates may hold selected messages."""


class PlannedFile(NamedTuple):
    """A file of messages to import.

    `folder` is the name that the export gives to the channel; a path if two channels have the name.
    """

    member: Member
    folder: str
    channel: Channel


NumberedFile = tuple[int, PlannedFile]
"""A file and its number in the plan's order."""


@dataclass(slots=True)
class Plan:
    """What an import reads, in this order, and what it leaves out."""

    lists: list[tuple[DirectoryKind, Member]] = field(default_factory=list)
    """The files with lists, each with what it lists."""
    files: list[PlannedFile] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    """The number of files that are not read and may hold messages, by reason (`LeftOut`)."""
    other_files: int = 0
    """Files of an export that hold no messages (canvases, logs, …)."""
    warnings: list[str] = field(default_factory=list)
    problems: list[ImportProblem] = field(default_factory=list)
    """Files that may hold messages and are of no known kind."""
    unmapped: dict[str, int] = field(default_factory=dict)
    """The number of files of each folder whose channel is unknown."""
    names: set[str] = field(default_factory=set)
    """Names and ids of all channels and folders that have files, also of those that are not selected."""
    titles: set[str] = field(default_factory=set)
    """Of these, the name by which an operator knows each."""
    days: tuple[date, date] | None = None
    """The first and the last day of all files whose names tell a day."""
    selected_days: tuple[date, date] | None = None
    """The same, of the channels that are selected."""
    contents: str = ""
    """The channels and days among which the operator can select, as sentences."""

    def skip(self, reason: LeftOut, files: int = 1) -> None:
        self.left_out[reason.value] = self.left_out.get(reason.value, 0) + files


@dataclass(frozen=True)
class ImportSelection:
    """The messages of an archive to import. Times are compared with each message's ts."""

    since: datetime | None = None
    until: datetime | None = None
    """The end, exclusive."""
    channels: tuple[str, ...] = ()
    """Patterns of names and ids; empty for all channels."""
    channel_map: Mapping[str, ChannelId] = field(default_factory=dict)
    """Channel ids by folder, for folders that match no channel, or several."""
    choice: ExportChoice = field(default_factory=ExportChoice)
    """The choice among several exports."""

    @property
    def has_dates(self) -> bool:
        """Whether the times are limited."""
        return self.since is not None or self.until is not None

    def is_wanted(self, ts: datetime) -> bool:
        return not (self.since and ts < self.since) and not (self.until and ts >= self.until)

    def may_hold(self, day: date | None) -> bool:
        """Whether the file of this day may hold a selected message."""
        return day is None or not (
            (self.since and self.since.date() - day > _MARGIN)
            or (self.until and day - self.until.date() > _MARGIN)
        )

    def matches_any(self, names: Iterable[str]) -> bool:
        """Whether `channels` match one of the names."""
        return any(self._patterns.match(name) for name in names)

    def unmatched(self, names: Collection[str]) -> list[str]:
        """The patterns of `channels` that match none of the names."""
        return self._patterns.unmatched(names)

    def selects(self, found: FolderChannel, folder: str) -> bool:
        return not self.channels or self._patterns.match(
            folder, found.name or folder, found.channel.id
        )

    @cached_property
    def _patterns(self) -> NamePatterns:
        return NamePatterns(self.channels)


def make_plan(
    path: Path,
    source: Source,
    listing: Listing,
    selection: ImportSelection,
    names: Mapping[str, Sequence[ChannelId]],
    held: Iterable[str] = (),
) -> Plan:
    """Make the plan. Blocks.

    `names` has the ids of the database's channels by name and by id; `held` the ids of its workspaces. Raises
    ArchiveRefused if the archive holds no export, if there are several exports, or one of another workspace, and the
    selection does not choose, and if no channel is selected.
    """
    roots = find_roots(listing.members, listing.left_out)
    if not roots:
        raise _no_export(path, listing)
    plan = Plan(warnings=list(listing.warnings))
    chosen = choose(source, roots, selection.choice, held, plan.warnings)
    lists = [member for root in chosen for member in root.lists]
    plan.lists = [
        ("user" if _is_of_users(member) else "channel", member)
        for member in sorted(lists, key=lambda member: not _is_of_users(member))
    ]
    _warn_of_missing(plan, chosen)
    channels = FolderChannels(source, lists, selection.channel_map, names)
    titles: dict[str, str] = {}
    for root in chosen:
        plan.other_files += root.harmless
        plan.problems += [ImportProblem(path, None, reason) for path, reason in root.unknown]
        if root.unknown:
            plan.skip(LeftOut.UNKNOWN, len(root.unknown))
        files = sorted(root.files, key=attrgetter("folder", "member.path"))
        for folder, group in groupby(files, key=attrgetter("folder")):
            _plan_folder(plan, channels, selection, titles, folder, list(group))
    channels.warn_of_unused()
    plan.warnings += channels.warnings
    _check_patterns(plan, selection)
    return plan


def _no_export(path: Path, listing: Listing) -> ArchiveRefused:
    return ArchiveRefused(
        f"{shown(from_path(path))} is not a Slack export:"
        " it holds neither lists of users or channels nor day files.",
        hint=why_nothing(listing.members)
        or _first_left_out(listing)
        or "Give the ZIP as it was downloaded, or the folder that users.json is in.",
    )


def _plan_folder(
    plan: Plan,
    channels: FolderChannels,
    selection: ImportSelection,
    titles: dict[str, str],
    folder: str,
    files: Sequence[MessageFile],
) -> None:
    """Plan the files of one folder, or leave them out."""
    name = folder.rpartition("/")[2]
    is_dump = all(file.is_dump for file in files)
    found = channels.by_id(folder) if is_dump else channels.find(folder)
    if found is None:
        if name.startswith(COMMENTS):
            plan.skip(LeftOut.COMMENTS, len(files))
        else:
            plan.skip(LeftOut.NO_CHANNEL, len(files))
            plan.unmapped[folder] = len(files)
            plan.names.add(name)
            plan.titles.add(name)
        return
    days = [file.day for file in files if file.day]
    plan.days = _widened(plan.days, days)
    plan.names |= {name, found.name or name, found.channel.id}
    plan.titles.add(found.name or name)
    if not selection.selects(found, name):
        plan.skip(LeftOut.NOT_SELECTED, len(files))
        return
    plan.selected_days = _widened(plan.selected_days, days)
    # A dump names its files by id; the name is in its list.
    name = found.name or name if is_dump else name
    title = name if titles.setdefault(name, folder) == folder else folder
    for file in files:
        if selection.may_hold(file.day):
            plan.files.append(PlannedFile(file.member, title, found.channel))
        else:
            plan.skip(LeftOut.OUTSIDE)


def _widened(days: tuple[date, date] | None, more: Sequence[date]) -> tuple[date, date] | None:
    """The first and the last of the days."""
    known = [*(days or ()), *more]
    return (min(known), max(known)) if known else None


def _check_patterns(plan: Plan, selection: ImportSelection) -> None:
    """Warn about patterns that match no channel. Raises NothingSelected if none matches, or no file has the dates."""
    unmatched = selection.unmatched(plan.names)
    if unmatched and not selection.matches_any(plan.names):
        listed = ", ".join(shown(pattern) for pattern in unmatched[:_SHOWN])
        titles = sorted(plan.titles)
        raise NothingSelected(
            f"No channel of the archive matches --channel {listed}.",
            hint=" ".join(filter(None, (_meant(unmatched, titles), _contents(plan, selection)))),
        )
    if not plan.files and plan.left_out.get(LeftOut.OUTSIDE):
        of = "the selected channels" if selection.channels else "the archive"
        raise NothingSelected(
            f"No file of {of} is within --since and --until.", hint=_contents(plan, selection)
        )
    plan.contents = _contents(plan, selection)
    plan.warnings += [
        f"--channel {shown(pattern)} matches no channel of the archive." for pattern in unmatched
    ]
    # The import does not need these, and the plan goes through a pipe.
    plan.names.clear()
    plan.titles.clear()


def _meant(patterns: Iterable[str], titles: Sequence[str]) -> str | None:
    """The question for channels whose names are like the patterns."""
    return did_you_mean(
        list(dict.fromkeys(map(shown, chain(*(closest(p, titles) for p in patterns)))))[:3]
    )


def _contents(plan: Plan, selection: ImportSelection) -> str:
    """The channels and the days of the archive; of selected channels, only the days."""
    if selection.channels and plan.selected_days:
        return "The selected channels have the days {} to {}.".format(*plan.selected_days)
    titles = sorted(plan.titles)
    more = f" and {len(titles) - _SHOWN:,} more" if len(titles) > _SHOWN else ""
    there = ", ".join(map(shown, titles[:_SHOWN])) + more
    channels = f"the channels {there}" if titles else "no channels"
    days = " and the days {} to {}".format(*plan.days) if plan.days else ""
    return f"The archive has {channels}{days}."


def sort_by_span(files: list[PlannedFile]) -> None:
    """Sort the files by the lock span of their days, without changing the order within one.

    A batch of files then has many channels of one span, not one channel of many, which needs more transactions.
    Files of several days come first.
    """
    files.sort(key=lambda planned: _span_of(PurePosixPath(planned.member.path).name))


def _span_of(name: str) -> int:
    day = day_of(name)
    return (
        -1
        if day is None
        else to_micros(datetime(day.year, day.month, day.day, tzinfo=UTC)) // LOCK_SPAN
    )


def split_files(files: Iterable[PlannedFile]) -> list[list[NumberedFile]]:
    """The files, numbered, in batches for workers."""
    batches: list[list[NumberedFile]] = []
    size = 0
    for number, planned in enumerate(files):
        if not batches or size >= _BATCH_BYTES or len(batches[-1]) == _BATCH_FILES:
            batches.append([])
            size = 0
        batches[-1].append((number, planned))
        size += planned.member.size
    return batches


def _first_left_out(listing: Listing) -> str | None:
    return next((f"{shown(path)!r} is {why}." for path, why in listing.left_out), None)


def _is_of_users(member: Member) -> bool:
    return PurePosixPath(member.path).name.lower() in USER_LISTS


def _warn_of_missing(plan: Plan, roots: Iterable[Root]) -> None:
    names = {PurePosixPath(member.path).name.lower() for root in roots for member in root.lists}
    if names.isdisjoint(USER_LISTS):
        plan.warnings.append("There is no users.json: users stay as the database has them.")
    if "channels.json" not in names:
        plan.warnings.append(
            "There is no channels.json: the channels of folders are looked up in the database."
        )
