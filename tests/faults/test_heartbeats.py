"""A heartbeat that is repeated, because its answer was lost, writes the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.faults.clock import ManualClock
from tests.instances import instance_state
from tests.support import count, make_engine, running, until
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.presence.heartbeat import HeartbeatTiming
from tiger_slack_tui.slack.socket_connection import SocketState
from tiger_slack_tui.store import instances
from tiger_slack_tui.store.instances import ConnectedAges, Heartbeat

HOUR = 3600.0
HEARTBEAT = HeartbeatTiming(interval=0.05, stale=1, least_gap=0.3)


class Sender:
    """Sends heartbeats of one start of the program."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._state = instance_state(start_id=uuid4(), age=3 * HOUR)
        self.looks = 0

    async def beat(self, *spans: ConnectedAges) -> None:
        def look() -> Heartbeat:
            self.looks += 1
            return Heartbeat(self._state, spans, [])

        await instances.write_heartbeat(
            self._connection, look, stale=30, others_are_up_to_date=True, least_gap=1
        )


def rows(database: psycopg.Connection[Any], query: str) -> Sequence[tuple[Any, ...]]:
    return database.execute(query.encode()).fetchall()


async def test_a_gap_shows_after_a_heartbeat_without_an_answer(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    async with await connect(conninfo) as connection:
        sender = Sender(connection)
        first = ConnectedAges(1, 2 * HOUR, HOUR, is_over=False)
        await sender.beat(first)
        await sender.beat(first)  # it got no answer, so it repeats the heartbeat
        ended = ConnectedAges(1, 2 * HOUR, HOUR, is_over=True)
        await sender.beat(ended, ConnectedAges(2, 600, 0, is_over=False))
        await sender.beat(ended, ConnectedAges(2, 600, 0, is_over=False))
    assert rows(database, "select count(*) from slack.instance") == [(1,)]
    assert rows(
        database, "select number, ended_at is null, is_judged from slack.connection order by id"
    ) == [(1, False, True), (2, True, True)]
    ((reason, minutes),) = rows(
        database,
        "select reason, round(extract(epoch from ended_at - started_at) / 60)::int from slack.gap",
    )
    assert (reason, minutes) == ("not connected", 50)


async def test_a_connection_that_a_heartbeat_lacks_is_ended(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    async with await connect(conninfo) as connection:
        other, sender = Sender(connection), Sender(connection)
        await other.beat(ConnectedAges(1, 20, 0, is_over=False))
        await sender.beat(ConnectedAges(1, 20, 10, is_over=False))
        await sender.beat(ConnectedAges(2, 5, 0, is_over=False))
    assert rows(database, "select number, ended_at is null from slack.connection order by id") == [
        (1, True),
        (1, False),
        (2, True),
    ]


async def test_a_retry_after_a_deadlock_takes_new_ages(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    """With the ages from before the deadlock, the connection would seem to have begun later than it did."""
    database.execute("create sequence public.tries")
    database.execute(
        "create function public.fail() returns trigger language plpgsql as $$begin"
        " if nextval('public.tries') = 1 then raise exception using errcode = '40P01'; end if;"
        " return new; end$$"
    )
    database.execute(
        "create trigger fail before insert on slack.connection for each row execute function public.fail()"
    )
    async with await connect(conninfo) as connection:
        sender = Sender(connection)
        await sender.beat(ConnectedAges(1, 20, 10, is_over=False))
        assert sender.looks == 2
    assert rows(database, "select count(*) from slack.connection") == [(1,)]


async def test_the_engine_repeats_heartbeats_whose_answers_are_lost(
    conninfo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, lost = instances.write_heartbeat, 0

    async def beat(*args: Any, **options: Any) -> None:
        nonlocal lost
        await real(*args, **options)
        if lost < 5:
            lost += 1
            raise psycopg.OperationalError("the answer was lost")

    monkeypatch.setattr(instances, "write_heartbeat", beat)
    jobs = JobSettings(backfill=False)
    async with LocalSlack() as slack:
        engine = make_engine(slack, conninfo, tmp_path, heartbeat=HEARTBEAT, jobs=jobs)
        async with running(engine):
            await until(lambda: lost == 5 and engine.snapshot().gaps_open == 0)
            assert count(conninfo, "select count(*) from slack.instance") == 1
            await until(lambda: count(conninfo, "select count(*) from slack.connection") == 1)
    assert count(conninfo, "select count(*) from slack.connection where ended_at is null") == 0
    assert count(conninfo, "select count(*) from slack.instance where stopped_at is null") == 0


def test_of_too_many_connected_periods_the_shortest_counts_as_a_gap(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The database is unavailable for long, and Slack closes connection after connection."""
    clock = ManualClock()
    state = SocketState(clock)
    lasted = [600 + n % 7 for n in range(700)]
    for seconds in lasted:
        state.connected_periods.begin()
        clock.advance(seconds)
        state.connected_periods.end(clock.elapsed())
        clock.advance(5)
    state.connected_periods.begin()
    kept = state.connected_periods.all()
    assert len(kept) == 500
    assert not kept[-1].is_over
    assert [period.number for period in kept] == sorted(period.number for period in kept)
    assert {period.number for period in kept} <= set(range(1, 702))
    connected = sum(period.heard - period.began for period in kept)
    assert connected == sum(sorted(lasted)[-499:])
    assert "counts as a gap" in caplog.text
