"""The import that an operator puts together, step by step."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.times import read_time
from tiger_slack_tui.console.panes.memo import Memo
from tiger_slack_tui.imports.archive.channel_patterns import ChannelPatterns
from tiger_slack_tui.imports.archive.members import Export
from tiger_slack_tui.imports.archive.names import from_bytes, is_possible, shown
from tiger_slack_tui.imports.ledger import FolderProgress
from tiger_slack_tui.imports.request import MOST_WORKERS, ImportRequest
from tiger_slack_tui.store.past_imports import PastImport


@dataclass(slots=True)
class ImportDraft:
    """What is chosen so far. Nothing in it touches the disk.

    `channels` are patterns as `--channel` takes them; None for all.
    """

    path: str = ""
    """As it was typed."""
    target: Path | None = None
    """The absolute path that it means; None until it was looked at."""
    since: str = ""
    until: str = ""
    channels: tuple[str, ...] | None = None
    channel_map: dict[str, str] = field(default_factory=dict)
    root: str = ""
    workspace: str = ""
    workers: int = 2
    anew: bool = False
    exports: tuple[Export, ...] = ()
    """Those of the archive, once it was refused because it holds several."""
    _patterns: Memo[ChannelPatterns] = field(default_factory=Memo, repr=False, compare=False)
    _chosen: Memo[frozenset[str]] = field(default_factory=Memo, repr=False, compare=False)

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
            restart=self.anew,
        )

    @property
    def check_request(self) -> ImportRequest:
        """The whole archive: which channels and dates are wanted is chosen when it is known what there is."""
        whole = self.request
        return ImportRequest(
            path=whole.path,
            channel_map=whole.channel_map,
            root=whole.root,
            workspace=whole.workspace,
        )

    def read_root(self, text: str) -> str:
        """What choosing this export means. Raises SettingsError."""
        if not text:
            return self._without("root")
        wanted = str(PurePosixPath(text))
        for export in self.exports:
            if wanted in (export.path, shown(export.path)):
                return f"of {', '.join(export.teams) or 'a workspace that it does not name'}"
        if self.exports:
            raise SettingsError(f"There is no such export: {self.choices('root')}.")
        return "Enter takes it"

    def read_workspace(self, text: str) -> str:
        """What choosing the exports of this workspace means. Raises SettingsError."""
        if not text:
            return self._without("workspace")
        found = [shown(export.path) for export in self.exports if text in export.teams]
        if self.exports and not found:
            raise SettingsError(f"No export is of it: {self.choices('workspace')}.")
        return ", ".join(found) or "Enter takes it"

    def choices(self, name: str) -> str:
        """What can be typed as the "root" or the "workspace"; "" where that is not known."""
        if name == "root":
            return ", ".join(shown(export.path) for export in self.exports)
        return ", ".join(sorted({shown(team) for export in self.exports for team in export.teams}))

    def _without(self, name: str) -> str:
        if self.exports and not (self.root or self.workspace):
            raise SettingsError(f"Type one of {self.choices(name) or 'them'}.")
        return "none is chosen"

    def go_on_with(self, past: PastImport) -> None:
        """Take over an import's path, and of one that can go on what it goes by."""
        given: Mapping[str, Any] = past.options if past.can_continue else {}
        self.path, self.target = past.source, None
        self.since, self.until = given.get("since") or "", given.get("until") or ""
        self.channels = tuple(given.get("channels") or ()) or None
        self.channel_map = dict(given.get("channel_map") or {})
        self.root, self.workspace = given.get("root") or "", given.get("workspace") or ""
        self.exports = ()
        self.anew = False

    def goes_on_with(self, imports: Iterable[PastImport]) -> PastImport | None:
        """The unfinished import that this one would go on with."""
        request = self.request
        if not is_possible(request.path):
            return None
        source, given = from_bytes(os.fsencode(request.path)), request.as_given
        for past in imports:
            if past.source == source and past.options == given:
                return past if past.can_continue else None
        return None

    def selects(self, folder: FolderProgress) -> bool:
        """Whether the folder is to be imported."""
        if folder.channel is None and folder.name not in self.channel_map:
            return False
        if self.channels is None:
            return True
        patterns = self._patterns(lambda: ChannelPatterns(self.channels or ()), self.channels)
        return patterns.match(_title(folder), folder.channel or self.channel_map[folder.name])

    def chosen(self, folders: Mapping[str, FolderProgress]) -> frozenset[str]:
        """The names of the folders that are to be imported."""
        return self._chosen(
            lambda: frozenset(f.name for f in folders.values() if self.selects(f)),
            folders,
            len(folders),
            self.channels,
            str(self.channel_map),
        )

    def toggle(self, folder: FolderProgress, folders: Iterable[FolderProgress]) -> None:
        """Select the folder, or not any more."""
        chosen = [other for other in folders if self.selects(other) != (other is folder)]
        self._choose(chosen, folders)

    def toggle_all(self) -> None:
        """Select all; where all are selected, none."""
        self.channels = () if self.channels is None else None

    def problem(self, now: datetime | None = None) -> str | None:
        """Why it cannot be imported as it is."""
        if self.channels == ():
            return "No channel is selected."
        try:
            since, until = (
                read_time(text, now or datetime.now(UTC), name, is_end=is_end) if text else None
                for text, name, is_end in (
                    (self.since, "since", False),
                    (self.until, "until", True),
                )
            )
        except SettingsError as error:
            return str(error.args[0])
        if since and until and since >= until:
            return "since is not before until: no message is between them."
        return None

    def _choose(self, chosen: list[FolderProgress], folders: Iterable[FolderProgress]) -> None:
        possible = [f for f in folders if f.channel is not None or f.name in self.channel_map]
        whole = len(chosen) == len(possible)
        self.channels = None if whole else tuple(sorted({_pattern(f) for f in chosen}))


def read_workers(text: str) -> int:
    """How many processes. Raises SettingsError."""
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_WORKERS:
        return int(text)
    raise SettingsError(f"A whole number from 1 to {MOST_WORKERS}.")


def read_channel(text: str) -> str:
    """The id of a channel. Raises SettingsError."""
    text = text.strip()
    if len(text) >= 3 and text[0] in "CDG" and text.isascii() and text.isalnum() and text.isupper():
        return text
    raise SettingsError("An id begins with C, D or G, such as C0123456789.")


def read_limit(text: str) -> float:
    """Milliseconds, as seconds. Raises SettingsError."""
    number = text.removesuffix("ms").strip()
    if number.isascii() and number.isdigit() and 10 <= int(number) <= 60_000:
        return int(number) / 1000
    raise SettingsError("Milliseconds, from 10 to 60000.")


def _title(folder: FolderProgress) -> str:
    return folder.name.rpartition("/")[2]


def _pattern(folder: FolderProgress) -> str:
    """What selects the folder and, as far as names tell, no other."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in _title(folder))
