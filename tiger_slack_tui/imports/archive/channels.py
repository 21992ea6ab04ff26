"""Finds the channel of each folder of an export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from tiger_slack_tui.base.ids import ChannelId, is_surely_channel_id
from tiger_slack_tui.base.name_patterns import key
from tiger_slack_tui.imports.archive.layout import CHANNEL_LISTS
from tiger_slack_tui.imports.archive.members import Member, Source
from tiger_slack_tui.imports.archive.names import shown
from tiger_slack_tui.imports.archive.records import read_objects
from tiger_slack_tui.store.import_messages import Channel

COMMENTS = "FC:"
"""The first characters of the names of folders with comments on canvases and files."""
_TYPES = {"C": "channel", "D": "im", "G": "group"}


class FolderChannel(NamedTuple):
    """The channel of a folder, and the channel's name if a list has it."""

    channel: Channel
    name: str | None = None


@dataclass(slots=True)
class _Listed:
    """The lists of one folder: channels by id, and their ids by name and by earlier name."""

    channels: dict[ChannelId, FolderChannel] = field(default_factory=dict)
    names: dict[str, set[ChannelId]] = field(default_factory=dict)
    previous: dict[str, set[ChannelId]] = field(default_factory=dict)

    def add(self, record: Mapping[str, Any], kind: str) -> None:
        listed, given = record.get("id"), record.get("name")
        if not isinstance(listed, str) or not listed:
            return
        id_ = ChannelId(listed)
        name = given if isinstance(given, str) else None
        known = self.channels.get(id_)
        type_: str | None = _channel_kind(record, kind)
        if known is not None and known.channel.type != type_:
            type_ = _TYPES.get(id_[:1])  # the lists contradict each other
        self.channels[id_] = FolderChannel(
            Channel(id_, type_), name or (known.name if known is not None else None)
        )
        if name:
            self.names.setdefault(key(name), set()).add(id_)
        previous = record.get("previous_names")
        for old in previous if isinstance(previous, list) else ():
            if isinstance(old, str) and old:
                self.previous.setdefault(key(old), set()).add(id_)

    def ids(self, name: str) -> set[ChannelId]:
        """The ids of the channels with this name; if there are none, of those that once had it."""
        if name in self.channels:
            return {ChannelId(name)}
        return self.names.get(name) or self.previous.get(name) or set()


class FolderChannels:
    """Finds the channels of folders, and collects warnings about folders without one."""

    def __init__(
        self,
        source: Source,
        lists: Iterable[Member],
        channel_map: Mapping[str, ChannelId],
        names: Mapping[str, Sequence[ChannelId]],
    ) -> None:
        """`names` has the ids of the channels that the database knows by that name, or by that id. Blocks."""
        self.warnings: list[str] = []
        self._map = {key(name): channel for name, channel in channel_map.items()}
        self._unused = set(self._map)
        self._listed: dict[str, _Listed] = {}  # by the directory of the list
        for member in lists:
            self._read_list(source, member)
        self._names = self._all_names(names)

    def find(self, folder: str) -> FolderChannel | None:
        """The folder's channel; None, and a warning, if it has none."""
        name = key(PurePosixPath(folder).name)
        if mapped := self._mapped(folder, name):
            return FolderChannel(Channel(mapped, self._type_of(mapped, folder)))
        for listed in self._lists_around(folder):
            ids = listed.ids(name)
            if len(ids) == 1:
                return listed.channels[next(iter(ids))]
            if ids:
                self._refuse(folder, f"may be any of {', '.join(sorted(ids))}")
                return None
        if is_surely_channel_id(name):
            return FolderChannel(Channel(name, _TYPES[name[0]]))
        ids = self._names.get(name, set())
        if len(ids) == 1:
            id_ = next(iter(ids))
            return FolderChannel(Channel(id_, self._type_of(id_, folder)))
        if ids:
            self._refuse(folder, f"may be any of {', '.join(sorted(ids))}")
        elif not name.startswith(COMMENTS):
            self._refuse(folder, "matches no channel of the lists or the database")
        return None

    def by_id(self, folder: str) -> FolderChannel:
        """The channel of a path that ends with its id."""
        id_ = ChannelId(PurePosixPath(folder).name)
        if mapped := self._mapped(folder, id_):
            return FolderChannel(Channel(mapped, self._type_of(mapped, folder)))
        for listed in self._lists_around(folder):
            if found := listed.channels.get(id_):
                return found
        return FolderChannel(Channel(id_, _TYPES.get(id_[:1])))

    def warn_of_unused(self) -> None:
        """Add warnings about names in the channel map that no folder has."""
        for name in sorted(self._unused):
            self.warnings.append(f"--channel-map names {shown(name)!r}: there is no such folder.")

    def _all_names(self, known: Mapping[str, Sequence[ChannelId]]) -> dict[str, set[ChannelId]]:
        """The ids of all channels by name: of the database, and of the lists."""
        names: dict[str, set[ChannelId]] = {}
        for name, ids in known.items():
            names.setdefault(key(name), set()).update(ids)
        for listed in self._listed.values():
            by_id: dict[str, set[ChannelId]] = {id_: {id_} for id_ in listed.channels}
            for by_name in (listed.names, listed.previous, by_id):
                for name, found in by_name.items():
                    names.setdefault(name, set()).update(found)
        return names

    def _mapped(self, folder: str, name: str) -> ChannelId | None:
        # By the name, or as a warning shows it.
        for known in (name, key(folder), key(shown(name)), key(shown(folder))):
            if mapped := self._map.get(known):
                self._unused.discard(known)
                return mapped
        return None

    def _type_of(self, id_: ChannelId, folder: str) -> str | None:
        for listed in self._lists_around(folder):
            if found := listed.channels.get(id_):
                return found.channel.type
        return _TYPES.get(id_[:1])

    def _refuse(self, folder: str, why: str) -> None:
        self.warnings.append(f"Folder {shown(folder)!r} {why}. Map it with --channel-map.")

    def _lists_around(self, folder: str) -> Iterable[_Listed]:
        """The lists beside the folder, then those further up."""
        for parent in PurePosixPath(folder).parents:
            if listed := self._listed.get(str(parent)):
                yield listed

    def _read_list(self, source: Source, member: Member) -> None:
        path = PurePosixPath(member.path)
        kind = CHANNEL_LISTS.get(path.name.lower())
        if kind is None:
            return
        listed = self._listed.setdefault(str(path.parent), _Listed())
        for record in read_objects(source, member):
            listed.add(record, kind)


def _channel_kind(record: Mapping[str, Any], kind: str) -> str:
    """The kind of a channel. Its record decides; if that names none, the list does. Dumps have one list for all."""
    if record.get("is_mpim") is True:
        return "mpim"
    if record.get("is_im") is True:
        return "im"
    if kind == "channel" and (record.get("is_private") is True or record.get("is_group") is True):
        return "group"
    return kind
