"""The import that an operator defines in the wizard, before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.ids import ChannelId, is_channel_id
from tiger_slack_tui.base.name_patterns import NamePatterns
from tiger_slack_tui.base.times import parse_period
from tiger_slack_tui.console.panes.cached_value import CachedValue
from tiger_slack_tui.imports.archive.members import Export
from tiger_slack_tui.imports.archive.names import from_path, is_possible, shown
from tiger_slack_tui.imports.ledger import FolderProgress
from tiger_slack_tui.imports.request import MOST_WORKERS, ImportRequest
from tiger_slack_tui.imports.state import ImportState
from tiger_slack_tui.store.past_imports import PastImport


@dataclass(slots=True)
class ImportDraft:
    """What the operator has chosen so far. It never reads the disk.

    `channels` holds patterns as `--channel` takes them; None means all channels.
    """

    path: str = ""
    """As it was typed."""
    target: Path | None = None
    """The absolute path of `path`; None until the disk was read."""
    since: str = ""
    until: str = ""
    channels: tuple[str, ...] | None = None
    channel_map: dict[str, ChannelId] = field(default_factory=dict)
    root: str = ""
    workspace: str = ""
    workers: int = 2
    restart: bool = False
    exports: tuple[Export, ...] = ()
    """The exports of the archive, after it was refused because it holds several."""
    _patterns: CachedValue[NamePatterns] = field(
        default_factory=CachedValue, repr=False, compare=False
    )
    _chosen: CachedValue[frozenset[str]] = field(
        default_factory=CachedValue, repr=False, compare=False
    )

    @property
    def request(self) -> ImportRequest:
        return ImportRequest(
            path=self.target or Path(self.path),
            since=self.since or None,
            until=self.until or None,
            channels=self.channels or (),
            channel_map=self.channel_map,
            root=self.root or None,
            workspace=self.workspace or None,
            workers=self.workers,
            restart=self.restart,
        )

    @property
    def check_request(self) -> ImportRequest:
        """The check of the whole archive: the operator chooses channels and dates after it."""
        whole = self.request
        return ImportRequest(
            path=whole.path,
            channel_map=whole.channel_map,
            root=whole.root,
            workspace=whole.workspace,
        )

    def describe_root(self, text: str) -> str:
        """What the typed root means, in words. Raises SettingsError for a root that does not exist."""
        if not text:
            return self._without("root")
        wanted = str(PurePosixPath(text))
        for export in self.exports:
            if wanted in (export.path, shown(export.path)):
                return f"of {', '.join(export.teams) or 'an unknown workspace'}"
        if self.exports:
            raise SettingsError(f"Unknown export. Choose one of: {self.choices('root')}.")
        return "Enter sets it"

    def describe_workspace(self, text: str) -> str:
        """What the typed workspace means, in words. Raises SettingsError for one that does not exist."""
        if not text:
            return self._without("workspace")
        found = [shown(export.path) for export in self.exports if text in export.teams]
        if self.exports and not found:
            raise SettingsError(f"Unknown workspace. Choose one of: {self.choices('workspace')}.")
        return ", ".join(found) or "Enter sets it"

    def choices(self, name: str) -> str:
        """The possible values of "root" or "workspace"; "" if they are not known."""
        if name == "root":
            return ", ".join(shown(export.path) for export in self.exports)
        return ", ".join(sorted({shown(team) for export in self.exports for team in export.teams}))

    def _without(self, name: str) -> str:
        if self.exports and not (self.root or self.workspace):
            raise SettingsError(f"Choose one of: {self.choices(name) or 'the exports'}.")
        return "not set"

    def copy_from(self, past: PastImport) -> None:
        """Take the path of an earlier import; its options, too, if it can be continued."""
        given: Mapping[str, Any] = past.options if past.can_continue else {}
        self.path, self.target = past.source, None
        self.since, self.until = given.get("since") or "", given.get("until") or ""
        self.channels = tuple(given.get("channels") or ()) or None
        self.channel_map = dict(given.get("channel_map") or {})
        self.root, self.workspace = given.get("root") or "", given.get("workspace") or ""
        self.exports = ()
        self.restart = False

    def find_unfinished(self, imports: Iterable[PastImport]) -> PastImport | None:
        """The unfinished import that this one would continue; None if there is none."""
        request = self.request
        if not is_possible(request.path):
            return None
        source, given = from_path(request.path), request.as_given
        for past in imports:
            if past.source == source and past.options == given:
                return past if past.can_continue else None
        return None

    def selects(self, folder: FolderProgress) -> bool:
        """Whether the folder will be imported."""
        if folder.channel is None and folder.name not in self.channel_map:
            return False
        if self.channels is None:
            return True
        patterns = self._patterns(lambda: NamePatterns(self.channels or ()), self.channels)
        return patterns.match(_title(folder), folder.channel or self.channel_map[folder.name])

    def chosen(self, check: ImportState | None) -> frozenset[str]:
        """The names of the folders that will be imported, by the check of the archive."""
        if check is None:
            return frozenset()
        return self._chosen(
            lambda: frozenset(f.name for f in check.folders.values() if self.selects(f)),
            check.request,
            len(check.folders),
            self.channels,
            str(self.channel_map),
        )

    def toggle(self, folder: FolderProgress, folders: Iterable[FolderProgress]) -> None:
        """Select the folder, or remove it from the selection."""
        chosen = [other for other in folders if self.selects(other) != (other is folder)]
        self._choose(chosen, folders)

    def toggle_all(self) -> None:
        """Select all folders; if all are selected, none."""
        self.channels = () if self.channels is None else None

    def problem(self, now: datetime | None = None) -> str | None:
        """Why the import cannot start with these options; None if it can."""
        if self.channels == ():
            return "No channel is selected."
        try:
            parse_period(
                self.since or None, self.until or None, now or datetime.now(UTC), prefix=""
            )
        except SettingsError as error:
            return str(error.args[0])
        return None

    def _choose(self, chosen: list[FolderProgress], folders: Iterable[FolderProgress]) -> None:
        possible = [f for f in folders if f.channel is not None or f.name in self.channel_map]
        whole = len(chosen) == len(possible)
        self.channels = None if whole else tuple(sorted({_pattern(f) for f in chosen}))


def parse_workers(text: str) -> int:
    """The number of processes. Raises SettingsError."""
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_WORKERS:
        return int(text)
    raise SettingsError(f"Type a whole number from 1 to {MOST_WORKERS}.")


def parse_channel(text: str) -> ChannelId:
    """The id of a channel. Raises SettingsError."""
    text = text.strip()
    if is_channel_id(text):
        return text
    raise SettingsError("An id starts with C, D or G, such as C0123456789.")


def parse_limit(text: str) -> float:
    """Seconds, from a text in milliseconds. Raises SettingsError."""
    number = text.removesuffix("ms").strip()
    if number.isascii() and number.isdigit() and 10 <= int(number) <= 60_000:
        return int(number) / 1000
    raise SettingsError("Type milliseconds, from 10 to 60000.")


def _title(folder: FolderProgress) -> str:
    return folder.name.rpartition("/")[2]


def _pattern(folder: FolderProgress) -> str:
    """A pattern that selects the folder, and no folder with another name."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in _title(folder))
