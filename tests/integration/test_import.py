"""Imports archives into a real PostgreSQL, and compares the account with files and tables."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import (
    DAY,
    Files,
    count_files,
    day_file,
    export,
    long_export,
    message,
    run_import,
    tables,
    write_folder,
    write_zip,
)
from tests.conftest import new_database
from tests.support import count
from tiger_slack_tui.imports.archive.members import ArchiveRefused
from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.imports.progress_events import FileFailed, ImportNote
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.store.import_account import ImportProblem

pytestmark = pytest.mark.slow

GENERAL = {
    "2023-11-14": [
        message(1, "one", reactions=[{"name": "+1", "users": ["U1", "U2"], "count": 2}]),
        message(2, "two", thread_ts="1700000001.000100", parent_user_id="U1"),
        message(3, "three", subtype="channel_join"),
    ],
    "2023-11-15": [message(90_000, "later", files=[{"id": "F1"}], upload=True)],
}
EXPORT = export({"general": GENERAL, "random": {"2023-11-14": [message(1, "another channel")]}})


async def test_a_first_import_and_the_same_again(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    counted = count_files(EXPORT)
    paths = (write_folder(tmp_path / "folder", EXPORT), write_zip(tmp_path / "e.zip", EXPORT))
    first = None
    for number, path in enumerate(paths):
        imported = await run_import(conninfo, path)
        total = imported.result.total
        assert total.read == counted.read == 5
        assert (total.inserted, total.already_there) == ((5, 0) if number == 0 else (0, 5))
        assert total.reactions == counted.reactions == 2
        assert imported.result.exit_code == 0
        assert (imported.result.files_planned, imported.result.files_done) == (3, 3)
        state = tables(database)
        assert first is None or state == first
        first = state
    assert len(state["message"]) == len(counted.messages) == 5
    assert [row["channel_name"] for row in state["channel"]] == ["general", "random"]
    assert [row["user_name"] for row in state["user"]] == ["one"]
    one = next(row for row in state["message"] if row["text"] == "one")
    assert one["channel_type"] == "channel"
    assert one["reactions"] == [
        {"user_id": "U1", "reaction": "+1"},
        {"user_id": "U2", "reaction": "+1"},
    ]


LONG = "x" * 40_000
DAMAGED: list[Any] = [
    *(message(n) for n in range(3)),
    "",
    None,
    17,
    ["nested"],
    {"type": "huddle", "ts": f"{DAY}.000009"},
    {"type": "message", "text": "no ts"},
    message(4) | {"ts": None},
    message(4) | {"ts": float("nan")},
    message(5, "NUL \0 and \ud83d alone"),
    message(6, LONG),
    message(7, reactions=[{"name": "+1", "users": None, "count": None}, None]),
    message(8) | {"user": random.Random(1).randbytes(10_000).hex()},  # too long for an index
    message(9, subtype="tombstone"),
    message(9),
]
ACCOUNT = {
    "empty placeholder": 1,
    "no JSON object": 3,
    "not a message": 1,
    "no usable ts": 3,
    "refused by the database": 1,
    "deleted in Slack": 2,
}


def damaged() -> Files:
    return EXPORT | {
        "general/2023-11-20.json": day_file(*DAMAGED),
        "general/2023-11-21.json": b'[""]',
        "general/2023-11-22.json": b'{"an": "object"}',
        "general/2023-11-23.json": day_file(message(20), message(21))[:-10],
        "general/2023-11-24.json": b"",
        "general/2023-11-25.json": b'[{"ts": "1700000030.0", "text": "\xff"}, {"ts": "1700000031.0"}]',
    }


async def test_damage_is_skipped_counted_and_reported(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    path = write_zip(tmp_path / "e.zip", damaged())
    dry = await run_import(conninfo, path, dry_run=True)
    assert count(conninfo, "select count(*) from slack.message") == 0
    assert count(conninfo, "select count(*) from slack.import") == 0
    imported = await run_import(conninfo, path)
    total = imported.result.total
    assert total.skipped == ACCOUNT | {"empty placeholder": 2, "invalid UTF-8": 1}
    assert total.repaired == 2
    assert total.read == 5 + len(DAMAGED) + 1 + 1 + 2
    assert total.inserted == count(conninfo, "select count(*) from slack.message") == 11
    # Two messages are in another day, too, one with the longer text.
    assert (total.already_there, total.updated) == (1, 1)
    assert count(conninfo, "select count(*) from slack.tombstone") == 1
    assert imported.result.exit_code == 3
    assert {(e.path[8:18], e.reason) for e in imported.events_of(FileFailed)} == {
        ("2023-11-22", "not a JSON array"),
        ("2023-11-23", "malformed JSON"),
        ("2023-11-24", "empty file"),
    }
    told = {(e.path, e.position, e.reason) for e in imported.events_of(ImportProblem)}
    assert ("general/2023-11-20.json", 9, "no usable ts") in told
    assert ("general/2023-11-25.json", 1, "invalid UTF-8") in told
    kept = database.execute("select path, position, reason from slack.import_problem").fetchall()
    assert set(kept) == told
    long = count(conninfo, "select max(length(text)) from slack.message")
    assert long == len(LONG)
    # A dry run cannot know what the database refuses.
    expected = replace(total, inserted=12, skipped=dict(total.skipped))
    del expected.skipped["refused by the database"]
    assert dry.result.total == expected


async def test_a_dry_run_without_tables_and_over_some(
    empty_conninfo: str, conninfo: str, tmp_path: Path
) -> None:
    twice = EXPORT | {"general/2023-11-16.json": EXPORT["general/2023-11-14.json"]}
    path = write_folder(tmp_path, twice)
    nothing = await run_import(empty_conninfo, path, dry_run=True)
    assert count(empty_conninfo, "select count(*) from pg_namespace where nspname = 'slack'") == 0
    for _ in range(2):
        dry = await run_import(conninfo, path, dry_run=True)
        real = await run_import(conninfo, path)
        assert dry.result.total == real.result.total
        if real.result.total.inserted:
            assert nothing.result.total == real.result.total
    assert real.result.total.already_there == real.result.total.read == 8


async def test_known_files_have_the_same_account_as_files_that_are_read_again(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    files = long_export(2, 20) | {"general/2023-11-20.json": day_file(message(1e6), "")}
    files["general/2023-11-20.json"] = day_file(
        message(500_000), "", message(9, subtype="tombstone")
    )
    path = write_folder(tmp_path, files)
    await run_import(conninfo, path)
    # One was deleted in Slack, one by hand, without a tombstone.
    database.execute(
        "select slack.ingest(jsonb_build_array(jsonb_build_object('event_id', 'Ev1', 'event_ts', '1800000000.0'"
        ", 'received_at', now(), 'type', 'message', 'effects', array['deletion'], 'outcome', 'stored'"
        ", 'channel_id', 'C0', 'message_ts', '1700000003.000100', 'event', '{}'::jsonb)))"
    )
    database.execute("delete from slack.message where ts > '2023-11-15' and text = 'text 7'")
    dry = await run_import(conninfo, path, dry_run=True)
    again = await run_import(conninfo, path)
    assert again.result.total == dry.result.total
    assert again.result.total.inserted == 1
    third = await run_import(conninfo, path)
    assert (third.result.total.inserted, third.result.total.already_there) == (0, 39)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_overlapping_exports_in_any_order(
    postgres: EmbeddedPostgres, template: str, tmp_path: Path, order: tuple[int, int]
) -> None:
    old = export({"general": {"2023-11-14": [message(1, "as posted"), message(2, "only here")]}})
    new = export(
        {
            "general": {
                "2023-11-14": [
                    message(1, "as edited", edited={"user": "U1", "ts": f"{DAY + 50}.000000"}),
                    message(3, subtype="tombstone"),
                ]
            }
        }
    )
    paths = (write_folder(tmp_path / "0", old), write_folder(tmp_path / "1", new))
    conninfo = new_database(postgres, template)
    for number in order:
        await run_import(conninfo, paths[number])
    with psycopg.connect(conninfo) as connection:
        state = tables(connection)
    assert [row["text"] for row in state["message"]] == ["as edited", "only here"]
    assert [row["updated_at"] is None for row in state["message"]] == [False, True]
    assert len(state["tombstone"]) == 1


async def test_rules_dates_channels_and_a_map(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    rules = ('$.subtype == "channel_join"', '$.channel == "C1"')
    for rule in rules:
        database.execute("insert into slack.message_discard (match) values (%s::jsonpath)", (rule,))
    files = EXPORT | {"lost/2023-11-14.json": day_file(message(4), message(5))}
    path = write_folder(tmp_path, files)
    ids = [row[0] for row in database.execute("select id from slack.message_discard order by id")]
    first = await run_import(conninfo, path)
    assert first.result.total.discarded == {str(ids[0]): 1, str(ids[1]): 1}
    assert first.result.files_left_out == {"folder without a channel": 1}
    assert any("'lost'" in note.text for note in first.events_of(ImportNote))
    database.execute("delete from slack.message_discard")
    since, until_ = (datetime.fromtimestamp(DAY + n, UTC) for n in (2, 4.5))
    selection = ImportSelection(
        since=since, until=until_, channels=("gen*", "lost"), channel_map={"lost": "C7"}
    )
    second = await run_import(conninfo, path, selection=selection)
    total = second.result.total
    # Of 2023-11-14: one is before, "two" is there, the join is stored now; of "lost" one is after.
    assert (total.read, total.filtered, total.already_there, total.inserted) == (5 + 1, 3, 1, 2)
    assert second.result.files_left_out == {"channel not selected": 1}
    assert count(conninfo, "select count(*) from slack.message where channel_id = 'C7'") == 1


async def test_a_folder_by_an_earlier_name_of_its_channel(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    database.execute(
        'select slack.upsert_channel(\'{"channel": {"id": "C5", "name": "new", "created": 1,'
        ' "previous_names": ["old"]}}\')'
    )
    await run_import(
        conninfo, write_folder(tmp_path, {"old/2023-11-14.json": day_file(message(1))})
    )
    assert count(conninfo, "select count(*) from slack.message where channel_id = 'C5'") == 1


async def test_lists_with_placeholders_repetitions_and_bad_rows(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    users = [{"id": "U1", "name": "one"}, "", {"id": "U1", "name": "one"}]
    bad = [None, {"no": "id"}, {"id": "U2", "name": "two", "deleted": "perhaps"}]
    for number, (rows, problems) in enumerate(((users, 0), (users + bad, 2))):
        files = EXPORT | {"users.json": json.dumps(rows).encode()}
        files["org_users.json"] = files["users.json"] if number == 0 else b"[]"
        imported = await run_import(conninfo, write_folder(tmp_path / str(number), files))
        assert imported.result.bad_list_rows == problems
        assert imported.result.exit_code == (3 if problems else 0)
        found = database.execute('select id, user_name from slack."user"').fetchall()
        assert found[0] == ("U1", "one")


async def test_a_path_that_cannot_be_read_is_refused(conninfo: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match="not a Slack export"):
        await run_import(conninfo, tmp_path)
    assert count(conninfo, "select count(*) from slack.import where outcome = 'failed'") == 1
