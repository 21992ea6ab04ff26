"""Makes archives for tests, and counts them, without the code under test."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.options import ImportOptions
from tiger_slack_tui.imports.progress_events import ImportEvent
from tiger_slack_tui.imports.result import ImportResult
from tiger_slack_tui.imports.state import ImportState

Files = dict[str, bytes]
"""Contents by path."""

DAY = 1_700_000_000
"""2023-11-14 22:13:20 UTC, in the file of 2023-11-14."""


def message(number: int, text: str = "text", **more: Any) -> dict[str, Any]:
    """A message, `number` seconds after DAY."""
    return {
        "type": "message",
        "user": "U1",
        "ts": f"{DAY + number}.000100",
        "text": text,
        **more,
    }


def day_file(*records: Any) -> bytes:
    return json.dumps(list(records)).encode()


def export(channels: Mapping[str, Mapping[str, Iterable[Any]]]) -> Files:
    """An export with channels C0, C1, … of these names, with records by day."""
    files = {
        "users.json": json.dumps([{"id": "U1", "name": "one", "updated": 1}]).encode(),
        "channels.json": json.dumps(
            [{"id": f"C{n}", "name": name, "created": 1} for n, name in enumerate(channels)]
        ).encode(),
    }
    for name, days in channels.items():
        for day, records in days.items():
            files[f"{name}/{day}.json"] = day_file(*records)
    return files


def long_export(files: int = 6, each: int = 1500, channel: str = "general") -> Files:
    """An export that takes several batches."""
    return export(
        {
            channel: {
                f"2023-11-{14 + day}": [message(day * 86_400 + n, f"text {n}") for n in range(each)]
                for day in range(files)
            }
        }
    )


def write_folder(root: Path, files: Files) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def write_zip(path: Path, files: Files, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@dataclass
class Counted:
    """The counts of an archive, from its JSON files alone."""

    read: int = 0
    messages: set[tuple[str, str]] = field(default_factory=set)
    """(channel id, ts)."""
    reactions: int = 0
    subtypes: Counter[str | None] = field(default_factory=Counter)


def count_files(files: Files) -> Counted:
    """Count the day files of an archive in which nothing is damaged."""
    counted = Counted()
    ids = {row["name"]: row["id"] for row in json.loads(files["channels.json"])}
    for path, content in files.items():
        folder, _, name = path.rpartition("/")
        if not folder or not name[:4].isdigit():
            continue
        for record in json.loads(content):
            counted.read += 1
            counted.messages.add((ids[folder], record["ts"]))
            counted.subtypes[record.get("subtype")] += 1
            counted.reactions += sum(len(r["users"]) for r in record.get("reactions") or [])
    return counted


@dataclass
class Imported:
    """An import that has ended, and its events."""

    result: ImportResult
    events: list[ImportEvent]

    def events_of(self, kind: type[ImportEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def run_import(
    conninfo: str, path: Path, *, selection: ImportSelection | None = None, **options: Any
) -> Imported:
    events: list[ImportEvent] = []
    options.setdefault("workers", 1)
    chosen = ImportOptions(selection=selection or ImportSelection(), **options)
    job = Import(conninfo, path, chosen, instance="test")
    async with asyncio.timeout(60):
        result = await job.run(events.append)
    assert result.mismatch is None
    return Imported(result, events)


TABLES = {
    "message": "select * from slack.message order by channel_id, ts",
    "message_search": "select * from slack.message_search order by channel_id, ts",
    "reaction": "select * from slack.reaction order by channel_id, ts, user_id, reaction",
    "tombstone": "select channel_id, ts from slack.tombstone order by channel_id, ts",
    "user": 'select * from slack."user" order by id',
    "channel": "select * from slack.channel order by id",
    "channel_name": "select * from slack.channel_name order by channel_name, channel_id",
}


def tables(connection: psycopg.Connection[Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of the tables that imports and live events write."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {table: cursor.execute(query).fetchall() for table, query in TABLES.items()}


def report(state: ImportState, event: ImportEvent) -> None:
    """Report an event as an import does: counted in the ledger, then given to the state."""
    state.ledger.handle(event)
    state.handle(event)
