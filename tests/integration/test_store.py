"""The store of events: a refused event is kept, and an unavailable database is reported."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.support import allow_connections, check, encoded
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.ingest.record import encode_record
from tiger_slack_tui.postgres.copy_format import copy_rows, row_of, text_cell
from tiger_slack_tui.postgres.pool import Pool, connect, make_pool
from tiger_slack_tui.slack.events import parse_envelope, route
from tiger_slack_tui.slack.payload import decode
from tiger_slack_tui.store.events import EventStore


@pytest.fixture
async def pool(conninfo: str) -> AsyncIterator[Pool]:
    async with make_pool(conninfo, minimum=1, maximum=2) as pool:
        yield pool


def record(event_id: str, **fields: Any) -> bytes:
    given = {
        "event_id": event_id,
        "event_ts": "1700000000.000100",
        "received_at": "2026-01-01T00:00:00Z",
        "type": "emoji_changed",
        "effects": [],
        "outcome": "unrouted",
        "event": {"type": "emoji_changed"},
    }
    return json.dumps(given | fields).encode()


async def test_counts_each_event_once(pool: Pool, database: psycopg.Connection[Any]) -> None:
    store = EventStore(pool)
    written = await store.ingest(encoded([record("Ev1"), record("Ev2"), record("Ev1")]))
    assert written.new == {"Ev1", "Ev2"}
    assert (await store.ingest(encoded([record("Ev2"), record("Ev3")]))).new == {"Ev3"}
    deliveries = database.execute(
        "select event_id, deliveries from slack.delivery order by 1"
    ).fetchall()
    assert deliveries == [("Ev1", 2), ("Ev2", 2), ("Ev3", 1)]


async def test_an_event_that_jsonb_cannot_hold_is_stored_as_text(
    pool: Pool, database: psycopg.Connection[Any]
) -> None:
    # jsonb allows 131,072 digits before the decimal point; the reader of records allows numbers up to 1e308.
    number = b"0." + b"0" * 20_000 + b"1"
    beyond = record("Ev2").replace(b'"emoji_changed"}', b'"emoji_changed", "x": ' + number + b"}")
    store = EventStore(pool)
    written = await store.ingest(encoded([record("Ev1"), beyond, record("Ev3")]))
    assert written.new == {"Ev1", "Ev2", "Ev3"}
    assert list(written.failed) == ["Ev2"]
    kept = database.execute(
        "select outcome, event from slack.event where event_id = 'Ev2'"
    ).fetchone()
    assert kept is not None
    assert kept[0] == "failed"


async def test_settings_of_the_database_are_overruled(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    for setting in (
        "default_transaction_isolation = serializable",
        "datestyle = 'German, DMY'",
        "intervalstyle = iso_8601",
        # Long enough that none of them ends the session before its settings are set.
        "statement_timeout = '1h'",
        "lock_timeout = '1h'",
        "idle_session_timeout = '1h'",
    ):
        database.execute(f"alter database {database.info.dbname} set {setting}".encode())
    async with await connect(conninfo) as connection:
        cursor = await connection.execute(
            "select current_setting('transaction_isolation'), to_timestamp(0), interval '1 day',"
            " array(select current_setting(s || '_timeout') from unnest('{statement,lock,idle_session}'::text[]) s)"
        )
        assert await cursor.fetchone() == (
            "read committed",
            datetime.fromtimestamp(0, UTC),
            timedelta(days=1),
            ["0", "0", "0"],
        )


async def test_an_absent_database_is_reported_and_comes_back(pool: Pool, conninfo: str) -> None:
    store = EventStore(pool)
    await store.ingest(encoded([record("Ev1")]))
    allow_connections(conninfo, allowed=False)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await store.ingest(encoded([record("Ev2")]))
    allow_connections(conninfo, allowed=True)
    async with asyncio.timeout(30):
        while True:
            try:
                assert (await store.ingest(encoded([record("Ev2")]))).new == {"Ev2"}
                break
            except DatabaseUnavailable:
                await asyncio.sleep(0.1)


async def test_abort_ends_a_write_that_hangs(pool: Pool, database: psycopg.Connection[Any]) -> None:
    store = EventStore(pool)
    with database.transaction():
        database.execute("lock table slack.event in access exclusive mode")
        write = asyncio.create_task(store.ingest(encoded([record("Ev1")])))
        while not store.busy:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        store.abort()
        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(write, 60)
    assert (await store.ingest(encoded([record("Ev2")]))).new == {"Ev2"}


async def test_concurrent_writers_do_not_deadlock_and_agree(conninfo: str) -> None:
    """Four instances get the same events, each in another order and in other batches."""
    sent = list(Workspace(8, 1_700_000_000.0, 100).events(1500))
    records = []
    for one in sent:
        frame = decode(json.dumps({"envelope_id": "e", "payload": one}))
        envelope = parse_envelope(frame, received_at=1.7e9)
        assert envelope is not None
        records.append(encode_record(envelope, route(envelope)))

    async def write_all(seed: int) -> int:
        chance = random.Random(seed)
        mine = chance.sample(records, len(records))
        first = 0
        async with make_pool(conninfo, minimum=1, maximum=1) as own:
            store = EventStore(own)
            while mine:
                size = chance.randrange(1, 120)
                batch, mine = mine[:size], mine[size:]
                first += len((await store.ingest(encoded(batch))).new)  # a deadlock would raise
        return first

    assert sum(await asyncio.gather(*(write_all(seed) for seed in range(4)))) == 1500
    await check(conninfo, sent)


async def test_a_copy_that_is_cancelled_leaves_the_connection_usable(conninfo: str) -> None:
    rows = [row_of(1) + text_cell("one")] * 10
    async with await connect(conninfo) as connection:
        await connection.execute("create temporary table copied (text text)")

        async def work() -> None:
            async with connection.transaction():
                for _ in range(20):
                    await copy_rows(connection, "copy copied from stdin (format binary)", rows)

        for step in range(40):  # at any moment of it
            task = asyncio.ensure_future(work())
            await asyncio.sleep(step / 10_000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            found = await connection.execute("select count(*) % 200 from copied")
            assert await found.fetchone() == (0,)
