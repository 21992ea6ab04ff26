"""No time from a person, Slack or the database makes a datetime overflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.acceptance.test_cli import in_this_process
from tests.auditing import asking, message, store
from tests.gapped import web_of
from tests.support import AT_ONCE, SCALE
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.times import EARLIEST, LATEST, parse_time, shift
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.jobs.backfill import make_chosen_gaps_job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.audit_events import EventFilter, EventPosition, fetch_page

NOW = datetime(2024, 3, 31, 12, tzinfo=UTC)
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
any_time = st.datetimes(timezones=st.none() | offsets)
written = st.one_of(
    st.text(),
    any_time.map(datetime.isoformat),
    st.dates().map(str),
    st.builds("{}{}".format, st.integers(0, 99_999), st.sampled_from("hdwmyHDWMY")),
)


@given(written, any_time.map(lambda time: time.replace(tzinfo=UTC)), st.booleans())
@example("9999-12-31", NOW, True)
@example("0001-01-01T00:00+14:00", NOW, False)
@example("9999-12-31T23:59-14:00", NOW, False)
@example("\udcff", NOW, False)
@example("1H", datetime.min.replace(tzinfo=UTC), False)
def test_any_text_is_a_time_or_an_error(text: str, now: datetime, is_end: bool) -> None:
    try:
        time = parse_time(text, now, "--since", is_end=is_end)
    except SettingsError:
        return
    assert EARLIEST <= time <= LATEST
    assert time.astimezone(timezone(timedelta(hours=14)))


@given(any_time, st.timedeltas())
def test_a_shifted_time_stays_in_reach(time: datetime, by: timedelta) -> None:
    shifted = shift(time, by)
    assert EARLIEST <= shifted <= LATEST
    if EARLIEST < shifted < LATEST:
        own = time if time.tzinfo else time.replace(tzinfo=UTC)
        assert shifted - own == by


@pytest.mark.parametrize("time", ["9999-12-31", "0001-01-01T00:00+14:00"])
def test_a_command_takes_any_time(conninfo: str, tmp_path: Path, time: str) -> None:
    said = in_this_process("events", "--since", time, cwd=tmp_path, DATABASE_URL=conninfo)
    assert said.returncode == 0
    assert said.stderr.startswith("No such events in ")


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("infinity", LATEST),
        ("-infinity", EARLIEST),
        ("33658-09-27", LATEST),
        ("0044-03-15 BC", EARLIEST),
        ("2024-03-31 12:00Z", NOW),
    ],
)
async def test_each_time_of_the_database_can_be_read(
    conninfo: str, stored: str, read: datetime
) -> None:
    async with await connect(conninfo) as connection:
        cursor = await connection.execute("select %s::timestamptz", (stored,))
        assert await cursor.fetchone() == (read,)


async def test_a_gap_without_bounds_is_closed(conninfo: str) -> None:
    """Its span is shifted by margins on both sides, and asked of Slack."""
    directory = Directory([], [{"id": "C1", "name": "place"}])
    async with LocalSlack(directory=directory) as slack, web_of(slack) as web:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(
                "insert into slack.gap (team_id, reason, started_at, ended_at)"
                " values ('T0LOCAL', 'by hand', '-infinity', 'infinity')"
            )

        async def find(connection: Connection, team: str) -> list[gaps.Gap]:
            return await gaps.due(connection, team, growing=True)

        job = make_chosen_gaps_job(web, find, pace=AT_ONCE)
        ended = await Runner(conninfo, instance="test", timeout=30).run(job, reason="by hand")
        assert (ended.outcome, ended.error) == ("done", None)


@given(st.integers(-(2**63), 2**63 - 2))  # extract() is inexact for the last one
@example(9_007_199_254_740_993)
@example(253_402_300_799_999_999)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=50 * SCALE,
)
def test_times_of_slack_are_exact_in_the_database(
    database: psycopg.Connection[Any], micros: int
) -> None:
    seconds, rest = divmod(abs(micros), 1_000_000)
    ts = f"{'-' if micros < 0 else ''}{seconds}.{rest:06}"
    query = "select (extract(epoch from slack.to_timestamptz(%s)) * 1000000)::int8"
    try:
        row = database.execute(query, (ts,)).fetchone()
    except psycopg.errors.DatetimeFieldOverflow:
        assert micros < -210_866_803_200_000_000  # 4714-11-24 BC, the first day of PostgreSQL
    else:
        assert row == (micros,)


async def test_pages_of_events_beyond_the_times_of_python(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    """All of them are read as one time, by which the next page cannot begin."""
    await store(conninfo, {f"Ev{n}": message(n) for n in range(9)})
    database.execute(
        "update slack.event set event_ts = timestamptz '12000-01-01 00:00:00+00' + id * interval '1 day'"
        " where event_id between 'Ev1' and 'Ev6'"
    )
    database.execute("update slack.event set event_ts = 'infinity' where event_id = 'Ev7'")
    seen: list[str] = []
    before: EventPosition | None = None
    async with asking(conninfo) as connection:
        while True:
            page = await fetch_page(connection, EventFilter(), before=before, most=2)
            seen += [row.event_id for row in page.rows]
            before = page.next
            if before is None:
                break
    assert seen == ["Ev7", "Ev6", "Ev5", "Ev4", "Ev3", "Ev2", "Ev1", "Ev8", "Ev0"]
