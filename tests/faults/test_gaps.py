"""A backfill closes only what it has read, even if the gap grows while it begins."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.gapped import post, web_of
from tests.support import AT_ONCE, count, until
from tiger_slack_tui.base.ids import TeamId
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.jobs.backfill import make_chosen_gaps_job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store import gap_progress, gaps
from tiger_slack_tui.store.gaps import Gap

NOW = float(int(time.time()))
HOUR = 3600.0
_WAITING = (
    "select count(*) from pg_stat_activity"
    " where datname = current_database() and wait_event_type = 'Lock'"
)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def record(connection: Connection, begin: float, end: float) -> int:
    cursor = await connection.execute(
        "select slack.record_gap('T0LOCAL', 'queue stopped', %s, %s, 'test', '1 minute')",
        (at(begin), at(end)),
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


def spans(database: psycopg.Connection[Any]) -> list[tuple[float, float]]:
    rows = database.execute("select started_at, ended_at from slack.gap order by id").fetchall()
    return [(begin.timestamp(), end.timestamp()) for begin, end in rows]


async def test_what_a_gap_grew_by_since_it_was_found_is_read(conninfo: str) -> None:
    directory = Directory([], [{"id": "C1", "name": "place"}])
    async with (
        LocalSlack(directory=directory) as slack,
        web_of(slack) as web,
        await connect(conninfo) as other,
    ):
        slack.lose(post(NOW - 3 * HOUR + 1))
        slack.lose(post(NOW - HOUR - 1))
        await record(other, NOW - 3 * HOUR, NOW - 2 * HOUR)

        async def find(connection: Connection, team: str) -> list[Gap]:
            found = await gaps.due(connection, team, growing=True)
            await record(other, NOW - 2 * HOUR, NOW - HOUR)
            return found

        results: list[Any] = []
        job = make_chosen_gaps_job(web, find, pace=AT_ONCE, on_result=results.append)
        await Runner(conninfo, instance="test", timeout=30).run(job, reason="by hand")
    assert [result.is_closed for result in results] == [True]
    assert results[0].gap.ended_at == at(NOW - HOUR)
    assert count(conninfo, "select count(*) from slack.gap") == 1
    assert count(conninfo, "select count(*) from slack.message") == 2


async def test_a_backfill_that_begins_waits_for_a_gap_that_grows(conninfo: str) -> None:
    async with await connect(conninfo) as one, await connect(conninfo) as two:
        gap = await record(one, NOW - 3 * HOUR, NOW - 2 * HOUR)
        async with one.transaction():
            assert await record(one, NOW - 2 * HOUR, NOW - HOUR) == gap
            beginning = asyncio.create_task(gap_progress.begin(two, gap, []))
            await until(lambda: count(conninfo, _WAITING) == 1)
        begun = await beginning
    assert begun is not None
    assert begun[0].ended_at == at(NOW - HOUR)


async def test_a_gap_that_has_begun_does_not_grow(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    async with await connect(conninfo) as one, await connect(conninfo) as two:
        gap = await record(one, NOW - 3 * HOUR, NOW - 2 * HOUR)
        async with one.transaction():
            await gap_progress.begin(one, gap, [])
            growing = asyncio.create_task(record(two, NOW - 2 * HOUR, NOW - HOUR))
            await until(lambda: count(conninfo, _WAITING) == 1)
        assert await growing != gap
        third = await record(two, NOW - 2 * HOUR, NOW - HOUR + 60)
        assert third == await growing
    assert spans(database) == [
        (NOW - 3 * HOUR, NOW - 2 * HOUR),
        (NOW - 2 * HOUR, NOW - HOUR + 60),
    ]


@pytest.mark.parametrize("ended", [False, True])
async def test_a_gap_that_is_gone_or_goes_on_is_not_begun(conninfo: str, ended: bool) -> None:
    async with await connect(conninfo) as connection:
        cursor = await connection.execute(
            "insert into slack.gap (team_id, reason, started_at) values ('T1', 'not connected', now()) returning id"
        )
        (gap,) = await cursor.fetchone() or (0,)
        if ended:
            await connection.execute("delete from slack.gap")
        assert await gap_progress.begin(connection, gap, ["C1"]) is None
        cursor = await connection.execute("select count(*) from slack.gap_channel")
        assert await cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    ("reason", "hours", "is_due"),
    [("not connected", 2, True), ("not connected", 0.5, False), ("by hand", 2, False)],
)
async def test_a_gap_that_stays_open_is_tried_again_after_an_hour(
    conninfo: str, database: psycopg.Connection[Any], reason: str, hours: float, is_due: bool
) -> None:
    database.execute(
        "insert into slack.gap (reason, started_at, ended_at, begun_at, tried_at, error) values"
        " (%s, now() - interval '5 hours', now() - interval '4 hours', now(), %s, 'x')",
        (reason, at(time.time() - hours * HOUR)),
    )
    async with await connect(conninfo) as connection:
        assert await gaps.has_due(connection, TeamId("T1"), at(NOW - 3 * HOUR)) == is_due
