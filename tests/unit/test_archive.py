"""Archives of every kind: their members, the refused ones, and that members read as they were written."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from tests.archives import write_folder, write_zip
from tiger_slack_tui.imports.archive.members import (
    DAMAGE,
    ArchiveLimits,
    ArchiveRefused,
    Member,
    verify,
)
from tiger_slack_tui.imports.archive.sources import open_source

LIMITS = ArchiveLimits(ratio=500, total_bytes=1 << 30)
FILES = {
    "users.json": b"[]",
    "general/2024-01-01.json": b'[{"ts": "1"}]' * 100,
    "straße/2024-01-01.json": b"[1, 2, 3]",
    "empty/2024-01-02.json": b"",
}
JUNK = {
    "__MACOSX/general/._2024-01-01.json": b"x",
    ".DS_Store": b"x",
    "general/.DS_Store": b"x",
    "general/._2024-01-01.json": b"x",
    "general/Thumbs.db": b"x",
}


def contents(path: Path) -> dict[str, bytes]:
    """The content of every member."""
    found = {}
    for member in open_source(path).list(LIMITS).members:
        with open_source(path).open(member) as stream:
            found[member.path] = stream.read()
        assert len(found[member.path]) == member.size
        assert verify(open_source(path), member) == zlib.crc32(found[member.path])
    return found


def test_a_folder(tmp_path: Path) -> None:
    assert contents(write_folder(tmp_path, FILES | JUNK)) == FILES


@pytest.mark.parametrize(
    "compression",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
)
def test_a_zip_by_python(tmp_path: Path, compression: int) -> None:
    assert contents(write_zip(tmp_path / "e.zip", FILES | JUNK, compression)) == FILES


TOOLS = {
    "zip": ["zip", "-q", "-r"],
    "zip, forced ZIP64": ["zip", "-q", "-r", "-fz"],
    "7zz": ["7zz", "a", "-bso0", "-tzip"],
    "bsdtar": ["bsdtar", "-a", "-cf"],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_zip_by_other_tools(tmp_path: Path, tool: str) -> None:
    command = TOOLS[tool]
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]} on this machine")
    folder = write_folder(tmp_path / "in", FILES)
    names = sorted(path.name for path in folder.iterdir())
    subprocess.run(
        [*command, "../e.zip", *names],
        cwd=folder,
        check=True,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    assert contents(tmp_path / "e.zip") == FILES


def test_a_streamed_zip_with_data_descriptors(tmp_path: Path) -> None:
    path = tmp_path / "e.zip"
    with path.open("wb") as file:

        class Pipe:  # what cannot seek makes zipfile write the sizes behind the data
            def write(self, data: bytes) -> int:
                return file.write(data)

            def flush(self) -> None:
                file.flush()

        with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
            for name, content in FILES.items():
                archive.writestr(name, content)
    with zipfile.ZipFile(path) as archive:
        assert all(info.flag_bits & 8 for info in archive.infolist())
    assert contents(path) == FILES


def test_zip64_members_and_something_in_front(tmp_path: Path) -> None:
    path = tmp_path / "e.zip"
    with path.open("wb") as file:
        file.write(b"#!/bin/sh self-extracting\n")
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in FILES.items():
                with archive.open(name, "w", force_zip64=True) as member:
                    member.write(content)
    assert contents(path) == FILES


def zip_with_raw_name(path: Path, name: bytes, *, utf8_flag: bool) -> Path:
    """A ZIP whose only member has this name in bytes."""
    placeholder = b"#" * len(name)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(placeholder.decode(), b"[]")
    data = path.read_bytes().replace(placeholder, name)
    if utf8_flag:
        at = data.index(b"PK\1\2")
        flags = struct.unpack_from("<H", data, at + 8)[0] | 0x800
        data = data[: at + 8] + struct.pack("<H", flags) + data[at + 10 :]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "utf8_flag", "expected"),
    [
        ("straße/2024-01-01.json".encode(), False, "straße/2024-01-01.json"),  # as Slack does
        ("straße/2024-01-01.json".encode(), True, "straße/2024-01-01.json"),
        ("stra\u00e1e/2024-01-01.json".encode("cp437"), False, "straáe/2024-01-01.json"),
        (b"general\\2024-01-01.json", False, "general/2024-01-01.json"),
    ],
)
def test_names_of_zips(tmp_path: Path, name: bytes, utf8_flag: bool, expected: str) -> None:
    path = zip_with_raw_name(tmp_path / "e.zip", name, utf8_flag=utf8_flag)
    assert [member.path for member in open_source(path).list(LIMITS).members] == [expected]


@pytest.mark.parametrize(
    "name", ["../out.json", "a/../../out.json", "/etc/out.json", "C:/out.json", "..\\out.json"]
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveRefused, match="leads out"):
        open_source(write_zip(tmp_path / "e.zip", {name: b"[]"})).list(LIMITS)


def test_a_link_in_a_zip_is_left_out(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("general/2024-01-01.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
        archive.writestr("users.json", b"[]")
    found = open_source(tmp_path / "e.zip").list(LIMITS)
    assert [member.path for member in found.members] == ["users.json"]
    assert found.left_out == [(info.filename, "a link, which is not followed")]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/etc/passwd", "a link that leads out of the archive"),
        ("../../outside", "a link that leads nowhere"),
        ("/", "a link to a folder"),
        ("2024-01-09.json", "a link that cannot be followed: Too many levels of symbolic links"),
    ],
)
def test_a_link_out_of_a_folder_is_left_out(tmp_path: Path, target: str, why: str) -> None:
    folder = write_folder(tmp_path / "e", FILES)
    (folder / "general" / "2024-01-09.json").symlink_to(target)
    found = open_source(folder).list(LIMITS)
    assert found.left_out == [("general/2024-01-09.json", why)]
    assert {member.path for member in found.members} == set(FILES)


def test_a_link_within_a_folder_is_read_and_a_broken_one_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "e", FILES)
    (folder / "general" / "2024-01-02.json").symlink_to("2024-01-01.json")
    assert contents(folder)["general/2024-01-02.json"] == FILES["general/2024-01-01.json"]
    (folder / "general" / "2024-01-03.json").symlink_to("nowhere.json")
    assert open_source(folder).list(LIMITS).left_out == [
        ("general/2024-01-03.json", "a link that leads nowhere")
    ]


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "e.zip", FILES)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ArchiveRefused, match="encrypted") as refused:
        open_source(path).list(LIMITS)
    assert "password" in str(refused.value)


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (ArchiveLimits(ratio=100, total_bytes=1 << 40), "100 times its size"),
        (ArchiveLimits(ratio=1 << 20, total_bytes=1 << 20), "bytes"),
    ],
)
def test_a_bomb_is_refused(tmp_path: Path, limits: ArchiveLimits, why: str) -> None:
    path = write_zip(tmp_path / "e.zip", {"general/2024-01-01.json": b"0" * (10 << 20)})
    with pytest.raises(ArchiveRefused, match=why) as refused:
        open_source(path).list(limits)
    assert "TIGER_SLACK_IMPORT_" in str(refused.value)


def test_a_bomb_of_overlapping_members_is_refused(tmp_path: Path) -> None:
    """Many entries of the directory that share the same data: each alone is harmless."""
    path = write_zip(tmp_path / "e.zip", {"g/2024-01-01.json": b"0" * (1 << 20)})
    data = path.read_bytes()
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry = data[at:end]
    entries = b"".join(
        entry.replace(b"01-01.json", b"%02d-%02d.json" % divmod(n, 28)) for n in range(300)
    )
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 300, 300, len(entries), at, 0)
    path.write_bytes(data[:at] + entries + tail)
    with pytest.raises(ArchiveRefused, match="bomb"):
        open_source(path).list(ArchiveLimits(ratio=2000, total_bytes=1 << 40))


def test_a_member_that_lies_about_its_size_is_read_no_further(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "e.zip", {"g/2024-01-01.json": b"0" * 100_000})
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    path.write_bytes(data[: at + 24] + struct.pack("<L", 10) + data[at + 28 :])
    (member,) = open_source(path).list(LIMITS).members
    with open_source(path).open(member) as stream, pytest.raises(DAMAGE):
        assert len(stream.read()) <= 10


@pytest.mark.parametrize("damage", ["truncated", "no local header", "flipped bits"])
def test_a_damaged_member_is_told_as_such(tmp_path: Path, damage: str) -> None:
    path = write_zip(tmp_path / "e.zip", {"g/2024-01-01.json": os.urandom(5000)})
    (member,) = open_source(path).list(LIMITS).members
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        data = data[:1000]
    elif damage == "no local header":
        data[0] = 0
    else:
        data[2000:2010] = bytes(10)
    path.write_bytes(data)
    with pytest.raises(DAMAGE):
        verify(open_source(path), member)


@pytest.mark.parametrize(
    ("content", "about"),
    [
        (b"", "empty"),
        (b"no zip at all", "a text file"),
        ("café ".encode() * 200, "a text file"),
        (b"PK\5\6" + bytes(10), "of no kind that is known"),
        (b"\x1f\x8b\x08\0", "a gzip file"),
        (b"%PDF-1.7", "a PDF"),
        (bytes(257) + b"ustar", "a tar archive"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b'[{"id": "U1"}]', "a JSON file"),
    ],
)
def test_what_is_no_zip_is_refused_with_what_it_is(
    tmp_path: Path, content: bytes, about: str
) -> None:
    (tmp_path / "e.zip").write_bytes(content)
    with pytest.raises(ArchiveRefused, match=f"not a ZIP that can be read: it is {about}"):
        open_source(tmp_path / "e.zip").list(LIMITS)


def test_a_download_that_broke_off_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "e.zip", FILES)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ArchiveRefused, match=r"it is a ZIP that is cut off at \d"):
        open_source(path).list(LIMITS)
    path = write_zip(tmp_path / "e.zip", {"g/2024-01-01.json": os.urandom(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ArchiveRefused, match=r"cut off at 3\.0 kB of at least 5\.\d kB"):
        open_source(path).list(LIMITS)


def test_of_two_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "e.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("users.json", b"[1]")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("users.json", b"[2]")
    assert contents(path) == {"users.json": b"[2]"}


def test_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match="no folder and no file"):
        open_source(tmp_path / "nothing").list(LIMITS)
    with pytest.raises(OSError, match="nothing"):
        open_source(tmp_path).open(Member("nothing", 0, None))
