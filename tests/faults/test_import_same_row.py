"""An import and a live event make the same row from the same message, whatever its fields hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from tests.archives import DAY
from tests.auditing import record
from tests.support import SCALE
from tiger_slack_tui.imports.merge.decisions import MergeRecord
from tiger_slack_tui.imports.merge.merger import Merger
from tiger_slack_tui.imports.merge.rows import parse_row
from tiger_slack_tui.imports.merge.targets import ImportTarget
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.slack import payload
from tiger_slack_tui.store.import_files import FileCheckpoint
from tiger_slack_tui.store.import_messages import Channel

pytestmark = pytest.mark.slow

TEXTS = (
    *("text", "team", "user", "parent_user_id", "bot_id", "app_id", "trigger_id", "workflow_id"),
    "client_msg_id",
)
COLUMNS_OF_TEXT = tuple("user_id" if name == "user" else name for name in TEXTS[:-1])
TS = f"{DAY}.000100"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.just("id"), inner, max_size=3)
    ),
    max_leaves=6,
)
times = st.sampled_from(
    [
        *(TS, "no time", "", "1700000000", 1700000000, 1700000000.5, "99999999999999", -5, [], {}),
        *(True, "1700000000.0000005", "1700000000.1234567891", " 1700000000.1", "1e9", "NaN", None),
        *(1e-05, "4102444800.999999", "253402300800", 1e300),
    ]
)
fields = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(TEXTS, json_values)
    | dict.fromkeys(("display_as_bot", "upload"), json_values)
    | dict.fromkeys(("blocks", "attachments", "files", "x_files", "icons", "language"), json_values)
    | {"thread_ts": times, "edited": json_values.filter(lambda value: not isinstance(value, dict))}
    | {"client_msg_id": st.uuids().map(str) | st.uuids().map(lambda value: value.hex) | json_values}
    | {"type": st.just("message")},
)


class Rows:
    """Makes the row of a message in each way."""

    def __init__(self, conninfo: str, database: psycopg.Connection[Any]) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(connect(conninfo))
        self._database = database
        database.execute(
            "insert into slack.import (id, source, options, instance) overriding system value"
            " values (1, 'x', '{}', 'x')"
        )

    def imported(self, message: dict[str, Any]) -> dict[str, Any]:
        self._clear()
        row = parse_row(payload.decode(json.dumps(message)), Channel("C1", "channel"))
        merge = Merger(self._connection, ImportTarget(self._connection, 1)).merge(
            [MergeRecord(row, None, 0, 1)], {0: FileCheckpoint("f", 0, 0, "C1")}, has_rules=False
        )
        self._runner.run(merge)
        return self._row()

    def live(self, event: dict[str, Any]) -> dict[str, Any]:
        self._clear()
        batch = b"[" + record("Ev1", payload.decode(json.dumps(event))) + b"]"
        self._database.execute("select slack.ingest(%s::jsonb)", (batch.decode(),))
        return self._row()

    def by_hand(self, event: dict[str, Any]) -> dict[str, Any]:
        self._clear()
        values = (psycopg.types.json.Jsonb(payload.decode(json.dumps(event))),)
        self._database.execute("select slack.insert_message(%s)", values)
        return self._row()

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()

    def _clear(self) -> None:
        for table in (b"message", b"event", b"delivery", b"import_file"):
            self._database.execute(b"delete from slack." + table)

    def _row(self) -> dict[str, Any]:
        """The row and its text, without the event_id, which names its origin."""
        with self._database.cursor(row_factory=dict_row) as cursor:
            cursor.execute(
                "select m.*, (to_jsonb(m) - 'event_id')::text as whole from slack.message m"
            )
            (row,) = cursor.fetchall()
        del row["event_id"]
        return row


@pytest.fixture
def rows(conninfo: str, database: psycopg.Connection[Any]) -> Iterator[Rows]:
    rows = Rows(conninfo, database)
    yield rows
    rows.close()


def id_of(value: Any) -> Any:
    """The id in an object, which is stored for it."""
    return value.get("id") if isinstance(value, dict) else None


odd = settings(
    max_examples=20 * SCALE,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@odd
@given(fields)
def test_a_message(rows: Rows, odd_fields: dict[str, Any]) -> None:
    message = {"ts": TS, **odd_fields}
    event = {"type": "message", "channel": "C1", "channel_type": "channel", "event_ts": TS}
    imported = rows.imported(message)
    assert rows.live(event | message) == imported
    assert rows.by_hand(event | message) == imported
    for name in COLUMNS_OF_TEXT:
        given = payload.decode(json.dumps(odd_fields)).get("user" if name == "user_id" else name)
        assert imported[name] is None or imported[name] in (given, id_of(given))


@odd
@given(fields, st.booleans() | st.none() | st.just("message"))
def test_a_changed_message(rows: Rows, odd_fields: dict[str, Any], kind: Any) -> None:
    later = f"{DAY + 5}.000000"
    change = {"subtype": "message_changed", "ts": later, "event_ts": later}
    change["message"] = {"ts": TS, **odd_fields, "type": kind}
    event = {"type": "message", "channel": "C1", "channel_type": "channel"}
    assert rows.live(event | change) == rows.imported({"type": "message", **change})


@pytest.mark.parametrize("value", [5, True, 1e300, [1, None], {"a": [1]}])
def test_a_value_of_a_wrong_type_is_not_stored_as_text(rows: Rows, value: Any) -> None:
    """`->>` would turn it into a text that nobody wrote."""
    message = {"type": "message", "ts": TS, "channel": "C1"} | dict.fromkeys(TEXTS, value)
    for row in (rows.imported(message), rows.live(message), rows.by_hand(message)):
        assert {row[name] for name in (*COLUMNS_OF_TEXT, "client_msg_id")} == {None}
