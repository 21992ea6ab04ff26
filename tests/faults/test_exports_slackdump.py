"""Exports, dumps and databases of Slackdump, built here from its documentation."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import (
    DAY,
    Files,
    day_file,
    message,
    run_import,
    tables,
    write_folder,
    write_zip,
)
from tests.support import count
from tiger_slack_tui.imports.archive.members import ArchiveRefused
from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.imports.archive.workspaces import ExportChoice
from tiger_slack_tui.store.import_account import ImportProblem

pytestmark = pytest.mark.slow

MESSAGES = "select count(*) from slack.message"
CHANNELS = [
    {"id": "C1ABC", "name": "general", "is_channel": True},
    {"id": "G2ABC", "name": "secret", "is_private": True, "is_group": True},
    {"id": "D3ABC", "is_im": True, "user": "U1"},
]
USERS = [{"id": "U1", "name": "one", "team_id": "T1", "updated": 1}]
TYPES = {"C1ABC": "channel", "G2ABC": "group", "D3ABC": "im"}


def thread(number: int, *replies: int, channel: str = "C1ABC") -> list[dict[str, Any]]:
    """A message and the replies to it."""
    parent = message(number)["ts"]
    return [message(n, f"{channel} {n}", thread_ts=parent) for n in (number, *replies)]


@pytest.mark.parametrize("layout", ["standard", "mattermost", "without files"])
@pytest.mark.parametrize("as_zip", [True, False])
async def test_an_export(conninfo: str, tmp_path: Path, layout: str, as_zip: bool) -> None:
    files: Files = {
        "channels.json": json.dumps(CHANNELS[:1]).encode(),
        "groups.json": json.dumps(CHANNELS[1:2]).encode(),
        "dms.json": json.dumps(CHANNELS[2:]).encode(),
        "mpims.json": b"null",
        "users.json": json.dumps(USERS).encode(),
    }
    for number, folder in enumerate(("general", "secret", "D3ABC")):
        files[f"{folder}/2023-11-14.json"] = day_file(message(number))
        if layout == "standard":
            files[f"{folder}/attachments/F0123456{number}-2023-11-14.json"] = b"{}"
        elif layout == "mattermost":
            files[f"__uploads/F0123456{number}/users.json"] = b"{}"
    path = write_zip(tmp_path / "e.zip", files) if as_zip else write_folder(tmp_path / "e", files)
    imported = await run_import(conninfo, path)
    assert (imported.result.total.inserted, imported.result.exit_code) == (3, 0)
    assert imported.result.warnings == []
    assert imported.result.other_files == (0 if layout == "without files" else 3)


def dump(channel: str, records: Iterable[Any], **more: Any) -> bytes:
    found = {"name": "any", "messages": list(records), "channel_id": channel}
    return json.dumps(found | more).encode()


async def test_a_dump(conninfo: str, database: psycopg.Connection[Any], tmp_path: Path) -> None:
    parent, *replies = thread(1, 2, 3)
    files = {
        "channels.json": json.dumps(CHANNELS).encode(),
        "users.json": json.dumps(USERS).encode(),
        "workspace.json": b'{"team_id": "T1", "team": "x"}',
        "C1ABC.json": dump("C1ABC", [{**parent, "slackdump_thread_replies": replies}, message(9)]),
        f"C1ABC-{parent['ts']}.json": dump("C1ABC", thread(1, 2, 4), thread_ts=parent["ts"]),
        "G2ABC.json": dump("G2ABC", [message(5), None, {"slackdump_thread_replies": [message(6)]}]),
        "D3ABC.json": dump("D3ABC", [message(7)]),
        "C1ABC/F01234567-a.json": b"{}",
    }
    path = write_folder(tmp_path, files)
    first = None
    for number in range(2):
        imported = await run_import(conninfo, path)
        total = imported.result.total
        assert (total.read, total.inserted) == (12, 8 * (1 - number))
        assert total.skipped == {"no JSON object": 1, "no usable ts": 1}
        state = tables(database)
        assert first in (None, state)
        first = state
    kinds = database.execute("select distinct channel_id, channel_type from slack.message")
    assert dict(kinds.fetchall()) == TYPES
    assert list(imported.result.by_channel) == ["D3ABC", "general", "secret"]
    only = await run_import(conninfo, path, selection=ImportSelection(channels=("general",)))
    assert only.result.total.read == 7
    threads = f"{MESSAGES} where thread_ts = to_timestamp({DAY + 1}.0001)"
    assert count(conninfo, threads) == 4


async def test_a_dump_without_lists_that_is_large(conninfo: str, tmp_path: Path) -> None:
    each = [
        {**m, "slackdump_thread_replies": []} for m in (message(n, "x" * 900) for n in range(6000))
    ]
    path = write_folder(tmp_path, {"C1ABC.json": dump("C1ABC", each)})
    imported = await run_import(conninfo, path)
    assert imported.result.total.inserted == count(conninfo, MESSAGES) == 6000
    assert imported.result.exit_code == 0


SCHEMA = """
create table SESSION (ID integer primary key, FINISHED smallint not null default 0, MODE text not null);
create table CHUNK (ID integer primary key, UNIX_TS integer not null, SESSION_ID integer not null,
  TYPE_ID smallint not null, NUM_REC integer not null default 0, FINAL smallint not null default 0);
create table MESSAGE (ID integer not null, CHUNK_ID integer not null, CHANNEL_ID text not null, TS text not null,
  PARENT_ID integer, THREAD_TS text, IS_PARENT smallint not null default 0, IDX integer not null,
  NUM_FILES integer not null default 0, TXT text, DATA blob not null, primary key (ID, CHUNK_ID));
create table CHANNEL (ID text not null, CHUNK_ID integer not null, NAME text, IDX integer not null,
  DATA blob not null, primary key (ID, CHUNK_ID));
create table WORKSPACE (ID integer primary key, CHUNK_ID integer not null, TEAM text not null, TEAM_ID text not null,
  USER_ID text not null, URL text not null, DATA blob not null);
create table S_USER (ID text not null, CHUNK_ID integer not null, USERNAME text not null, IDX integer not null,
  DATA blob not null, primary key (ID, CHUNK_ID));
create table SEARCH_MESSAGE (ID integer primary key, CHUNK_ID integer not null, CHANNEL_ID text not null,
  TS text not null, IDX integer not null, DATA blob not null);
"""


class Database:
    """Writes a database as Slackdump does."""

    def __init__(self, path: Path, *, finished: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(path)
        self.connection.executescript(SCHEMA)
        self.connection.execute("insert into SESSION values (1, ?, 'archive')", (finished,))
        self._chunks = 0

    def chunk(self, kind: int) -> int:
        self._chunks += 1
        self.connection.execute(
            "insert into CHUNK (ID, UNIX_TS, SESSION_ID, TYPE_ID) values (?, 0, 1, ?)",
            (self._chunks, kind),
        )
        return self._chunks

    def messages(self, channel: str, kind: int, records: Iterable[Any]) -> None:
        chunk = self.chunk(kind)
        for index, record in enumerate(records):
            data = record if isinstance(record, bytes) else json.dumps(record).encode()
            ts = record["ts"] if isinstance(record, dict) else f"{DAY + 500}.{index:06}"
            self.connection.execute(
                "insert into MESSAGE (ID, CHUNK_ID, CHANNEL_ID, TS, IDX, DATA) values (?, ?, ?, ?, ?, ?)",
                (int(ts.replace(".", "")), chunk, channel, ts, index, data),
            )

    def lists(self) -> None:
        chunk = self.chunk(3)
        for index, user in enumerate(USERS):
            row = (user["id"], chunk, user["name"], index, json.dumps(user).encode())
            self.connection.execute("insert into S_USER values (?, ?, ?, ?, ?)", row)
        for kind, name in (
            (5, "general"),
            (4, "partial"),
        ):  # the full list, then a newer one with less
            chunk = self.chunk(kind)
            for index, channel in enumerate(CHANNELS):
                data = {**channel, "name": name} if channel["id"] == "C1ABC" else channel
                row = (channel["id"], chunk, None, index, json.dumps(data).encode())
                self.connection.execute("insert into CHANNEL values (?, ?, ?, ?, ?)", row)
        data = json.dumps({"team_id": "T1", "team": "x", "url": "https://x"}).encode()
        row = (1, self.chunk(6), "x", "T1", "U1", "https://x", data)
        self.connection.execute("insert into WORKSPACE values (?, ?, ?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        self.connection.commit()
        self.connection.close()


def write_database(path: Path) -> Path:
    with closing(Database(path, finished=False)) as database:
        database.lists()
        database.messages(
            "C1ABC", 0, [message(1, "old", reactions=[{"name": "a", "users": ["U1"]}])]
        )
        database.messages("C1ABC", 0, [message(1, "new"), message(2), b"{not JSON", message(3)])
        database.messages("C1ABC", 1, [*thread(2, 4), message(3, subtype="thread_broadcast")])
        database.messages("D3ABC", 0, [message(1), message(5, "a\\u0000 \\ud83d")])
        database.messages("C9CANVAS", 12, [message(6)])
        database.messages("C9OTHER", 99, [message(7)])
    return path


@pytest.mark.parametrize("place", ["slackdump.sqlite", "archive/slackdump.sqlite"])
async def test_a_database(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path, place: str
) -> None:
    file = write_database(tmp_path / place)
    path = file if place == "slackdump.sqlite" else file.parent
    before = file.read_bytes()
    dry = await run_import(conninfo, path, dry_run=True)
    first = None
    for number in range(2):
        imported = await run_import(conninfo, path)
        total = imported.result.total
        assert (total.read, total.inserted) == (7, 6 * (1 - number))
        assert total.skipped == {"malformed record": 1}
        state = tables(database)
        assert first in (None, state)
        first = state
        if number == 0:
            assert dry.result.total == total
    rows = {
        (row["channel_id"], round(row["ts"].timestamp()) - DAY): row for row in state["message"]
    }
    assert rows["C1ABC", 1]["text"] == "new"
    assert state["reaction"] == []
    assert {row["channel_id"]: row["channel_type"] for row in state["message"]} == {
        "C1ABC": "channel",
        "D3ABC": "im",
    }
    assert [row["channel_name"] for row in state["channel"]] == ["general", "D3ABC", "secret"]
    assert any("did not finish 1" in text for text in imported.result.warnings)
    (left_out,) = [
        e for e in imported.events_of(ImportProblem) if "1 messages of a kind" in e.reason
    ]
    assert left_out.path.endswith("MESSAGE")
    assert imported.result.exit_code == 3
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


async def test_a_database_that_is_damaged_or_still_written(conninfo: str, tmp_path: Path) -> None:
    file = write_database(tmp_path / "slackdump.sqlite")
    log = tmp_path / "slackdump.sqlite-wal"
    log.write_bytes(b"x")
    with pytest.raises(ArchiveRefused, match="still in its log"):
        await run_import(conninfo, file)
    log.unlink()
    content = bytearray(file.read_bytes())
    content[8192:16384] = b"\xff" * 8192
    file.write_bytes(content)
    with pytest.raises(ArchiveRefused, match=r"damaged|not a Slack export|not a ZIP"):
        await run_import(conninfo, file)


async def test_a_database_beside_an_export_is_a_second_export(
    conninfo: str, tmp_path: Path
) -> None:
    write_database(tmp_path / "slackdump.sqlite")
    write_folder(tmp_path, {"users.json": b"[]", "C1ABC/2023-11-14.json": day_file(message(1))})
    with pytest.raises(ArchiveRefused, match="2 exports") as refused:
        await run_import(conninfo, tmp_path)
    assert "slackdump.sqlite  T1" in str(refused.value)
    chosen = ImportSelection(choice=ExportChoice(root="slackdump.sqlite"))
    imported = await run_import(conninfo, tmp_path, selection=chosen)
    assert imported.result.total.inserted == 6
