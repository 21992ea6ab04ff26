"""Retention: what it deletes, and what it must keep."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tiger_slack_tui.jobs.retention import make_retention_job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.connection import with_defaults

DAY = timedelta(days=1)


def fill(database: psycopg.Connection[Any], name: str, age: timedelta) -> None:
    """Insert an event with its delivery, a deleted message with a reaction, another reaction, and a run."""
    at = datetime.now(UTC) - age
    database.execute(
        "insert into slack.event (event_ts, event, event_id, received_at, outcome)"
        " values (%s, '{}', %s, %s, 'audit')",
        (at, name, at),
    )
    database.execute(
        "insert into slack.delivery (event_id, event_ts, received_at, last_received_at, deliveries)"
        " values (%s, %s, %s, %s, 1)",
        (name, at, at, at),
    )
    database.execute("insert into slack.tombstone values (%s, %s, %s)", (name, at, at))
    for channel in (name, f"{name} alone"):
        database.execute(
            "insert into slack.reaction values (%s, %s, 'U1', 'eyes', true, %s, %s)",
            (channel, at, at, name),
        )
    database.execute(
        "insert into slack.job_run (job, reason, instance, started_at, finished_at, outcome)"
        " values ('users', 'schedule', %s, %s, %s, 'done')",
        (name, at, at),
    )


def names(database: psycopg.Connection[Any], query: str) -> list[str]:
    return [row[0] for row in database.execute(query.encode()).fetchall()]


async def test_old_rows_are_deleted_and_needed_ones_stay(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    fill(database, "new", DAY)
    fill(database, "old", 91 * DAY)
    fill(database, "ancient", 400 * DAY)
    # This event was delivered again recently, so its row still prevents a duplicate.
    database.execute(
        "update slack.delivery set last_received_at = now() where event_id = 'ancient'"
    )
    named = with_defaults(conninfo, application_name="test")
    ended = await Runner(named, instance="test", timeout=30).run(
        make_retention_job(90), reason="by hand"
    )

    assert ended.outcome == "done"
    assert ended.rows_changed == 2 + 1 + 2 + 1
    assert names(database, "select event_id from slack.event") == ["new"]
    assert names(database, "select event_id from slack.delivery order by 1") == ["ancient", "new"]
    assert names(database, "select channel_id from slack.tombstone order by 1") == [
        "ancient",
        "new",
        "old",
    ]
    assert names(database, "select channel_id from slack.reaction order by 1") == [
        "ancient alone",
        "new",
        "new alone",
        "old alone",
    ]
    assert names(database, "select instance from slack.job_run where job = 'users' order by 1") == [
        "new",
        "old",
    ]


async def test_more_rows_than_one_transaction_deletes(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "insert into slack.event (event_ts, event, event_id, received_at, outcome)"
        " select now() - interval '100 days', '{}', 'Ev' || n, now() - interval '100 days', 'audit'"
        " from generate_series(1, 12000) n"
    )
    named = with_defaults(conninfo, application_name="test")
    ended = await Runner(named, instance="test", timeout=60).run(
        make_retention_job(30), reason="by hand"
    )
    assert (ended.outcome, ended.rows_changed) == ("done", 12000)
    assert names(database, "select event_id from slack.event") == []


async def test_instances_are_deleted_but_not_the_newest_connection_of_a_workspace(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    for team, name, days in (("T1", "older", 50), ("T1", "old", 40), ("T2", "other", 60)):
        database.execute(
            "with i as (insert into slack.instance (instance, team_id, version, host, pid, started_at, last_seen_at"
            ", status, status_since, queue, queue_limit, spool_events, spool_bytes, received, acked"
            ", events_per_second) select %(name)s, %(team)s, '1', 'h', 1, t, t, 'connected', t, 0, 0, 0, 0, 0, 0, 0"
            " from (select now() - %(age)s) a (t) returning id, started_at)"
            " insert into slack.connection (instance_id, connected_at, seen_at, is_judged)"
            " select i.id, i.started_at, i.started_at, true from i",
            {"name": name, "team": team, "age": days * DAY},
        )
        database.execute(
            "insert into slack.gap (reason, started_at, ended_at, closed_at, instance)"
            " select 'not connected', t, t, case when %s = 'old' then t end, %s"
            " from (select now() - interval '400 days') a (t)",
            (name, name),
        )
    named = with_defaults(conninfo, application_name="test")
    await Runner(named, instance="test", timeout=30).run(make_retention_job(90), reason="by hand")
    assert names(database, "select instance from slack.instance order by 1") == ["old", "other"]
    assert len(names(database, "select id from slack.connection")) == 2
    assert names(database, "select instance from slack.gap order by 1") == ["older", "other"]
