"""Years of messages: what concerns one message, one thread or a span of time touches only the chunks that hold it.

A partitioned table stands in for a hypertable: PostgreSQL plans and locks partitions as it does chunks.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.auditing import record
from tests.conftest import new_database
from tests.support import SCALE
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.migrate.files import shipped_migrations
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.search.search import search
from tiger_slack_tui.slack.ts import to_micros
from tiger_slack_tui.store.conversations import (
    read_first_replies,
    read_top_level,
    with_replies,
)
from tiger_slack_tui.store.gaps import messages as gap_messages
from tiger_slack_tui.store.import_messages import delete_messages, read_known
from tiger_slack_tui.store.message_history import messages_of_second, stored_message
from tiger_slack_tui.store.readable_messages import read_around, read_messages, read_thread

CHUNKS = 100 if SCALE == 1 else 1000
MOST_LOCKS = 100
"""Tables of a transaction with their indexes, and a few chunks with theirs. All chunks have five times as many."""
BEGIN = datetime(2015, 1, 5, tzinfo=UTC)
WEEK = timedelta(days=7)


def ts_of(week: int, number: int = 0) -> str:
    return f"{(BEGIN + week * WEEK).timestamp() + 60 * number:.6f}"


def into_chunks(connection: psycopg.Connection[Any]) -> None:
    """Make slack.message a table of weekly partitions, each with a thread that ends in the next."""
    connection.execute(
        "create table slack.parted (like slack.message including all) partition by range (ts)"
    )
    connection.execute("drop table slack.message cascade")
    connection.execute("alter table slack.parted rename to message")
    for file in shipped_migrations():
        if not file.is_incremental:
            connection.execute(file.body.encode())
    for week in range(CHUNKS):
        begin, end = BEGIN + week * WEEK, BEGIN + (week + 1) * WEEK
        connection.execute(
            f"create table slack.week_{week} partition of slack.message"
            f" for values from ('{begin}') to ('{end}')".encode()
        )
    for week in range(CHUNKS - 1):
        for ts, content in (
            (ts_of(week), {"text": f"parent {week}"}),
            (ts_of(week, 1), {"text": f"reply {week}", "thread_ts": ts_of(week)}),
            (ts_of(week + 1, 2), {"text": f"late {week}", "thread_ts": ts_of(week)}),
        ):
            message = {"channel": "C1", "user": "U1", "ts": ts} | content
            connection.execute("select slack.insert_message(%s)", (json.dumps(message),))


@pytest.fixture(scope="module")
def conninfo(postgres: EmbeddedPostgres, template: str) -> str:
    """One database for all tests of the module: making the partitions takes seconds."""
    conninfo = new_database(postgres, template)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        into_chunks(connection)
    return conninfo


OLD = CHUNKS // 2


def ingesting(**event: Any) -> Callable[[Connection], Awaitable[object]]:
    """Ingest an event in the middle of the history."""
    event = {"channel": "C1", "event_ts": ts_of(OLD, 9)} | event
    batch = f"[{record('Ev1', event).decode()}]"
    return lambda connection: connection.execute("select slack.ingest(%s::jsonb)", (batch,))


def around(ts: str) -> Callable[[Connection], Awaitable[object]]:
    async def read(connection: Connection) -> None:
        [message] = await read_messages(connection, [("C1", ts)])
        assert await read_around(connection, message, 1) != ([], [])

    return read


OF_MESSAGE = {"type": "message", "channel": "C1", "ts": ts_of(OLD)}
WORK: dict[str, Callable[[Connection], Awaitable[object]]] = {
    "a new message": ingesting(type="message", ts=ts_of(OLD, 5), user="U1", text="new"),
    "an edit": ingesting(
        type="message",
        subtype="message_changed",
        ts=ts_of(OLD, 9),
        message={"ts": ts_of(OLD), "user": "U1", "text": "edited"},
    ),
    "a reaction": ingesting(type="reaction_added", user="U2", reaction="eyes", item=OF_MESSAGE),
    "a deletion": ingesting(
        type="message", subtype="message_deleted", ts=ts_of(OLD, 9), deleted_ts=ts_of(OLD)
    ),
    "an import reads what is known": lambda connection: read_known(
        connection, {"C1": [to_micros_of(OLD), to_micros_of(OLD, 1)]}
    ),
    "an import replaces rows": lambda connection: delete_messages(
        connection, [("C1", to_micros_of(OLD)), ("C1", to_micros_of(OLD, 1))]
    ),
    "a backfill reads a period": lambda connection: gap_messages(
        connection, "C1", oldest=when(OLD), before=when(OLD + 1), ended=when(OLD + 1)
    ),
    "why": lambda connection: stored_message(connection, "C1", ts_of(OLD)),
    "why, a second": lambda connection: messages_of_second(connection, "C1", ts_of(OLD)),
    "messages of a page": lambda connection: read_messages(
        connection, [("C1", ts_of(3)), ("C1", ts_of(CHUNKS - 5))]
    ),
    "a search": lambda connection: search(connection, "late or parent", limit=5),
    "a thread": lambda connection: read_thread(connection, "C1", ts_of(OLD), 100),
    "the end of a thread": lambda connection: connection.execute(
        "select slack.get_thread_from_end('C1', %s, 2)", (when(OLD),)
    ),
    "the channel around a message": around(ts_of(OLD)),
    "the thread around a reply": around(ts_of(OLD, 1)),
    "messages of a channel with their replies": lambda connection: read_first_replies(
        connection, "C1", [ts_of(OLD), ts_of(OLD + 1)], n=3
    ),
    "which have replies": lambda connection: with_replies(connection, [("C1", ts_of(OLD))]),
    "a day of a channel": lambda connection: read_top_level(
        connection, "C1", since=when(OLD), until=when(OLD) + timedelta(days=1), before=None, n=9
    ),
}


def when(week: int) -> datetime:
    return BEGIN + week * WEEK


def to_micros_of(week: int, number: int = 0) -> int:
    return to_micros(when(week) + timedelta(minutes=number))


@pytest.mark.parametrize("work", WORK)
async def test_only_the_chunks_that_hold_it_are_locked(conninfo: str, work: str) -> None:
    async with await connect(conninfo) as connection:
        async with connection.transaction(force_rollback=True):
            await WORK[work](connection)
            found = await connection.execute(
                "select count(*), count(distinct relation) filter (where relation::regclass::text ~ 'week_[0-9]+$')"
                " from pg_locks where pid = pg_backend_pid() and locktype = 'relation'"
            )
            locks, chunks = (await found.fetchone()) or (0, 0)
    assert chunks <= 10
    assert locks <= MOST_LOCKS
