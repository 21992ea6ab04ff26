"""Imports and live events, in any order and with any repetition, end in the same tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.archives import tables
from tests.integration.test_convergence import _record, channels, event, texts, times, users
from tests.support import SCALE, wrong_documents
from tiger_slack_tui.imports.merge.decisions import MergeRecord
from tiger_slack_tui.imports.merge.merger import Merger
from tiger_slack_tui.imports.merge.rows import parse_row
from tiger_slack_tui.imports.merge.targets import ImportTarget
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.import_files import FileCheckpoint
from tiger_slack_tui.store.import_messages import Channel

pytestmark = pytest.mark.slow

later = st.integers(1, 8).map(lambda n: f"170000000{n}.000000")
reactions = st.lists(
    st.fixed_dictionaries({"name": texts, "users": st.lists(users, max_size=2)}), max_size=2
)
exported = st.fixed_dictionaries(
    {"type": st.just("message"), "ts": times, "text": texts},
    optional={
        "user": users | st.none(),
        "thread_ts": times | st.just("no time"),
        "subtype": st.sampled_from(["bot_message", "file_share", "channel_topic", "tombstone"]),
        "topic": texts,
        "edited": st.fixed_dictionaries({"user": users, "ts": later}),
        "reactions": reactions,
        "upload": st.booleans(),
        "files": st.just([{"id": "F1"}]),
        "client_msg_id": st.just("no uuid"),
    },
)


def _after_its_message(content: dict[str, Any]) -> dict[str, Any]:
    """A reaction is newer than its message. An import, which has no time of a reaction, relies on that."""
    item = content.get("item")
    if item is None or float(content["event_ts"]) > float(item["ts"]):
        return content
    return content | {"event_ts": f"{item['ts'].partition('.')[0]}.500000"}


exports = st.lists(st.tuples(channels, exported), min_size=1, max_size=5)


_WRITTEN = (
    *(
        "message",
        "message_search",
        "reaction",
        "tombstone",
        '"user"',
        "channel",
        "channel_name",
        "event",
        "delivery",
    ),
    *("message_discard", "import_file", "import_problem"),
)


def _clear(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        for table in _WRITTEN:  # of a few rows this is far quicker than truncate
            connection.execute(b"delete from slack." + table.encode())


class Importer:
    """Merges records as an import does, over one connection."""

    def __init__(self, conninfo: str) -> None:
        self._runner = asyncio.Runner()
        self._files = 0
        self._connection = self._runner.run(connect(conninfo))

    def __call__(self, records: list[tuple[str, dict[str, Any]]]) -> None:
        self._files += 1
        states = {0: FileCheckpoint(f"f{self._files}", 0, 0, "C")}
        merger = Merger(self._connection, ImportTarget(self._connection, 1))
        entries = [
            MergeRecord(parse_row(record, Channel(channel, "channel")), None, 0, n)
            for n, (channel, record) in enumerate(records, 1)
        ]
        self._runner.run(merger.merge(entries, states, has_rules=True))
        assert states[0].account.read == len(records)
        assert states[0].account.adds_up

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


@pytest.fixture
def importer(conninfo: str) -> Iterator[Importer]:
    importer = Importer(conninfo)
    yield importer
    importer.close()


def _state(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """The tables, without the reactions of deleted and discarded messages, which are not shown."""
    assert wrong_documents(connection) == []
    state = tables(connection)
    there = {(row["channel_id"], row["ts"]) for row in state["message"]}
    state["reaction"] = [r for r in state["reaction"] if (r["channel_id"], r["ts"]) in there]
    return state


@settings(
    max_examples=40 * SCALE,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(event.map(_after_its_message), max_size=8),
    st.lists(exports, min_size=1, max_size=3),
    st.sampled_from([None, '$.text == "a"', '$.subtype == "channel_topic"']),
    st.data(),
)
def test_same_tables_from_any_order(
    database: psycopg.Connection[Any],
    importer: Importer,
    events: list[dict[str, Any]],
    archives: list[list[tuple[str, dict[str, Any]]]],
    rule: str | None,
    data: st.DataObject,
) -> None:
    live = [_record(f"Ev{n:02d}", content) for n, content in enumerate(events)]
    steps: list[Any] = [*live, *archives]
    again = data.draw(st.lists(st.sampled_from(steps), max_size=4), label="again")
    order = data.draw(st.permutations(steps + again), label="order")
    states = []
    for run in (steps, order):
        _clear(database)
        database.execute(
            "insert into slack.import (id, source, options, instance) overriding system value"
            " values (1, 'x', '{}', 'x') on conflict do nothing"
        )
        if rule:
            database.execute(
                "insert into slack.message_discard (match) values (%s::jsonpath)", (rule,)
            )
        for step in run:
            if isinstance(step, bytes):
                database.execute("select slack.ingest(%s::jsonb)", ((b"[" + step + b"]").decode(),))
            else:
                importer(step)
        states.append(_state(database))
    assert states[1] == states[0]
