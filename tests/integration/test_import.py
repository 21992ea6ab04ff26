"""Archives into a real PostgreSQL by the import's own processes; the account is compared with files and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from tests.exports import count_files, export, message, run_import, tables, write_folder, write_zip

GENERAL = {
    "2023-11-14": [
        message(1, "one", reactions=[{"name": "+1", "users": ["U1", "U2"], "count": 2}]),
        message(2, "two", thread_ts="1700000001.000100", parent_user_id="U1"),
        message(3, "three", subtype="channel_join"),
    ],
    "2023-11-15": [message(90_000, "later", files=[{"id": "F1"}], upload=True)],
}
EXPORT = export({"general": GENERAL, "random": {"2023-11-14": [message(1, "another channel")]}})


async def test_a_first_import(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    counted = count_files(EXPORT)
    for number, path in enumerate(
        (write_folder(tmp_path / "folder", EXPORT), write_zip(tmp_path / "export.zip", EXPORT))
    ):
        imported = await run_import(conninfo, path)
        total = imported.result.total
        assert total.read == counted.read == 5
        assert (total.inserted, total.already_there) == ((5, 0) if number == 0 else (0, 5))
        assert total.reactions == counted.reactions == 2
        assert imported.result.exit_code == 0
        assert (imported.result.files_planned, imported.result.files_done) == (3, 3)
        state = tables(database)
        assert len(state["message"]) == len(counted.messages) == 5
        assert [row["channel_name"] for row in state["channel"]] == ["general", "random"]
        assert [row["user_name"] for row in state["user"]] == ["one"]
        first = next(row for row in state["message"] if row["text"] == "one")
        assert first["reactions"] == [
            {"user_id": "U1", "reaction": "+1"},
            {"user_id": "U2", "reaction": "+1"},
        ]
        assert first["channel_type"] == "channel"
