"""Exports as people have them: written by other tools, or renamed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import DAY, Files, day_file, export, message, run_import, tables, write_folder
from tests.support import count
from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.imports.progress_events import ImportNote
from tiger_slack_tui.store.import_account import ImportProblem

MESSAGES = "select count(*) from slack.message"


def lists(channels: list[Any], users: Any = ()) -> Files:
    return {
        "channels.json": json.dumps(channels).encode(),
        "users.json": json.dumps(list(users)).encode(),
    }


def channels_of(database: psycopg.Connection[Any]) -> dict[str, str]:
    """The channel of each message, by its text."""
    return dict(database.execute("select text, channel_id from slack.message").fetchall())


async def test_lists_that_are_null(conninfo: str, tmp_path: Path) -> None:
    files = dict.fromkeys(("channels.json", "groups.json", "mpims.json"), b"null")
    files["dms.json"] = b'[{"id": "DA4", "members": ["UA1"]}]'
    files |= {"users.json": b"[]", "DA4/2024-03-09.json": day_file(message(1))}
    files["DA4/2024-03-10.json"] = b" null\n"
    imported = await run_import(conninfo, write_folder(tmp_path, files))
    assert (imported.result.exit_code, imported.result.bad_list_rows) == (0, 0)
    assert imported.result.warnings == []
    assert count(conninfo, f"{MESSAGES} where channel_id = 'DA4' and channel_type = 'im'") == 1


async def test_values_of_wrong_types(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    given: dict[str, Any] = {
        "user": {"id": "UA1", "name": "x"},
        "team": {"no": "id"},
        "bot_id": 5,
        "app_id": ["A1"],
        "subtype": {"a": 1},
        "blocks": "[]",
        "attachments": {"a": 1},
        "files": 7,
        "x_files": True,
        "icons": [],
        "language": "en",
        "edited": "yesterday",
        "upload": "true",
        "client_msg_id": "no uuid",
        "thread_ts": "soon",
        "reactions": [{"name": "+1", "users": [{"id": "U7"}, 8]}, {"name": 5, "users": ["U1"]}],
    }
    files = export({"bots": {"2023-11-14": [message(1), message(2, **given), message(3)]}})
    files["bots/2023-11-15.json"] = day_file(message(4, ["a"]), {**message(5), "type": None})
    imported = await run_import(conninfo, write_folder(tmp_path, files))
    assert imported.result.total.inserted == 5
    assert (imported.result.total.repaired, imported.result.exit_code) == (2, 0)
    told = {(e.path[5:15], e.position, e.reason) for e in imported.events_of(ImportProblem)}
    assert told == {
        ("2023-11-14", 2, f"stored without bad values of {', '.join(given)}"),
        ("2023-11-15", 1, "stored without bad values of text"),
    }
    rows = tables(database)["message"]
    bad = next(row for row in rows if row["ts"].timestamp() == DAY + 2.0001)
    assert bad["user_id"] == "UA1"
    columns = set(given) - {"user", "reactions"}
    assert {column: bad[column] for column in columns} == dict.fromkeys(columns)
    assert bad["reactions"] == [{"user_id": "U7", "reaction": "+1"}]
    assert [row["text"] for row in rows].count(None) == 1
    assert {row["type"] for row in rows} == {"message"}


async def test_two_channels_of_one_name(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    files = lists(
        [
            {"id": "CAB1", "name": "proj", "is_archived": True},
            {"id": "CAB2", "name": "proj"},
            {"id": "CAB3", "name": "renamed", "previous_names": ["old", "shared"]},
            {"id": "CAB4", "name": "other", "previous_names": ["shared", "renamed"]},
        ]
    )
    for number, folder in enumerate(("proj", "CAB2", "old", "shared", "renamed")):
        files[f"{folder}/2023-11-14.json"] = day_file(message(number, folder))
    path = write_folder(tmp_path, files)
    first = None
    for _ in range(2):
        imported = await run_import(conninfo, path)
        assert imported.result.exit_code == 3
        assert imported.result.files_left_out == {"folder without a channel": 2}
        warnings = "\n".join(imported.result.warnings)
        assert "'proj' may be any of CAB1, CAB2. Map it with --channel-map" in warnings
        assert "'shared' may be any of CAB3, CAB4" in warnings
        state = tables(database)
        assert first in (None, state)
        first = state
    assert channels_of(database) == {"CAB2": "CAB2", "old": "CAB3", "renamed": "CAB3"}
    selection = ImportSelection(channel_map={"proj": "CAB1", "shared": "CAB4", "nothing": "C9"})
    imported = await run_import(conninfo, path, selection=selection)
    assert imported.result.exit_code == 0
    assert imported.result.warnings == ["--channel-map names 'nothing': there is no such folder."]
    assert (channels_of(database)["proj"], channels_of(database)["shared"]) == ("CAB1", "CAB4")


READ = ("2024-03-09 (1).json", "2024-03-09.JSON", "2024-3-9.json", "2024-02-30.json")
READ += ("2099-01-01.json", "9999-12-31.json", "0001-01-01.json", "2024-03-09 copy.json")
NAMED = {
    "days/all.json": "not named like the messages of a day",
    "2024-03-09.json": "messages of a day outside of a channel's folder",
    "elsewhere/x.json": "not a file that is known",
    "elsewhere/no-suffix": "not a file that is known",
    "chunks/C1.json.gz": "a chunk file of Slackdump, which `slackdump convert` turns into an export",
    "more.zip": "an archive in the archive: unpack it",
}
HARMLESS = ("integration_logs.json", "canvases.json", "days/photo.PNG", "readme.txt")
HARMLESS += ("__uploads/F0123/channels.json", "days/attachments/F0123ABCD-2024-03-09.json")


async def test_names_of_files(conninfo: str, tmp_path: Path) -> None:
    files = lists([{"id": "CAD", "name": "days"}])
    for number, name in enumerate(READ):
        files[f"days/{name}"] = day_file(message(number))
    for name in (*NAMED, *HARMLESS):
        files[name] = day_file(message(99))
    path = write_folder(tmp_path, files)
    imported = await run_import(conninfo, path)
    assert count(conninfo, MESSAGES) == imported.result.total.read == len(READ)
    assert {(e.path, e.reason) for e in imported.events_of(ImportProblem)} == set(NAMED.items())
    kept = count(conninfo, "select count(*) from slack.import_problem")
    assert kept == len(NAMED)
    assert imported.result.files_left_out == {"not a file that is known": len(NAMED)}
    assert (imported.result.other_files, imported.result.exit_code) == (len(HARMLESS), 3)


async def test_files_that_are_left_out_on_purpose_do_not_change_the_exit_code(
    conninfo: str, tmp_path: Path
) -> None:
    files = export({name: {"2023-11-14": [message(1)]} for name in ("one", "two")})
    files["FC:F1:canvas/2023-11-14.json"] = day_file(message(2))
    path = write_folder(tmp_path, files)
    imported = await run_import(conninfo, path, selection=ImportSelection(channels=("one",)))
    assert imported.result.exit_code == 0
    assert imported.result.files_left_out == {
        "channel not selected": 1,
        "comments on canvases and files": 1,
    }


@pytest.mark.parametrize("dry_run", [True, False])
async def test_users_with_bad_values(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path, dry_run: bool
) -> None:
    users: list[Any] = [
        {"id": "UB1"},
        {"id": "UB2", "name": None, "profile": None, "tz_offset": "3600", "deleted": "false"},
        {
            "id": "UB3",
            "name": "x",
            "updated": 1700000000.5,
            "tz": 7,
            "tz_offset": 3.5,
            "profile": [],
        },
        {"id": "UB4", "name": "fox", "real_name": "a\0b", "updated": 0},
        {"name": "noid"},
        None,
        "UB9",
        {"id": "UB6", "name": "six", "tz_offset": 99999999999, "updated": -1},
        {"id": ""},
        {"id": "UB7", "name": ["a"], "profile": {"email": "a+b@example.org", "real_name": {}}},
    ]
    files = export({"u": {"2023-11-14": [message(1)]}}) | {"users.json": json.dumps(users).encode()}
    imported = await run_import(conninfo, write_folder(tmp_path, files), dry_run=dry_run)
    told = {(e.position, e.reason) for e in imported.events_of(ImportProblem)}
    without = "stored without bad values of"
    assert told == {
        (2, f"{without} tz_offset, deleted"),
        (3, f"{without} tz, tz_offset, updated, profile"),
        (4, "repaired: NUL removed"),
        (5, "object without an id"),
        (6, "no JSON object"),
        (7, "no JSON object"),
        (8, f"{without} tz_offset, updated"),
        (9, "object without an id"),
        (10, f"{without} name, profile.real_name"),
    }
    assert (imported.result.bad_list_rows, imported.result.exit_code) == (4, 3)
    if dry_run:
        return
    rows = {row["id"]: row for row in tables(database)["user"]}
    assert sorted(rows) == ["UB1", "UB2", "UB3", "UB4", "UB6", "UB7"]
    assert (rows["UB3"]["user_name"], rows["UB3"]["tz"], rows["UB3"]["tz_offset"]) == (
        "x",
        None,
        None,
    )
    assert rows["UB4"]["real_name"] == "ab"
    assert (rows["UB6"]["user_name"], rows["UB6"]["tz_offset"]) == ("six", None)
    assert (rows["UB7"]["user_name"], rows["UB7"]["email"]) == ("UB7", "a+b@example.org")


def test_channels_with_bad_values(database: psycopg.Connection[Any]) -> None:
    channel = {
        "id": "C1",
        "name": {"a": 1},
        "is_archived": "yes",
        "topic": {"value": ["x"], "last_set": "soon"},
        "purpose": "text",
        "updated": "later",
        "created": [],
        "previous_names": ["was", 5, {"a": 1}],
    }
    event = json.dumps({"channel": channel, "event_ts": "never"})
    database.execute("select slack.upsert_channel(%s)", (event,))
    row = database.execute("select channel_name, is_archived, topic from slack.channel").fetchone()
    assert row == ("C1", False, None) or row == ("C1", None, None)
    assert database.execute("select channel_name from slack.channel_name").fetchall() == [("was",)]
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        database.execute(
            'select slack.insert_message(\'{"channel": "C1", "ts": "999999999999.0"}\')'
        )


async def test_warnings_come_once(conninfo: str, tmp_path: Path) -> None:
    files = export({"one": {"2023-11-14": [message(1)]}}) | {"groups.json": b'"no list"'}
    imported = await run_import(conninfo, write_folder(tmp_path, files))
    assert [note for note in imported.events_of(ImportNote) if note.is_warning] == []
    assert [(e.path, e.reason) for e in imported.events_of(ImportProblem)] == [
        ("groups.json", "not a JSON array")
    ]
