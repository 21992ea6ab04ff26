"""An export archive as its members: files with a path and a size, whose bytes are streams.

`sources.open_source` says what reads a folder, a ZIP or a database of Slackdump in this way.
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
    """In the archive."""
    teams: tuple[str, ...]
    """Ids of the workspaces that it is of; empty where it does not say."""


class ArchiveRefused(TigerSlackError):
    """The archive cannot, or must not, be read. Nothing was imported.

    `exports` are those that an operator has to choose from, where that is the reason.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, exports: Sequence[Export] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.exports = tuple(exports)


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
"""What a damaged member raises while it is opened or read."""


def reason_of(error: BaseException) -> Reason:
    """Why an error of `DAMAGE` means that the member cannot be read."""
    if isinstance(error, NotImplementedError):
        return Reason.UNSUPPORTED
    # bz2 raises an OSError without a number for data that is damaged.
    if isinstance(error, OSError) and error.errno is not None:
        return Reason.UNREADABLE
    return Reason.DAMAGED


@dataclass(frozen=True)
class ArchiveLimits:
    """What counts as a ZIP bomb."""

    ratio: int
    """Unpacked size by packed size, of a member and of all together."""
    total_bytes: int
    """Unpacked size of all members."""


class Member(NamedTuple):
    """A file of the archive, and where its bytes are."""

    path: str
    """Its name as text that can be stored and shown, unique in the archive (`names.from_bytes`)."""
    size: int
    crc: int | None
    """CRC-32 of the content; None where only reading it tells (`verify`)."""
    offset: int = 0
    packed: int = 0
    method: int = 0
    """The last three are of ZIPs alone."""
    name: str = ""
    """The path on disk, of a folder's file where it differs from `path`."""
    database: str = ""
    """The path of the database that the member is in, where that is a file of a folder."""


@dataclass
class Listing:
    """What an archive holds, sorted by path, without files that operating systems leave."""

    members: list[Member] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Paths of what is no readable file, each with the reason."""
    warnings: list[str] = field(default_factory=list)


class Source(Protocol):
    """Reads an archive of one kind. Its methods block."""

    def list(self, limits: ArchiveLimits) -> Listing:
        """The members. Raises ArchiveRefused where the archive must not be read."""

    def open(self, member: Member) -> IO[bytes]:
        """The member's bytes as a stream; close it. This and the stream raise errors of `DAMAGE`."""


def verify(source: Source, member: Member) -> int:
    """Read the member to its end; its CRC-32. Raises errors of `DAMAGE`."""
    value = 0
    with source.open(member) as stream:
        while block := stream.read(min(1 << 20, member.size + 1)):  # no more memory than needed
            value = zlib.crc32(block, value)
    return value


def is_system(name: str) -> bool:
    """Whether it is the name of a file or folder that operating systems leave in archives."""
    return name in _SYSTEM_NAMES or name.startswith("._")
