"""Every reader of the audit trail can show every event, also one with odd parts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from psycopg import sql

from tests.acceptance.test_cli import in_this_process
from tests.auditing import asking, deletion, edit, message, reaction, store, ts
from tiger_slack_tui.audit.detail import fetch_event
from tiger_slack_tui.audit.detail_lines import detail_lines
from tiger_slack_tui.audit.why import fetch_message_trail
from tiger_slack_tui.audit.why_lines import why_lines
from tiger_slack_tui.cli.events import row_lines
from tiger_slack_tui.cli.output import echo_json
from tiger_slack_tui.console.panes.details import event_lines as console_lines
from tiger_slack_tui.store.audit_events import EventFilter, fetch_page

ODD: tuple[Any, ...] = (None, "", "z", -1e300, ["a", 1], {"a": {"ts": "z"}})
USER = {
    "type": "user_change",
    "user": {"id": "U1", "name": "ann", "profile": {}},
    "event_ts": ts(3),
}
CHANNEL = {"type": "channel_rename", "channel": {"id": "C1", "name": "b"}, "event_ts": ts(3)}
EVENTS: tuple[dict[str, Any], ...] = (
    message(1, reactions=[{"name": "eyes", "users": ["U1"]}]),
    edit(1, 2),
    deletion(1, 3),
    reaction(1, 4),
    reaction(1, 4) | {"type": "reaction_removed"},
    USER,
    CHANNEL,
)


def variants(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The event without each of its parts, and with each part replaced by each odd value."""
    for path in _paths(event):
        if path == ("event_ts",):
            continue
        for value in (..., *ODD):
            changed = deepcopy(event)
            inner: Any = changed
            for key in path[:-1]:
                inner = inner[key]
            if value is ...:
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
            yield changed


def _paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from _paths(inner, (*path, key))


async def test_each_part_of_an_event_may_be_anything(conninfo: str, tmp_path: Path) -> None:
    odd: dict[str, dict[str, Any]] = {}
    for event in EVENTS:
        odd |= {f"Ev{len(odd) + n}": each for n, each in enumerate(variants(event))}
    written = await store(conninfo, odd)
    assert written.failed  # PostgreSQL refuses some; they can be shown as well
    async with asking(conninfo) as connection:
        page = await fetch_page(connection, EventFilter(), most=len(odd))
        assert {row.event_id for row in page.rows} == odd.keys()
        for row in page.rows:
            assert list(row_lines(row))
        for event_id in odd:
            found = await fetch_event(connection, event_id)
            assert found is not None
            echo_json(found)
            assert list(detail_lines(found))
            assert list(console_lines(found, 80))
            assert not [key for row in found.rows for key in row.key if key in ("", "None")]
        trail = await fetch_message_trail(connection, "C1", ts(1))
        assert list(why_lines(trail))


@pytest.mark.parametrize(
    "odd", ["253402300800.000001", "9000000000000.000000", "-62135596801.500000"]
)
def test_a_message_beyond_the_years_of_python(conninfo: str, tmp_path: Path, odd: str) -> None:
    asyncio.run(store(conninfo, {"Ev1": message(1, ts=odd)}))

    def run(*words: str) -> str:
        done = in_this_process(*words, cwd=tmp_path, DATABASE_URL=conninfo)
        assert done.returncode == 0, done.stderr
        return done.stdout

    key = f"slack.message C1 {odd}: has the content of this event"
    assert key in run("event", "Ev1")
    for words in (["why", "--", "C1", odd], ["why", "--json", "--", "C1", odd]):
        said = run(*words)
        assert odd in said
        assert "stored" in said


def test_why_with_an_empty_trail(conninfo: str, tmp_path: Path) -> None:
    said = in_this_process("why", "C1", ts(1), cwd=tmp_path, DATABASE_URL=conninfo)
    assert "It is not stored. The audit trail is empty." in said.stdout


def test_an_error_does_not_store_the_text_a_second_time(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    database.execute(
        "alter table slack.message add constraint refusing check (text <> 'my secret')"
    )
    asyncio.run(store(conninfo, {"Ev1": message(1, text="my secret")}))
    row = database.execute("select error::text from slack.event").fetchone()
    assert row is not None
    assert ("refusing" in row[0], "my secret" in row[0]) == (True, False)
    old = '{"diagnostics": {"context": "pages\\nof SQL", "message_detail": "(my secret)"}}'
    database.execute("update slack.event set error = error || %s", (old,))
    said = in_this_process("event", "Ev1", cwd=tmp_path, DATABASE_URL=conninfo).stdout
    shown, _, payload = said.partition("\npayload\n")
    assert ("refusing" in shown, "my secret" in payload) == (True, True)
    assert not [part for part in ("my secret", "of SQL") if part in shown]


def test_a_role_without_rights(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    database.execute(
        sql.SQL("alter database {} set role = pg_monitor").format(
            sql.Identifier(database.info.dbname)
        )
    )
    done = in_this_process("events", cwd=tmp_path, DATABASE_URL=conninfo)
    assert done.returncode == 1
    for part in ("42501", "grant usage on schema slack", "set role"):
        assert part in done.stderr
    found = in_this_process("doctor", "--json", cwd=tmp_path, DATABASE_URL=conninfo).stdout
    names = [check["name"] for check in orjson.loads(found)]
    assert names.count("database") == 1
    assert "tables" in names
