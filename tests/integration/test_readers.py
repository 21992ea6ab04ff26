"""The functions for those who read the tables, and the flags on which they filter."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from scripts.schema_reference import TARGET, reference
from tiger_slack_tui.postgres.pool import connect

START = datetime(2026, 3, 2, 9, tzinfo=UTC)

Database = psycopg.Connection[Any]


def add_user(database: Database, user_id: str, name: str, **profile: str) -> None:
    user = {"id": user_id, "name": name, "updated": 1, "profile": profile}
    database.execute("select slack.upsert_user(%s)", (Jsonb({"user": user}),))


def add_message(database: Database, n: int, *, thread: int | None = None) -> None:
    message = {"channel": "C1", "user": "U1", "text": str(n), "ts": slack_ts(n)}
    if thread is not None:
        message["thread_ts"] = slack_ts(thread)
    database.execute("select slack.insert_message(%s)", (Jsonb(message),))


def at(n: int) -> datetime:
    return START + timedelta(minutes=n)


def slack_ts(n: int) -> str:
    return f"{at(n).timestamp():.6f}"


def column(database: Database, query: str, *values: object) -> list[Any]:
    return [row[0] for row in database.execute(query.encode(), values).fetchall()]


def test_a_partial_payload_leaves_no_flag_null(database: Database) -> None:
    rename = {"type": "channel_rename", "channel": {"id": "C1", "name": "ops"}, "event_ts": "5.0"}
    database.execute("select slack.upsert_channel(%s)", (Jsonb(rename),))
    add_user(database, "U1", "ana")
    assert column(database, "select id from slack.channel where not is_archived") == ["C1"]
    assert column(
        database, "select id from slack.channel where not is_shared and not is_deleted"
    ) == ["C1"]
    assert column(database, 'select id from slack."user" where not deleted and not is_bot') == [
        "U1"
    ]


def test_not_told_yet_gives_way_to_older_news(database: Database) -> None:
    """A flag that nothing has told is false in the table, and an older payload still sets it."""
    rename = {"type": "channel_rename", "channel": {"id": "C1", "name": "ops"}, "event_ts": "9.0"}
    archived = {"type": "channel_archive", "channel": "C1", "event_ts": "5.0"}
    for event in (rename, archived):
        database.execute("select slack.upsert_channel(%s)", (Jsonb(event),))
    assert column(database, "select is_archived from slack.channel") == [True]


def test_users_are_found_by_address_and_handle(database: Database) -> None:
    add_user(database, "U1", "ana", email="Ana@Example.org", real_name="Ana Núñez")
    add_user(database, "U2", "bo.li", display_name="小李", real_name_normalized="Bo Li")
    assert column(database, "select (slack.find_user_by_email('ana@example.ORG')).id") == ["U1"]
    assert column(database, "select (slack.find_user_by_email('ana@example')).id") == [None]
    assert column(database, "select (slack.find_user_by_user_name('@ANA')).id") == ["U1"]
    assert column(database, "select id from slack.search_user_by_email('EXAMPLE\\.org$')") == ["U1"]
    assert column(database, "select id from slack.search_user_by_user_name('^(an|bo)')") == [
        "U1",
        "U2",
    ]
    for pattern, found in (("núñ", ["U1"]), ("小", ["U2"]), ("bo li", ["U2"]), ("x", [])):
        assert column(database, "select id from slack.search_user_by_names(%s)", pattern) == found


def test_an_active_user_goes_before_a_deactivated_one(database: Database) -> None:
    for user_id, deleted, updated in (("U1", True, 9), ("U2", False, 5), ("U3", False, 4)):
        user = {"id": user_id, "name": "ana", "deleted": deleted, "updated": updated}
        database.execute("select slack.upsert_user(%s)", (Jsonb({"user": user}),))
    assert column(database, "select (slack.find_user_by_user_name('ana')).id") == ["U2"]


def test_channels_are_found_by_present_and_earlier_names(database: Database) -> None:
    for n, (channel, name) in enumerate(
        [("C1", "ops"), ("C1", "operations"), ("C2", "ops-de"), ("C3", "sales"), ("C3", "ops-de-2")]
    ):
        channel_ = {"id": channel, "name": name, "updated": n + 1}
        database.execute("select slack.upsert_channel(%s)", (Jsonb({"channel": channel_}),))
    for name, found in (("#OPS", "C1"), ("operations", "C1"), ("ops-de", "C2"), ("sales", "C3")):
        assert column(database, "select (slack.find_channel_by_name(%s)).id", name) == [found]
    assert column(database, "select (slack.find_channel_by_name('op')).id") == [None]
    assert column(database, "select id from slack.search_channel_by_name('^OPS')") == ["C2", "C3"]


def test_a_present_name_goes_before_an_earlier_one(database: Database) -> None:
    for n, (channel, name) in enumerate([("C1", "ops"), ("C1", "old-ops"), ("C2", "ops")]):
        channel_ = {"id": channel, "name": name, "updated": n + 1}
        database.execute("select slack.upsert_channel(%s)", (Jsonb({"channel": channel_}),))
    assert column(database, "select (slack.find_channel_by_name('ops')).id") == ["C2"]


def test_a_thread_and_its_parts(database: Database) -> None:
    add_message(database, 0, thread=0)
    for n in range(1, 15):
        add_message(database, n, thread=0 if n % 2 else None)
    replies = [str(n) for n in (0, 1, 3, 5, 7, 9, 11, 13)]
    stats = database.execute("select * from slack.get_thread_stats('C1', %s)", (at(0),)).fetchone()
    assert stats == (8, at(0), at(13), timedelta(minutes=13))
    texts = "select text from slack.get_thread_by_range('C1', %s)"
    assert column(database, texts, at(0)) == replies
    some = "select text from slack.get_thread_by_range('C1', %s, tstzrange(%s, %s))"
    assert column(database, some, at(0), at(3), at(9)) == ["3", "5", "7"]
    assert column(database, some, at(0), None, at(3)) == ["0", "1"]
    last = "select text from slack.get_thread_from_end('C1', %s, %s)"
    assert column(database, last, at(0), 3) == replies[-3:]
    assert (
        column(database, "select text from slack.get_thread_from_end('C1', %s)", at(0)) == replies
    )


def test_a_thread_that_is_not_there(database: Database) -> None:
    stats = database.execute("select * from slack.get_thread_stats('C1', now())").fetchone()
    assert stats == (0, None, None, None)
    assert column(database, "select text from slack.get_thread_by_range('C1', now())") == []


def test_the_last_messages_of_a_channel(database: Database) -> None:
    for n in range(15):
        add_message(database, n)
    some = "select text from slack.get_channel_by_range('C1', tstzrange(%s, %s), %s)"
    assert column(database, some, at(2), at(8), 3) == ["5", "6", "7"]
    assert column(database, some, at(2), at(5), 99) == ["2", "3", "4"]
    everything = "select text from slack.get_channel_by_range('C1', null)"
    assert column(database, everything) == [str(n) for n in range(5, 15)]
    assert column(database, "select text from slack.get_channel_by_range('C1')") == []


_PLAIN = """
select array_agg(k.text order by k.ts)
from
( select m.*
  from slack.message m
  where m.channel_id = 'C1'
  and m.ts >= %(since)s
  and m.ts < %(until)s
  and (%(replies)s or m.thread_ts is null or m.thread_ts = m.ts or m.subtype = 'thread_broadcast')
  order by case when %(newest)s then m.ts end desc, m.ts
  limit %(n)s
) k
"""
_BY_WEEKS = """
select array_agg(m.text order by m.ts)
from slack.channel_messages('C1', %(since)s, %(until)s, %(n)s, %(newest)s, %(replies)s) m
"""


@pytest.mark.parametrize("way", ["at once", "by weeks", "in steps"])
def test_a_channels_messages_are_read(database: Database, way: str) -> None:
    """At once where there are no chunks; else from the weeks that have some, or in steps where these are unknown."""
    if way != "at once":
        database.execute("create table slack.chunk () inherits (slack.message)")
    chance = random.Random(5)
    minutes = chance.sample(range(60 * 24 * 7 * 60), 150)
    times = [at(n) for n in minutes]
    for n in minutes:
        message = {"channel": "C1", "ts": slack_ts(n), "text": str(n)}
        kind = chance.choice(("plain", "reply", "broadcast"))
        if kind != "plain":
            message["thread_ts"] = slack_ts(-10)
        if kind == "broadcast":
            message["subtype"] = "thread_broadcast"
        database.execute("select slack.insert_message(%s)", (Jsonb(message),))
    if way == "in steps":
        database.execute("update slack.search_progress set finished_at = null")
        database.execute("delete from slack.channel_week")
    for _ in range(40):
        since, until = sorted(chance.choices(times, k=2))
        asked = {
            "since": chance.choice((since, "-infinity")),
            "until": chance.choice((until, "infinity")),
            "n": chance.choice((1, 3, 20, 500)),
            "newest": chance.random() < 0.5,
            "replies": chance.random() < 0.5,
        }
        found = [database.execute(query, asked).fetchone() for query in (_PLAIN, _BY_WEEKS)]
        assert found[0] == found[1], asked


@pytest.mark.parametrize("seconds", [1, 3599])
def test_the_last_hour_is_the_default(database: Database, seconds: int) -> None:
    ts = f"{datetime.now(UTC).timestamp() - seconds:.6f}"
    message = {"channel": "C1", "user": "U1", "text": "new", "ts": ts}
    database.execute("select slack.insert_message(%s)", (Jsonb(message),))
    assert column(database, "select text from slack.get_channel_by_range('C1')") == ["new"]


def test_every_function_for_readers_says_what_it_does(database: Database) -> None:
    uncommented = """
        select p.proname from pg_proc p where p.pronamespace = 'slack'::regnamespace
        and obj_description(p.oid, 'pg_proc') is null
    """
    assert column(database, uncommented) == []


async def test_the_schema_reference_is_current(conninfo: str) -> None:
    """`just schema-reference` writes it."""
    async with await connect(conninfo) as connection:
        assert await reference(connection) == TARGET.read_text()
