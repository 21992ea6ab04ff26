"""The members of an archive: files with a path, a size and a stream of bytes.

`sources.open_source` opens a folder, a ZIP or a database of Slackdump as such an archive.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple, Protocol

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.store.import_account import Reason

_SYSTEM_NAMES = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})


class Export(NamedTuple):
    """One of several exports in an archive."""

    path: str
    """The path in the archive."""
    teams: tuple[str, ...]
    """The ids of its workspaces; empty if they are unknown."""


class ArchiveRefused(TigerSlackError):
    """The archive cannot be read, or must not. Nothing was imported.

    `exports` has the exports that an operator has to choose from, if that is the reason.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, hint: str | None = None, exports: Sequence[Export] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.exports = tuple(exports)


class NothingSelected(ArchiveRefused):
    """The channels and dates of the import select nothing of the archive."""

    exit_code = 1


class MemberDamaged(Exception):
    """A member's bytes cannot be read to their end."""


DAMAGE = (
    MemberDamaged,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
)
"""The errors that opening and reading a damaged member raises."""


def reason_of(error: BaseException) -> Reason:
    """The reason for an error of `DAMAGE`."""
    if isinstance(error, NotImplementedError):
        return Reason.UNSUPPORTED
    # bz2 raises an OSError without errno for damaged data.
    if isinstance(error, OSError) and error.errno is not None:
        return Reason.UNREADABLE
    return Reason.DAMAGED


@dataclass(frozen=True)
class ArchiveLimits:
    """The limits above which a ZIP is refused as a bomb."""

    ratio: int
    """The most that the unpacked size may be of the packed size, for a member and for all members."""
    total_bytes: int
    """The most bytes that all members may unpack to."""


class Member(NamedTuple):
    """A file of the archive."""

    path: str
    """Its path in the archive, as text that can be stored and shown (`names.from_bytes`). Unique."""
    size: int
    crc: int | None
    """CRC-32 of the content; None if only reading gives it (`verify`)."""
    offset: int = 0
    packed: int = 0
    method: int = 0
    """The last three are set for members of ZIPs only."""
    name: str = ""
    """The path on disk, or in the database, if it differs from `path`."""
    database: str = ""
    """The path of the Slackdump database that holds the member, if that is a file of a folder."""


@dataclass
class Listing:
    """The members of an archive, sorted by path. Files that operating systems leave are not among them."""

    members: list[Member] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """The paths that are not read, each with the reason."""
    warnings: list[str] = field(default_factory=list)


class Source(Protocol):
    """An archive of one kind. Its methods block."""

    def list(self, limits: ArchiveLimits) -> Listing:
        """List the members. Raises ArchiveRefused."""

    def open(self, member: Member) -> IO[bytes]:
        """The member's bytes as a stream, which the caller closes. Both raise errors of `DAMAGE`."""


def verify(source: Source, member: Member) -> int:
    """Read the member to its end; its CRC-32. Raises errors of `DAMAGE`."""
    value = 0
    with source.open(member) as stream:
        while block := stream.read(
            min(1 << 20, member.size + 1)
        ):  # a small member needs no large buffer
            value = zlib.crc32(block, value)
    return value


def is_system(name: str) -> bool:
    """Whether operating systems leave files or folders of this name in archives."""
    return name in _SYSTEM_NAMES or name.startswith("._")
