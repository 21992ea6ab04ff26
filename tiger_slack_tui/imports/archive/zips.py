"""Reads the members of an archive that is a ZIP, as Slack's exports are downloaded."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

from tiger_slack_tui.imports.archive.folder import unreadable
from tiger_slack_tui.imports.archive.kinds import non_archive_kind
from tiger_slack_tui.imports.archive.members import (
    ArchiveLimits,
    ArchiveRefused,
    Listing,
    Member,
    MemberDamaged,
    is_system,
)
from tiger_slack_tui.imports.archive.names import from_path, shown

_LOCAL_HEADER = struct.Struct("<4s22xHH")
"""Signature, length of the name, length of the extra field: APPNOTE.TXT of ZIP, 4.3.7."""
_UTF8_NAME = 0x800
"""Flag of a member whose name is UTF-8: APPNOTE.TXT of ZIP, 4.4.4."""
_SMALL = 1 << 20
"""Smaller members are not checked for their ratio: a few hundred equal records compress very well."""


class ZipSource:
    """Reads the members of a ZIP."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list(self, limits: ArchiveLimits) -> Listing:
        """List the members.

        Raises ArchiveRefused if the file is not a ZIP, is encrypted or a bomb, or if a name leads out of it.
        """
        members: dict[
            str, Member
        ] = {}  # of two members with one name the last one wins, as in unzip
        left_out: list[tuple[str, str]] = []
        for info in _infos(self._path):
            name = _name(info)
            folder, _, file = name.rpartition("/")
            leads_out, is_systems = _classify_folder(folder)
            if leads_out or file == ".." or name[:1] in ("", "/") or name[1:3] == ":/":
                raise ArchiveRefused(
                    f"The archive holds a name that leads out of it: {shown(name)!r}."
                )
            if stat.S_ISLNK(info.external_attr >> 16):
                left_out.append((name, "a link, which is not followed"))
                continue
            if not file or is_systems or is_system(file):
                continue
            if info.flag_bits & 1:
                raise ArchiveRefused(
                    "The ZIP is encrypted.",
                    hint="Unpack it with its password, and import the folder.",
                )
            if info.file_size > max(_SMALL, info.compress_size * limits.ratio):
                raise _bomb(f"{shown(name)!r} unpacks to over {limits.ratio} times its size")
            members[name] = Member(
                name,
                info.file_size,
                info.CRC,
                info.header_offset,
                info.compress_size,
                info.compress_type,
            )
        total, packed = sum(m.size for m in members.values()), self._path.stat().st_size
        if total > limits.total_bytes:
            raise _bomb(f"it unpacks to {total:,} bytes")
        if total > max(_SMALL, packed * limits.ratio):
            raise _bomb(f"it unpacks to over {limits.ratio} times its size")
        return Listing(sorted(members.values(), key=lambda member: member.path), left_out)

    def open(self, member: Member) -> IO[bytes]:
        file = self._path.open("rb")
        try:
            return cast(IO[bytes], _open_member(file, member))
        except BaseException:
            file.close()
            raise


def _infos(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
        pass
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        kind = non_archive_kind(path)
    except OSError as error:
        raise unreadable(path, error) from None
    name = shown(from_path(path))
    raise ArchiveRefused(
        f"{name} is not a ZIP that can be read: it is {kind.about}.", hint=kind.hint
    )


def _name(info: zipfile.ZipInfo) -> str:
    """The member's name. Slack writes UTF-8 without the flag for it, so each name is tried as UTF-8."""
    if info.flag_bits & _UTF8_NAME:
        return info.filename.replace("\\", "/")
    raw = info.orig_filename.encode("cp437").partition(b"\0")[0]
    try:
        return raw.decode().replace("\\", "/")
    except UnicodeDecodeError:
        # The format says cp437. A backslash there may be half of a character of another encoding.
        return info.filename


def _open_member(file: IO[bytes], member: Member) -> zipfile.ZipExtFile:
    # zipfile.ZipFile would load the directory of all members: 700 bytes for each, in every worker.
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
def _classify_folder(folder: str) -> tuple[bool, bool]:
    """Whether the folder leads out of the archive, and whether an operating system made it."""
    parts = folder.split("/")
    return ".." in parts, any(map(is_system, parts))


def _bomb(why: str) -> ArchiveRefused:
    return ArchiveRefused(
        f"The ZIP is refused as a bomb: {why}.",
        hint="If you trust it, raise TIGER_SLACK_IMPORT_RATIO or TIGER_SLACK_IMPORT_TOTAL_GIB.",
    )
