"""What an operator asks to import, on the command line or in the console."""

from __future__ import annotations

import json
import re
import shlex
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.ids import ChannelId, is_channel_id
from tiger_slack_tui.base.times import parse_period
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.archive.names import from_path, is_possible, shown
from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.imports.archive.sources import not_an_archive
from tiger_slack_tui.imports.archive.workspaces import ExportChoice
from tiger_slack_tui.imports.options import ImportOptions

MOST_WORKERS = 32


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """An import, with the arguments of its command line."""

    path: Path
    since: str | None = None
    until: str | None = None
    channels: tuple[str, ...] = ()
    channel_map: Mapping[str, ChannelId] = field(default_factory=dict)
    root: str | None = None
    workspace: str | None = None
    workers: int = 2
    dry_run: bool = False
    restart: bool = False
    compress: bool = True

    @property
    def as_given(self) -> dict[str, Any]:
        """The options that identify an unfinished import, together with its path: slack.import.options."""
        given = {
            "since": self.since,
            "until": self.until,
            "channels": sorted(self.channels),
            "channel_map": dict(self.channel_map),
        }
        # Options that came later are left out if they are not set: imports begun before them can be continued.
        chosen = {"root": self.root, "workspace": self.workspace}
        return given | {name: value for name, value in chosen.items() if value is not None}

    def options(self, limits: ArchiveLimits, now: datetime) -> ImportOptions:
        """The request, parsed and checked. Durations count back from `now`. Raises SettingsError."""
        since, until = parse_period(self.since or None, self.until or None, now)
        selection = ImportSelection(
            since=since,
            until=until,
            channels=self.channels,
            channel_map=self.channel_map,
            choice=ExportChoice(self.root, self.workspace),
        )
        return ImportOptions(
            selection=selection,
            as_given=self.as_given,
            workers=self.workers,
            dry_run=self.dry_run,
            restart=self.restart,
            compress=self.compress,
            limits=limits,
        )

    def command(self, channel_map: Path | None = None) -> str:
        """The command line of the request. `channel_map` is a file that holds the request's channel map."""
        words = ["tiger-slack", "import", str(self.path)]
        for name, value in (("--since", self.since), ("--until", self.until)):
            words += [name, value] if value else []
        for channel in self.channels:
            words += ["--channel", channel]
        if self.channel_map and channel_map:
            words += ["--channel-map", str(channel_map)]
        for name, value in (("--root", self.root), ("--workspace", self.workspace)):
            words += [name, value] if value else []
        if self.workers != type(self)(self.path).workers:
            words += ["--workers", str(self.workers)]
        for name, is_set in (("--dry-run", self.dry_run), ("--restart", self.restart)):
            words += [name] if is_set else []
        return shlex.join(words if self.compress else [*words, "--no-compress"])


def resolved(path: Path) -> Path:
    """The absolute path of an archive, with all links followed. Blocks as long as the disk takes.

    Raises SettingsError if it cannot be the path of an archive. A path that does not exist is returned, too.
    """
    if not is_possible(path):
        raise SettingsError(f"A path cannot have such characters: {shown(repr(str(path)))}.")
    try:
        found = path.resolve()
        with suppress(OSError):  # opening the archive reports the error
            mode = found.stat().st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                message, hint = not_an_archive(shown(from_path(path)))
                raise SettingsError(message, hint=hint)
        return found
    except FileNotFoundError:  # the working directory's; a missing file raises nothing here
        raise SettingsError(
            f"{shown(str(path))} is a relative path, and the working directory was deleted.",
            hint="Give a path that begins with /.",
        ) from None
    except RuntimeError:
        raise SettingsError(f"{shown(str(path))} is a link in a circle of links.") from None
    except OSError as error:
        raise SettingsError(f"{shown(str(path))} cannot be followed: {error.strerror}.") from None


def read_channel_map(path: Path) -> dict[str, ChannelId]:
    """Read the channel ids of folders from a JSON file. Raises SettingsError."""
    try:
        value = json.loads(path.read_text("utf-8"), object_pairs_hook=_without_repetitions)
    except OSError as error:
        raise SettingsError(f"--channel-map: {path} cannot be read: {error.strerror}.") from None
    except _Repeated as error:
        raise SettingsError(
            f"--channel-map: {path} names {shown(error.args[0])!r} twice.",
            hint="Keep one of the two.",
        ) from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(
        isinstance(id_, str) and is_channel_id(id_) for id_ in value.values()
    ):
        raise SettingsError(
            f"--channel-map: {path} is not a JSON object of folders and channel ids.",
            hint='It looks like {"general": "C0123456789"}.',
        )
    if bad := next((name for name in value if _IMPOSSIBLE.search(name)), None):
        raise SettingsError(
            f"--channel-map: {path} names {shown(bad)!r}, which cannot be the name of a folder."
        )
    return value


_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")
"""Characters that no folder's name has. Bytes that are not UTF-8 are shown as %XX (`names.from_bytes`)."""


class _Repeated(Exception):
    """A key that occurs twice."""


def _without_repetitions(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if found.setdefault(name, value) != value:
            raise _Repeated(name)
    return found
