"""A bad record costs one record, a damaged member one file, and each has its reason."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import export, message, run_import, write_folder, write_zip
from tests.support import count
from tiger_slack_tui.imports.progress_events import FileFailed
from tiger_slack_tui.store.import_account import ImportProblem

MESSAGES = "select count(*) from slack.message"
DAY_FILE = "deep/2023-11-14.json"


def between(*records: bytes) -> bytes:
    """The records, as they are, between two good ones."""
    good = [json.dumps(message(n)).encode() for n in (1, 2)]
    return b"[" + b", ".join([good[0], *records, good[1]]) + b"]"


def nested(levels: int, key: str = "blocks") -> bytes:
    start = json.dumps(message(5))[:-1].encode()
    return start + f', "{key}": '.encode() + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize("with_rule", [True, False])
async def test_records_that_are_nested_deeply(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path, with_rule: bool
) -> None:
    if with_rule:
        database.execute("insert into slack.message_discard (match) values ('$.text == \"x\"')")
    files = export({"deep": {}})
    for number, (key, levels) in enumerate(
        [("blocks", 1200), ("other", 1200), ("blocks", 600), ("other", 600), ("other", 100_000)]
    ):
        content = between(nested(levels, key))
        for old in (b"1700000001", b"1700000002", b"1700000005"):
            content = content.replace(old, str(int(old) + number * 100).encode())
        files[f"deep/2023-11-{14 + number}.json"] = content
    channel = json.dumps(message(2000, subtype="channel_topic", topic="t"))[:-1].encode()
    files["deep/2023-11-30.json"] = (
        b"[" + channel + b', "other": ' + b"[" * 600 + b"]" * 600 + b"}]"
    )
    imported = await run_import(conninfo, write_folder(tmp_path, files))
    total = imported.result.total
    # Nested over 1,000 levels a record is not read; over 254 the field is cut off, and one that no column has is not.
    assert (total.read, total.inserted) == (16, 13)
    assert total.skipped == {"malformed record": 3}
    told = {(e.path[5:15], e.position, e.reason) for e in imported.events_of(ImportProblem)}
    assert told == {
        ("2023-11-14", 2, "malformed record"),
        ("2023-11-15", 2, "malformed record"),
        ("2023-11-16", 2, "stored without bad values of blocks"),
        ("2023-11-18", 2, "malformed record"),
    }
    assert imported.events_of(FileFailed) == []
    assert count(conninfo, MESSAGES) == 13


async def test_other_bad_records(conninfo: str, tmp_path: Path) -> None:
    text = json.dumps(message(5))[:-1].encode()
    records = [
        text + b', "n": ' + b"9" * 5000 + b"}",
        b"9" * 5000,
        json.dumps(message(6, "NUL \0, alone \ud83d")).encode(),
        b'{"ts": nonsense, "text": "]}"}',
        b'{"text": "\xff"}',
        b'{"ts": 1e999}',
    ]
    files = export({"deep": {}}) | {DAY_FILE: between(*records)}
    imported = await run_import(conninfo, write_folder(tmp_path, files))
    assert [(e.position, e.reason) for e in imported.events_of(ImportProblem)] == [
        (2, "repaired: a very large number made text"),
        (3, "repaired: a very large number made text"),
        (3, "no JSON object"),
        (4, "repaired: NUL removed, half a character replaced"),
        (5, "malformed record"),
        (6, "invalid UTF-8"),
        (7, "repaired: a very large number made text"),
        (7, "no usable ts"),
    ]
    assert count(conninfo, MESSAGES) == 4


async def test_a_record_of_many_megabytes(conninfo: str, tmp_path: Path) -> None:
    long = json.dumps(message(5, "x" * (66 << 20))).encode()
    files = export({"deep": {}}) | {DAY_FILE: between(long)}
    imported = await run_import(conninfo, write_folder(tmp_path, files))
    assert [(e.position, e.reason) for e in imported.events_of(ImportProblem)] == [
        (2, "longer than 64 MiB")
    ]
    assert count(conninfo, MESSAGES) == 2


def damage(path: Path, how: str) -> None:
    """Damage the last member, which is of the day 2023-11-15."""
    with zipfile.ZipFile(path) as archive:
        info = archive.infolist()[-1]
    data = bytearray(path.read_bytes())
    start = info.header_offset + 30 + len(info.filename)
    entry = data.rindex(b"PK\1\2")
    if how == "flipped":
        middle = start + info.compress_size // 2
        data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    elif how == "crc":
        data[entry + 16] ^= 0xFF
    elif how == "method":
        for at in (entry + 10, info.header_offset + 8):
            data[at] = 93  # zstd
    elif how == "short":
        data[entry + 20 : entry + 24] = (info.compress_size // 2).to_bytes(4, "little")
    path.write_bytes(data)


METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflate": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["flipped", "crc", "method", "short"])
async def test_a_damaged_member(conninfo: str, tmp_path: Path, method: str, how: str) -> None:
    days = {
        "2023-11-14": [message(1)],
        "2023-11-15": [message(n, f"text {n}") for n in range(9, 99)],
    }
    path = write_zip(tmp_path / "e.zip", export({"deep": days}), METHODS[method])
    damage(path, how)
    imported = await run_import(conninfo, path)
    (failed,) = imported.events_of(FileFailed)
    expected = (
        "packed by a method that cannot be read" if how == "method" else "damaged in the archive"
    )
    assert (failed.path, failed.reason) == ("deep/2023-11-15.json", expected)
    assert imported.result.exit_code == 3
    assert count(conninfo, f"{MESSAGES} where text = 'text'") == 1


async def test_a_file_that_may_not_be_read(conninfo: str, tmp_path: Path) -> None:
    """Root may read any file, but nobody can open a folder in its place."""
    path = write_folder(tmp_path, export({"deep": {"2023-11-14": [message(1)]}}))
    (path / "deep" / "2023-11-15.json").mkdir()
    imported = await run_import(conninfo, path)
    assert imported.result.total.inserted == 1
