"""Names of any bytes are read, can be shown, and can be mapped as they are shown; links are named."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.test_cli import tiger_slack
from tests.exports import day_file, export, message, run_import, write_folder
from tests.support import count
from tests.unit.test_archive import zip_with_raw_name
from tiger_slack_tui.errors import SettingsError
from tiger_slack_tui.history.archive import ArchiveLimits, ArchiveRefused
from tiger_slack_tui.history.names import from_bytes, shown
from tiger_slack_tui.history.plan import Selection
from tiger_slack_tui.history.progress import BadRecord, Failed, Started
from tiger_slack_tui.history.request import read_channel_map
from tiger_slack_tui.history.sources import open_source

MESSAGES = "select count(*) from slack.message"


def test_names_as_text() -> None:
    assert from_bytes("straße %41".encode()) == "straße %41"
    assert from_bytes(b"100%\xff caf\xe9") == "100%25%FF caf%E9"
    assert shown("a\x1b[31m\u202eb") == "a%1B[31m%E2%80%AEb"
    assert shown("日本 1") == "日本 1"


async def test_a_folder_and_files_that_are_not_utf8(
    conninfo: str, database: psycopg.Connection[object], tmp_path: Path
) -> None:
    path = write_folder(tmp_path / "e", export({"general": {"2023-11-14": [message(1)]}}))
    odd = os.fsencode(path) + b"/caf\xe9"
    os.mkdir(odd)
    for name in (b"2023-11-14.json", b"2023-11-15 \xff.json", b"\xfe.json"):
        Path(os.fsdecode(odd + b"/" + name)).write_bytes(day_file(message(2 + len(name))))
    imported = await run_import(conninfo, path)
    assert imported.result.exit_code == 3
    assert any("'caf%E9' matches no channel" in text for text in imported.result.warnings)
    assert ("caf%E9/%FE.json", "not named like the messages of a day") in {
        (e.path, e.reason) for e in imported.told(BadRecord)
    }
    selection = Selection(channel_map={"caf%E9": "C9"})
    for _ in range(2):
        imported = await run_import(conninfo, path, selection=selection)
        assert imported.told(Failed) == []
    assert count(conninfo, f"{MESSAGES} where channel_id = 'C9'") == 2
    paths = database.execute(
        "select path from slack.import_file where channel_id = 'C9' order by path"
    )
    assert {row[0] for row in paths.fetchall()} == {
        "caf%E9/2023-11-14.json",
        "caf%E9/2023-11-15 %FF.json",
    }


def test_two_names_that_read_the_same(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a%FF": b""})
    with open(os.fsencode(tmp_path) + b"/a\xff", "wb"):
        pass
    with pytest.raises(ArchiveRefused, match="read as 'a%FF'"):
        open_source(tmp_path).list(ArchiveLimits(500, 1 << 30))


async def test_names_in_a_zip_are_decoded_one_by_one(conninfo: str, tmp_path: Path) -> None:
    odd = "会議".encode("cp932") + b"/2023-11-14.json"
    path = zip_with_raw_name(tmp_path / "e.zip", odd, utf8_flag=False)
    with zipfile.ZipFile(path, "a") as archive:
        for name, content in export({"straße": {"2023-11-14": [message(1)]}}).items():
            archive.writestr(name, content)
    # Slack sets no flag that says that its names are UTF-8.
    data = path.read_bytes().replace(b"\x00\x08\x00\x00", b"\x00\x00\x00\x00")
    path.write_bytes(data)
    imported = await run_import(conninfo, path)
    assert imported.result.exit_code == 3
    assert imported.result.total.inserted == 1
    (warning,) = (text for text in imported.result.warnings if "Folder" in text)
    name = warning.split("'")[1]
    mapped = await run_import(conninfo, path, selection=Selection(channel_map={name: "C9"}))
    assert mapped.result.exit_code == 0
    assert mapped.result.files_planned == 2


def test_names_that_would_reach_the_terminal(conninfo: str, tmp_path: Path) -> None:
    nasty = "x\x1b]0;title\x07"
    files = export({"general": {"2023-11-14": [message(1)]}})
    files[f"{nasty}/2023-11-14.json"] = files[f"general/{nasty}.json"] = day_file(message(2))
    path = write_folder(tmp_path / "e", files)
    (tmp_path / "map.json").write_text(json.dumps({"x%1B]0;title%07": "C9"}))
    first = tiger_slack("import", str(path), cwd=tmp_path, DATABASE_URL=conninfo)
    mapping = ("--channel-map", str(tmp_path / "map.json"))
    second = tiger_slack("import", str(path), *mapping, cwd=tmp_path, DATABASE_URL=conninfo)
    for done in (first, second):
        assert done.returncode == 3
        assert "\x1b" not in done.stdout + done.stderr
        assert "\x07" not in done.stdout + done.stderr
    assert "Folder 'x%1B]0;title%07' matches no channel" in first.stderr
    assert count(conninfo, f"{MESSAGES} where channel_id = 'C9'") == 1


async def test_links(conninfo: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path, export({"general": {"2023-11-14": [message(1)]}}))
    (path / "old-general").symlink_to("general")
    (path / "general" / "loop").symlink_to("..")
    (path / "general" / "2023-11-15.json").symlink_to("nowhere.json")
    os.mkfifo(path / "general" / "2023-11-16.json")
    imported = await run_import(conninfo, path)
    assert {(e.path, e.reason) for e in imported.told(BadRecord)} == {
        ("old-general", "a link to a folder"),
        ("general/loop", "a link to a folder"),
        ("general/2023-11-15.json", "a link that leads nowhere"),
        ("general/2023-11-16.json", "not a file"),
    }
    assert (imported.result.total.inserted, imported.result.exit_code) == (1, 3)
    assert [event.path for event in imported.told(Started)] == ["general/2023-11-14.json"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[" * 100_000, "no JSON object"),
        ('{"a": ' * 100_000, "no JSON object"),
        ('{"general": "#general"}', "no JSON object of folders and channel ids"),
        ('{"general": 5}', "no JSON object"),
        ('{"general": "C1", "general": "C2"}', "names 'general' twice"),
        ("\ud800", "no JSON object"),
    ],
)
def test_a_channel_map_that_is_none(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "map.json"
    path.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(SettingsError, match=why):
        read_channel_map(path)
