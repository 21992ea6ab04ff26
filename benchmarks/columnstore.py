"""Compares settings of TimescaleDB's columnstore for slack.message, by what the questions of readers have to read.

    python benchmarks/columnstore.py settings [MESSAGES]  pages and rows that each question reads (150,000)

TIGER_SLACK_TEST_DSN names the TimescaleDB; its schema `slack` is dropped. The messages have the words and people of
corpus.py, and are of four weeks. Pages and rows are counted by `explain (analyze, buffers)`, so other work on the
machine does not change them.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import corpus
import psycopg

from tiger_slack_tui.postgres.migrate.run import migrate

_BEGIN, _DAYS = datetime(2025, 1, 2, tzinfo=UTC), 28
_MIDDLE = _BEGIN + timedelta(days=16)
_ROW_STORE = "row store"
_SETTINGS = {
    "by channel, ts (as set)": "segmentby = 'channel_id', timescaledb.orderby = 'ts desc'",
    "the same, bloom and minmax": "sparse_index = 'bloom(user_id),minmax(thread_ts)'",
    "channel, ts; no segments": "segmentby = '', timescaledb.orderby = 'channel_id, ts desc'",
    "ts; no segments": "segmentby = '', timescaledb.orderby = 'ts desc'",
    "by channel, thread, ts": "segmentby = 'channel_id', timescaledb.orderby = 'thread_ts, ts desc'",
}
"""What is set, after `timescaledb.`."""
_CHUNKS = """
select format('%I.%I', c.chunk_schema, c.chunk_name), c.is_compressed
from timescaledb_information.chunks c
where c.hypertable_schema = 'slack'
and c.hypertable_name = 'message'
"""
_BYTES = (
    "select sum(after_compression_total_bytes)::int8 from chunk_columnstore_stats('slack.message')"
)

Database = psycopg.Connection[Any]


def _fill(database: Database, messages: int) -> None:
    text = corpus.Text()
    threads: dict[int, str] = {}
    with database.cursor().copy(
        "copy slack.message (ts, channel_id, thread_ts, text, user_id, type, event_ts) from stdin"
    ) as copy:
        for number in range(messages):
            user = text.person()
            channel = (user * 7 + text.chance.randrange(12)) % corpus.CHANNELS
            ts = str(corpus.time_of(number, messages, _BEGIN, _DAYS))
            is_reply = channel in threads and text.chance.random() < 0.3
            if not is_reply:
                threads[channel] = ts
            thread = threads[channel] if is_reply else "\\N"
            words = " ".join(text.message())
            copy.write(f"{ts}\tC{channel:08}\t{thread}\t{words}\tU{user:08}\tmessage\t{ts}\n")


def _questions(database: Database) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """What readers ask for, about a thread in the middle of the time."""
    row = database.execute(
        "select channel_id, thread_ts, array_agg(ts) from slack.message"
        " where thread_ts >= %s and ts < %s group by 1, 2 order by count(*) desc limit 1",
        (_MIDDLE, _MIDDLE + timedelta(days=3)),
    ).fetchone()
    assert row is not None
    channel, thread, times = row
    week = (_MIDDLE - timedelta(days=3), _MIDDLE + timedelta(days=4))
    message = "select * from slack.message m where"
    return {
        "a message by its key": (f"{message} channel_id = %s and ts = %s", (channel, thread)),
        "a thread by the times of its messages": (
            f"{message} channel_id = %s and ts = any (%s) and ts >= %s and ts < %s",
            (channel, times, *week),
        ),
        "ten messages of a channel before another": (
            f"{message} channel_id = %s and ts < %s and ts >= %s order by ts desc limit 10",
            (channel, thread, week[0]),
        ),
        "a channel's day": (
            f"{message} channel_id = %s and ts >= %s and ts < %s",
            (channel, _MIDDLE, _MIDDLE + timedelta(days=1)),
        ),
        "a thread by thread_ts": (
            f"{message} channel_id = %s and thread_ts = %s and ts >= %s and ts < %s",
            (channel, thread, *week),
        ),
        "a user's week": (
            f"{message} user_id = %s and ts >= %s and ts < %s",
            ("U00000250", *week),
        ),
    }


def _reads(database: Database) -> dict[str, str]:
    """For each question, the pages that it reads, and the rows that it reads in vain."""
    found = {}
    for name, (question, values) in _questions(database).items():
        query = f"explain (analyze, buffers, timing off) {question}"
        text = psycopg.ClientCursor(database).mogrify(query, values)
        plan = "\n".join(line for (line,) in database.execute(text.encode()))
        buffers = re.search(r"Buffers: shared hit=(\d+)(?: read=(\d+))?", plan)
        assert buffers is not None
        removed = sum(map(int, re.findall(r"Rows Removed by Filter: (\d+)", plan)))
        found[name] = f"{int(buffers[1]) + int(buffers[2] or 0)} pages, {removed} rows"
    return found


def _convert(database: Database, settings: str) -> None:
    """Convert all chunks to the columnstore with these settings."""
    for chunk, is_converted in database.execute(_CHUNKS).fetchall():
        if is_converted:
            database.execute("call convert_to_rowstore(%s::regclass)", (chunk,))
    database.execute(f"alter table slack.message set (timescaledb.{settings})".encode())
    for chunk, _ in database.execute(_CHUNKS).fetchall():
        database.execute("call convert_to_columnstore(%s::regclass)", (chunk,))


def settings(messages: int = 150_000) -> None:
    conninfo = os.environ["TIGER_SLACK_TEST_DSN"]
    with psycopg.connect(conninfo, autocommit=True) as database:
        database.execute("drop schema if exists slack cascade")
        asyncio.run(migrate(conninfo))
        _fill(database, messages)
        database.execute("set search_path = public, pg_catalog")
        found = {_ROW_STORE: _reads(database)}
        for name, each in _SETTINGS.items():
            _convert(database, each)
            row = database.execute(_BYTES).fetchone()
            assert row is not None
            print(f"{name}: {row[0] / messages / 1000:.3f} kB a message", flush=True)
            found[name] = _reads(database)
    for question in found[_ROW_STORE]:
        print(f"{question}:")
        for name, reads in found.items():
            print(f"  {name:28}{reads[question]}")


if __name__ == "__main__":
    if sys.argv[1:2] != ["settings"]:
        sys.exit(__doc__)
    settings(*map(int, sys.argv[2:]))
