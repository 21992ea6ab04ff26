"""An export archive, a folder or a ZIP: its members, checked before anything is read, and their bytes as streams."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple, cast

from tiger_slack_tui.errors import TigerSlackError

_SYSTEM_NAMES = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
_LOCAL_HEADER = struct.Struct("<4s22xHH")
"""Signature, length of the name, length of the extra field: APPNOTE.TXT of ZIP, 4.3.7."""
_SMALL = 1 << 20
"""Bytes below which no ratio is suspicious: a few hundred equal records pack very well."""


class ArchiveRefused(TigerSlackError):
    """The archive cannot, or must not, be read. Nothing was imported."""


class MemberDamaged(Exception):
    """A member's bytes cannot be read to their end."""


@dataclass(frozen=True)
class ArchiveLimits:
    """What is taken for a ZIP bomb."""

    ratio: int
    """Unpacked size by packed size, of a member and of all together."""
    total_bytes: int
    """Unpacked size of all members."""


class Member(NamedTuple):
    """A file of the archive, and where its bytes are. The last three are of ZIPs alone."""

    path: str
    size: int
    crc: int | None
    """CRC-32 of the content; None where only reading it tells (`Archive.verify`)."""
    offset: int = 0
    packed: int = 0
    method: int = 0


def list_members(path: Path, limits: ArchiveLimits) -> list[Member]:
    """The files of an archive, without those that operating systems leave, sorted by path. Blocks.

    Raises ArchiveRefused where there is no archive, it is encrypted or a bomb, or a name leads out of it.
    """
    if path.is_dir():
        members = list(_list_folder(path))
    elif path.is_file():
        members = _list_zip(path, limits)
    else:
        raise ArchiveRefused(f"There is no folder and no file {path}.")
    return sorted(members, key=lambda member: member.path)


class Archive:
    """Opens the members of an archive. Its methods block, and may raise any error of `DAMAGE`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_folder = os.path.isdir(path)  # asked once, not for each of thousands of files

    def open(self, member: Member) -> IO[bytes]:
        """The member's bytes as a stream; close it."""
        if self._is_folder:
            return open(f"{self._path}/{member.path}", "rb")
        file = self._path.open("rb")
        try:
            return cast(IO[bytes], _open_in_zip(file, member))
        except BaseException:
            file.close()
            raise

    def verify(self, member: Member) -> int:
        """Read the member to its end; its CRC-32."""
        value = 0
        with self.open(member) as stream:
            while block := stream.read(min(1 << 20, member.size + 1)):  # no more memory than needed
                value = zlib.crc32(block, value)
        return value


DAMAGE = (MemberDamaged, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)
"""What a damaged member raises while it is opened or read."""


def _list_folder(root: Path) -> Iterator[Member]:
    try:
        for directory, folders, files in os.walk(root, onerror=_fail):
            folders[:] = [name for name in folders if not _is_system(name)]
            for name in [*folders, *files]:
                path = f"{directory}/{name}"
                if os.path.islink(path) and not Path(path).resolve().is_relative_to(root.resolve()):
                    raise ArchiveRefused(f"{path!r} is a link that leads out of the archive.")
            inside = Path(directory).relative_to(root).as_posix()
            for name in files:
                if _is_system(name):
                    continue
                status = os.stat(f"{directory}/{name}")
                if stat.S_ISREG(status.st_mode):
                    path = name if inside == "." else f"{inside}/{name}"
                    yield Member(path, status.st_size, None)
    except OSError as error:
        raise _unreadable(error.filename, error) from None


def _fail(error: OSError) -> None:
    raise error


def _list_zip(path: Path, limits: ArchiveLimits) -> list[Member]:
    members: dict[str, Member] = {}  # of two members of one name the last one counts, as for unzip
    for info in _infos(path):
        name = info.filename.replace("\\", "/")
        folder, _, file = name.rpartition("/")
        leads_out, is_system = _judge(folder)
        if leads_out or file == ".." or name[:1] in ("", "/") or name[1:3] == ":/":
            raise ArchiveRefused(f"The archive holds a name that leads out of it: {name!r}.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ArchiveRefused(f"The archive holds a symbolic link: {name!r}.")
        if not file or is_system or _is_system(file):
            continue
        if info.flag_bits & 1:
            raise ArchiveRefused(
                "The ZIP is encrypted.", hint="Unpack it with its password, and import the folder."
            )
        if info.file_size > max(_SMALL, info.compress_size * limits.ratio):
            raise _bomb(f"{name!r} unpacks to over {limits.ratio} times its size")
        members[name] = Member(
            name,
            info.file_size,
            info.CRC,
            info.header_offset,
            info.compress_size,
            info.compress_type,
        )
    total, packed = sum(m.size for m in members.values()), path.stat().st_size
    if total > limits.total_bytes:
        raise _bomb(f"it unpacks to {total:,} bytes")
    if total > max(_SMALL, packed * limits.ratio):
        raise _bomb(f"it unpacks to over {limits.ratio} times its size")
    return list(members.values())


def _infos(path: Path) -> Iterable[zipfile.ZipInfo]:
    try:
        try:
            # Slack writes UTF-8 without the flag that says so.
            with zipfile.ZipFile(path, metadata_encoding="utf-8") as archive:
                return archive.infolist()
        except UnicodeDecodeError:
            with zipfile.ZipFile(path) as archive:
                return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
        raise ArchiveRefused(
            f"{path} is no ZIP that can be read.",
            hint="A download that broke off lacks its end: load it again."
            " Unpack archives of other kinds, and import the folder.",
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _open_in_zip(file: IO[bytes], member: Member) -> zipfile.ZipExtFile:
    # Without the directory of all members, which takes 700 bytes for each in every process that reads some.
    file.seek(member.offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\3\4":
        raise MemberDamaged
    _, name, extra = _LOCAL_HEADER.unpack(header)
    file.seek(name + extra, os.SEEK_CUR)
    info = zipfile.ZipInfo(member.path)
    info.compress_type, info.compress_size = member.method, member.packed
    info.file_size = member.size
    info.CRC = member.crc or 0
    return zipfile.ZipExtFile(file, "r", info, None, True)


@lru_cache(10_000)  # few folders hold all files
def _judge(folder: str) -> tuple[bool, bool]:
    """Whether the folder leads out of the archive, and whether it is an operating system's."""
    parts = folder.split("/")
    return ".." in parts, any(map(_is_system, parts))


def _is_system(name: str) -> bool:
    return name in _SYSTEM_NAMES or name.startswith("._")


def _unreadable(path: Path, error: OSError) -> ArchiveRefused:
    return ArchiveRefused(f"{str(path)!r} cannot be read: {error.strerror}.")


def _bomb(why: str) -> ArchiveRefused:
    return ArchiveRefused(
        f"The ZIP is refused as a bomb: {why}.",
        hint="If it is right, raise TIGER_SLACK_IMPORT_RATIO or TIGER_SLACK_IMPORT_TOTAL_GIB.",
    )
