"""An export finds the same channels each time, whatever its own content adds to the database."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import (
    Files,
    Imported,
    day_file,
    export,
    long_export,
    message,
    run_import,
    tables,
    write_folder,
)
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.names import find_channel

pytestmark = pytest.mark.slow


async def import_twice(conninfo: str, path: Path) -> list[Imported]:
    """Check, import, check and import it. Each time it finds the same."""
    checks = []
    states = []
    with psycopg.connect(conninfo) as database:
        for _ in range(2):
            checks.append(await run_import(conninfo, path, dry_run=True))
            checks.append(await run_import(conninfo, path))
            states.append(tables(database))
            database.rollback()
    assert states[0] == states[1]
    assert {c.result.total.read for c in checks} == {checks[0].result.total.read}
    assert [c.result.warnings for c in checks[1:]] == [checks[0].result.warnings] * 3
    return checks


def with_rename(**more: Any) -> Files:
    told = message(1, subtype="channel_name", old_name="before", name="general", **more)
    files = export({"general": {"2023-11-14": [told]}})
    files["before/2023-11-13.json"] = day_file(message(-86_400, "of before"))
    return files


async def test_names_that_only_messages_of_the_export_give(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    checks = await import_twice(conninfo, write_folder(tmp_path, with_rename()))
    assert {c.result.exit_code for c in checks} == {3}
    assert all("'before' matches no channel" in c.result.warnings[0] for c in checks)
    async with await connect(conninfo) as connection:
        assert await find_channel(connection, "#before") == "C0"  # people do find it


async def test_a_name_of_a_message_that_slack_gives_too(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    path = write_folder(tmp_path, with_rename())
    await run_import(conninfo, path)
    listed = {"channel": {"id": "C0", "name": "general", "previous_names": ["before"]}}
    database.execute("select slack.upsert_channel(%s::jsonb)", (json.dumps(listed),))
    await run_import(conninfo, path)
    found = database.execute("select channel_id from slack.message where text = 'of before'")
    assert found.fetchall() == [("C0",)]


async def test_names_of_lists_that_are_not_around_the_folder(conninfo: str, tmp_path: Path) -> None:
    team = {"id": "T1", "name": "one"}
    files: Files = {
        "org_users.json": json.dumps(
            [{"id": "U1", "name": "x", "enterprise_user": {"enterprise_id": "E1", "teams": [team]}}]
        ).encode(),
        "teams/one/channels.json": json.dumps(
            [{"id": "C1", "name": "general", "previous_names": ["cafe\u0301"]}]
        ).encode(),
        "teams/one/general/2023-11-14.json": day_file(message(1)),
        "general/2023-11-14.json": day_file(message(2)),
        "caf\u00e9/2023-11-14.json": day_file(message(3)),
    }
    checks = await import_twice(conninfo, write_folder(tmp_path, files))
    assert {c.result.exit_code for c in checks} == {0}


async def test_paths_that_are_not_utf_8_are_imports_of_their_own(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """Both had the same replacement character in their name: the second continued the import of the first."""
    sources = []
    for name in (b"\xff", b"\xfe"):
        path = write_folder(tmp_path / os.fsdecode(name), long_export(1, 10))
        imported = await run_import(conninfo, path)
        assert imported.result.resumed is None
        database.execute("update slack.import set outcome = 'cancelled'")
        row = database.execute("select source from slack.import order by id desc").fetchone()
        assert row is not None
        sources.append(row[0])
    assert [source.rpartition("/")[2] for source in sources] == ["%FF", "%FE"]
