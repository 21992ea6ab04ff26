"""A record counts as failed only after two refusals, and not for an error that the connection may have caused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from tests.faults.pipelines import envelope
from tests.support import encoded
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.ingest.record import encode_record
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.pool import make_pool
from tiger_slack_tui.slack.events import route
from tiger_slack_tui.store import events as store_module
from tiger_slack_tui.store.events import EncodedEvent, EventStore

Pool = AsyncConnectionPool[Any]


@pytest.fixture
async def pool(conninfo: str) -> AsyncIterator[Pool]:
    async with make_pool(conninfo, minimum=2, maximum=2) as pool:
        yield pool


def record(number: int, **fields: Any) -> bytes:
    one = envelope(number)
    return orjson.dumps(orjson.loads(encode_record(one, route(one))) | fields)


ODD = ("XX000", "26000", "42P05", "42883")
PLAIN = ("22023", "22P02")


class Refusals:
    """Raises an error for each of the next `times` writes that hold the event; notes the connections."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, sqlstate: str, times: int) -> None:
        self.sqlstate, self.times = sqlstate, times
        self.connections: list[Connection] = []
        self._real = store_module._ingest
        monkeypatch.setattr(store_module, "_ingest", self._ingest)

    async def _ingest(self, connection: Connection, events: Sequence[EncodedEvent]) -> Any:
        is_failed = any(b'"failed"' in event.record for event in events)
        if not is_failed and any(event.event_id == "Ev1" for event in events):
            self.connections.append(connection)
            if len(self.connections) <= self.times:
                raise psycopg.errors.lookup(self.sqlstate)
        return await self._real(connection, events)


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("sqlstate", ODD + PLAIN)
async def test_an_error_that_passes_at_the_second_try_loses_nothing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, sqlstate: str, others: int
) -> None:
    refusals = Refusals(monkeypatch, sqlstate, times=1)
    records = [record(n + 1) for n in range(others + 1)]
    written = await EventStore(pool).ingest(encoded(records))
    assert (written.failed, len(written.new)) == ({}, others + 1)
    first, second = refusals.connections
    assert (first is not second) == (sqlstate in ODD)
    assert first.closed == (sqlstate in ODD)


@pytest.mark.parametrize("sqlstate", ODD + PLAIN)
async def test_one_event_is_tried_as_often_as_in_a_batch_of_two(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, sqlstate: str
) -> None:
    tries = []
    for records in ([record(1)], [record(1), record(2)]):
        refusals = Refusals(monkeypatch, sqlstate, times=99)
        written = await EventStore(pool).ingest(encoded(records))
        tries.append(len(refusals.connections))
        assert len({id(each) for each in refusals.connections}) == (2 if sqlstate in ODD else 1)
        assert written.failed in ({"Ev1": sqlstate}, {})
        monkeypatch.undo()
    assert tries[0] == tries[1] >= 2


async def test_events_committed_before_a_second_connection_count(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = Refusals(monkeypatch, "XX000", times=1)
    records = [record(2), record(3, message_ts="never"), record(4), record(1)]
    written = await EventStore(pool).ingest(encoded(records))
    assert len({id(each) for each in refusals.connections}) == 2
    assert written.new == {"Ev1", "Ev2", "Ev3", "Ev4"}
    assert written.failed.keys() == {"Ev3"}


async def test_a_real_prepared_statement_that_is_gone(pool: Pool) -> None:
    """As behind a pooler that gives each transaction another session."""
    store = EventStore(pool)
    for n in range(4):
        await store.ingest(encoded([record(n)]))
    connections = [await pool.getconn() for _ in range(2)]
    for connection in connections:
        await connection.execute("deallocate all")
        await pool.putconn(connection)
    written = await store.ingest(encoded([record(9)]))
    assert (written.new, written.failed) == ({"Ev9"}, {})


async def test_a_write_without_an_answer_in_time_is_aborted(
    pool: Pool, database: psycopg.Connection[Any]
) -> None:
    store = EventStore(pool)
    with database.transaction():
        database.execute("lock table slack.event in access exclusive mode")
        with pytest.raises(DatabaseUnavailable, match=r"did not answer within 0\.1 s"):
            await store.ingest(encoded([record(1)]), seconds=0.1)
        assert not store.busy
    # The server may have committed it all the same.
    assert (await store.ingest(encoded([record(1)]), unconfirmed={"Ev1"})).new == {"Ev1"}


async def test_an_event_counts_as_first_only_for_the_record_that_is_stored(
    pool: Pool, database: psycopg.Connection[Any]
) -> None:
    database.execute("insert into slack.message_discard (match) values ('$.text == \"drop\"')")
    store = EventStore(pool)
    dropped = record(2, event=orjson.loads(record(2))["event"] | {"text": "drop"})
    bad = record(3, message_ts="never")
    records = [record(1), dropped, bad]
    await store.ingest(encoded(records))
    again = await store.ingest(encoded(records), unconfirmed={"Ev1", "Ev2", "Ev3"})
    assert again.new == {"Ev1", "Ev2", "Ev3"}
    assert again.discarded == {"Ev2": 1}
    assert again.failed.keys() == {"Ev3"}
    assert (await store.ingest(encoded(records))).new == set()
    later = [record(n, received_at="2026-01-01T00:00:00+00:00") for n in (1, 2)]
    assert (await store.ingest(encoded(later), unconfirmed={"Ev1", "Ev2"})).new == set()
