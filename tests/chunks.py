"""Years of messages in weekly chunks, and the work of one message, thread or period in their middle.

On plain PostgreSQL a partitioned table stands in for the hypertable: PostgreSQL plans and locks partitions as chunks.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests.auditing import record
from tiger_slack_tui.base.times import LATEST
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.migrate.files import shipped_migrations
from tiger_slack_tui.postgres.queries import fetch_value
from tiger_slack_tui.search.search import search
from tiger_slack_tui.slack.ts import to_micros
from tiger_slack_tui.store.audit_detail import message_content
from tiger_slack_tui.store.conversations import (
    fetch_first_replies,
    fetch_top_level,
    with_replies,
)
from tiger_slack_tui.store.events import as_array
from tiger_slack_tui.store.gap_progress import messages as gap_messages
from tiger_slack_tui.store.import_messages import delete_messages, fetch_known
from tiger_slack_tui.store.message_trail import messages_of_second, stored_message
from tiger_slack_tui.store.readable_messages import fetch_around, fetch_messages, fetch_thread
from tiger_slack_tui.store.search import Match, lexeme, newest

BEGIN = datetime(2004, 12, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
"""The interval of chunks, which begin on Thursdays, as 1970 did."""

Work = Callable[[Connection], Awaitable[object]]


def ts_of(week: int, minutes: int = 0) -> str:
    return f"{when(week, minutes).timestamp():.6f}"


def when(week: int, minutes: int = 0) -> datetime:
    return BEGIN + week * WEEK + timedelta(minutes=minutes)


def into_partitions(
    connection: psycopg.Connection[Any], chunks: int, table: str = "message", column: str = "ts"
) -> None:
    """Make a table of an empty database one of weekly partitions."""
    for statement in (
        f"create table slack.parted (like slack.{table} including all) partition by range ({column})",
        f"drop table slack.{table} cascade",
        f"alter table slack.parted rename to {table}",
    ):
        connection.execute(statement.encode())
    for week in range(chunks):
        connection.execute(
            f"create table slack.week_{week} partition of slack.{table}"
            f" for values from ('{when(week)}') to ('{when(week + 1)}')".encode()
        )
    for file in shipped_migrations():
        if not file.is_incremental:
            connection.execute(file.body.encode())


def fill(connection: psycopg.Connection[Any], chunks: int) -> None:
    """Store threads whose last reply comes a week later, one a week, and a channel of three messages."""
    for week in range(chunks - 1):
        for ts, content in (
            (ts_of(week), {"text": f"parent {week}"}),
            (ts_of(week, 1), {"text": f"reply {week}", "thread_ts": ts_of(week)}),
            (ts_of(week + 1, 2), {"text": f"late {week}", "thread_ts": ts_of(week)}),
        ):
            _insert(connection, {"channel": "C1", "user": "U1", "ts": ts} | content)
    for week in (2, chunks // 2, chunks - 3):
        _insert(connection, {"channel": "C2", "user": "U1", "ts": ts_of(week), "text": "rare"})


def _insert(connection: psycopg.Connection[Any], message: dict[str, Any]) -> None:
    connection.execute("select slack.insert_message(%s)", (json.dumps(message),))


def work_in(chunks: int) -> dict[str, Work]:
    """What ingestion, imports, backfills and readers do with one message, thread or period of a history of `fill`."""
    week = chunks // 2
    parent, first, now = ts_of(week), to_micros(when(week)), ts_of(week, 9)
    item = {"type": "message", "channel": "C1", "ts": parent}
    of_user = Match(lexeme("from:U1"), since=str(when(week)), until=str(when(week + 1)))
    edited = {"ts": parent, "user": "U1", "text": "edited"}

    def ingest(**event: Any) -> Work:
        event = {"channel": "C1", "event_ts": now} | event
        batch = f"[{record('Ev1', event).decode()}]"
        return lambda connection: connection.execute("select slack.ingest(%s::jsonb)", (batch,))

    def around(ts: str, channel: str = "C1") -> Work:
        async def read(connection: Connection) -> None:
            [message] = await fetch_messages(connection, [(channel, ts)])
            assert await fetch_around(connection, message, 1) != ([], [])

        return read

    return {
        "a new message": ingest(type="message", ts=ts_of(week, 5), user="U1", text="new"),
        "an edit": ingest(type="message", subtype="message_changed", ts=now, message=edited),
        "a reaction": ingest(type="reaction_added", user="U2", reaction="eyes", item=item),
        "a deletion": ingest(type="message", subtype="message_deleted", ts=now, deleted_ts=parent),
        "an import reads what is known": lambda c: fetch_known(c, {"C1": [first, first + 60]}),
        "an import replaces rows": lambda c: delete_messages(
            c, [("C1", first), ("C1", first + 60)]
        ),
        "an import replaces rows of two far weeks": lambda c: delete_messages(
            c, [("C1", to_micros(when(3))), ("C1", to_micros(when(chunks - 5)))]
        ),
        "a backfill reads a period": lambda c: gap_messages(
            c, "C1", oldest=when(week), before=when(week + 1), ended=when(week + 1)
        ),
        "an event's message": lambda c: message_content(c, "C1", parent, event_id="Ev1"),
        "why": lambda c: stored_message(c, "C1", parent),
        "why, of a second": lambda c: messages_of_second(c, "C1", parent),
        "two far messages": lambda c: fetch_messages(
            c, [("C1", ts_of(3)), ("C1", ts_of(chunks - 5))]
        ),
        "a search": lambda c: search(c, '"late 3" or "late 5" or "parent 2"'),
        "a thread": lambda c: fetch_thread(c, "C1", parent, 100),
        "the end of a thread": lambda c: c.execute(
            "select slack.get_thread_from_end('C1', %s, 2)", (when(week),)
        ),
        "the channel around a message": around(parent),
        "a quiet channel around a message": around(ts_of(week), "C2"),
        "the newest messages of a quiet channel": lambda c: fetch_top_level(
            c, "C2", since=BEGIN, until=LATEST, before=None, n=2
        ),
        "the last messages of a channel": lambda c: c.execute(
            "select slack.get_channel_by_range('C1', null, 5)"
        ),
        "the thread around a reply": around(ts_of(week, 1)),
        "the first replies of two threads": lambda c: fetch_first_replies(
            c, "C1", [parent, ts_of(week + 1)], n=3
        ),
        "which have replies": lambda c: with_replies(c, [("C1", parent)]),
        "a week of a user": lambda c: newest(c, of_user, after=None, limit=9),
        "the activity of a day": lambda c: fetch_value(
            c, "select count(*) from slack.activity_daily where day = %s", (when(week).date(),)
        ),
        "the activity of a channel": lambda c: fetch_value(
            c,
            "select count(*) from slack.get_activity(%s, %s, '{C1}')",
            (when(week), when(week) + timedelta(days=7)),
        ),
        "a day of a channel": lambda c: fetch_top_level(
            c, "C1", since=when(week), until=when(week) + timedelta(days=1), before=None, n=9
        ),
    }


async def replay_of_week(connection: Connection, week: int) -> None:
    """Ingest an event of the week, and replay it."""
    now = ts_of(week, 9)
    stored = record("EvR", {"channel": "C1", "event_ts": now, "type": "message", "ts": now})
    await connection.execute("select slack.ingest(%s::jsonb)", (as_array([stored]),))
    query = "select id from slack.event where event_id = 'EvR' and event_ts = %s"
    event = await fetch_value(connection, query, (when(week, 9),))
    again = stored[:-1] + f',"id":{event},"kept_channel_id":"C1"}}'.encode()
    answer = await fetch_value(connection, "select slack.replay(%s)", (as_array([again]),))
    assert answer == {"EvR": "stored"}
