"""Times in which events cannot arrive become rows of slack.gap, and other times do not."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.test_processes import Program
from tests.support import QUICK, allow_connections, delivered, make_engine, running, until
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.ingest.pipeline import PipelineLimits
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.presence.channel_history import ChannelHistory
from tiger_slack_tui.presence.heartbeat import HeartbeatTiming, HeartbeatWriter

NO_BACKFILL = JobSettings(backfill=False)
HEARTBEAT = HeartbeatTiming(interval=0.1, stale=3, least_gap=0.3)
DEAD = QUICK.ping + QUICK.dead
"""Seconds for which a connection may be silent without being lost."""
ROUNDING = 0.5
"""Seconds by which a busy machine may delay the beginning of a heartbeat's transaction."""


@pytest.fixture
def observer(conninfo: str) -> Callable[[str], list[tuple[Any, ...]]]:
    """Runs a query on a new connection each time, because tests switch the database off."""

    def ask(query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(conninfo) as connection:
            return connection.execute(query.encode()).fetchall()

    return ask


Ask = Callable[[str], list[tuple[Any, ...]]]

GAPS = """
select reason, extract(epoch from ended_at - started_at)::float8, ended_at is null from slack.gap order by id
"""


def payload(event_id: str, event: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "team_id": "T0LOCAL",
        "type": "event_callback",
        "event_id": event_id,
        "event": event,
    } | fields


def message(number: int, at: float) -> dict[str, Any]:
    ts = f"{at:.6f}"
    event = {"type": "message", "channel": "C1", "user": "U1", "text": "hi", "ts": ts}
    return payload(f"Ev{number}", event | {"event_ts": ts})


def engine(slack: LocalSlack, conninfo: str, home: Path, **options: Any) -> Any:
    options = {"heartbeat": HEARTBEAT, "jobs": NO_BACKFILL} | options
    return make_engine(slack, conninfo, home, **options)


async def test_channels_that_cannot_be_brought_up_to_date_delay_no_heartbeat(
    conninfo: str,
    tmp_path: Path,
    observer: Ask,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hung = 0

    async def hang(_: object, connection: Connection, gaps: str | None, **__: bool) -> None:
        nonlocal hung
        hung += 1
        await connection.execute("select pg_sleep(600)")

    monkeypatch.setattr(ChannelHistory, "update", hang)
    timing = HeartbeatTiming(interval=0.1, history=0.1)
    async with LocalSlack() as slack, running(engine(slack, conninfo, tmp_path, heartbeat=timing)):
        await until(lambda: hung > 3)
        (seen,) = observer("select last_seen_at from slack.instance")
        await until(lambda: observer("select last_seen_at from slack.instance") != [seen])
    assert "it is not up to date for which time channels are complete: it took" in caplog.text
    assert "the heartbeat was not written" not in caplog.text


async def test_the_first_start_is_no_gap(conninfo: str, tmp_path: Path, observer: Ask) -> None:
    async with LocalSlack() as slack, running(engine(slack, conninfo, tmp_path)) as one:
        await until(lambda: one.snapshot().gaps_open == 0)
        await until(lambda: observer("select from slack.connection where is_judged") != [])
        await asyncio.sleep(0.5)
        assert one.snapshot().gaps_open == 0
        assert observer(GAPS) == []  # before the stop, which may take longer than the least gap
    instance = observer(
        "select instance, team_id, host, pid, status, stopped_at is not null, received from slack.instance"
    )
    assert [row[1:] for row in instance] == [
        ("T0LOCAL", os.uname().nodename, os.getpid(), "stopped", True, 0)
    ]
    assert observer("select count(*) from slack.connection where ended_at is not null") == [(1,)]


async def test_a_time_in_which_nothing_ran_is_a_gap(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    async with LocalSlack() as slack:
        async with running(engine(slack, conninfo, tmp_path)):
            await until(lambda: observer("select from slack.connection") != [])
            stopping = time.time()
        stopped = time.time()
        await asyncio.sleep(1.2)
        starting = time.time()
        async with running(engine(slack, conninfo, tmp_path)) as again:
            started = time.time()
            await until(lambda: again.snapshot().gaps_open)
            (reason, seconds, goes_on), *_ = observer(GAPS)  # a busy machine can make further ones
    assert (reason, goes_on) == ("not connected", False)
    ((begin,),) = observer("select extract(epoch from started_at)::float8 from slack.gap")
    # Ages are taken just before the transaction whose time they count from.
    assert stopping - DEAD <= begin <= stopped + ROUNDING
    assert starting - ROUNDING <= begin + seconds <= started + ROUNDING


async def test_an_instance_that_stops_as_soon_as_it_is_connected_leaves_a_gap(
    conninfo: str, tmp_path: Path, observer: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is connected just after it looked for the workspace, and stops before it looks again."""

    async def not_yet(_: HeartbeatWriter) -> None:
        pass

    async with LocalSlack() as slack:
        with monkeypatch.context() as patch:
            patch.setattr(HeartbeatWriter, "_find_team", not_yet)
            async with running(engine(slack, conninfo, tmp_path)):
                await until(lambda: observer("select from slack.instance") != [])
                await asyncio.sleep(0.3)
                # A kill now would leave a connection without a workspace, and so no gap.
                assert observer("select from slack.connection") == []
        await asyncio.sleep(0.5)
        async with running(engine(slack, conninfo, tmp_path)) as again:
            await until(lambda: again.snapshot().gaps_open)
    # A busy machine can make further gaps.
    assert {reason for reason, _, _ in observer(GAPS)} == {"not connected"}


async def test_two_instances_one_of_which_stays_make_no_gap(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    async with LocalSlack() as slack, running(engine(slack, conninfo, tmp_path / "one")) as one:
        async with running(engine(slack, conninfo, tmp_path / "two")):
            await until(lambda: len(observer("select from slack.connection")) == 2)
        await asyncio.sleep(1.2)
        async with running(engine(slack, conninfo, tmp_path / "three")):
            await until(lambda: len(observer("select from slack.connection where is_judged")) == 3)
        await asyncio.sleep(0.3)
        assert one.snapshot().gaps_open == 0
        assert observer(GAPS) == []  # before the stop, which may take longer than the least gap


async def test_a_loss_of_slack_is_a_gap_that_goes_on_until_it_is_back(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    async with LocalSlack() as slack, running(engine(slack, conninfo, tmp_path)) as one:
        await until(lambda: one.snapshot().gaps_open == 0)
        slack.refuse_opening = "internal_error"
        await slack.drop()
        await until(lambda: one.snapshot().gaps_open)
        assert observer(GAPS)[-1] == ("not connected", None, True)
        slack.refuse_opening = None
        await until(lambda: one.snapshot().slack_status == "connected")
        await until(lambda: observer("select from slack.gap where ended_at is not null") != [])
        ((reason, seconds, _),) = observer(GAPS)
    assert reason == "not connected"
    assert seconds >= 0.3


async def test_a_connection_that_slack_replaces_or_that_comes_back_at_once_is_no_gap(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    timing = HeartbeatTiming(interval=0.1, stale=1, least_gap=2)
    async with (
        LocalSlack() as slack,
        running(engine(slack, conninfo, tmp_path, heartbeat=timing)) as one,
    ):
        await until(lambda: one.snapshot().gaps_open == 0)
        await slack.refresh("warning")
        await until(lambda: one.snapshot().slack_connects == 2)
        await asyncio.sleep(0.3)
        assert observer("select count(*) from slack.connection") == [(1,)]
        await slack.drop()
        await until(lambda: one.snapshot().slack_connects == 3)
        await until(lambda: len(observer("select from slack.connection where is_judged")) == 2)
        assert observer(GAPS) == []  # before the stop, which may take longer than the least gap


async def test_a_half_open_connection_counts_until_slack_was_last_heard_of(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    async with LocalSlack() as slack, running(engine(slack, conninfo, tmp_path)) as one:
        await until(lambda: one.snapshot().gaps_open == 0)
        slack.freeze()
        frozen = time.time()
        await until(lambda: one.snapshot().slack_connects == 2)
        back = time.time()
        await until(lambda: [goes_on for _, _, goes_on in observer(GAPS)] == [False])
        ((_, seconds, _),) = observer(GAPS)
    assert seconds > back - frozen - 0.3  # not only from when it was given up


async def test_a_database_that_is_away_is_no_gap(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    # Longer than the pool's pauses between attempts to connect: so `one` writes before `two` is sure of itself.
    patient = HeartbeatTiming(interval=0.1, stale=8, least_gap=0.3)
    async with (
        LocalSlack() as slack,
        running(engine(slack, conninfo, tmp_path / "one", heartbeat=patient)) as one,
    ):
        await until(lambda: one.snapshot().gaps_open == 0)
        allow_connections(conninfo, allowed=False)
        await asyncio.sleep(patient.stale + 0.5)  # longer than an instance may be silent
        async with running(engine(slack, conninfo, tmp_path / "two", heartbeat=patient)) as two:
            allow_connections(conninfo, allowed=True)
            await until(lambda: two.snapshot().gaps_open == 0)
            await until(lambda: len(observer("select from slack.connection where is_judged")) == 2)
            await asyncio.sleep(0.5)
        assert observer(GAPS) == []  # before the stop, which may take longer than the least gap


async def test_kill_9_leaves_a_gap_from_the_last_heartbeat(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    async with LocalSlack() as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        program.environ["TIGER_SLACK_BACKFILL"] = "false"
        async with program() as process:
            await slack.wait_connected()
            await until(lambda: observer("select from slack.connection") != [])
            process.send_signal(signal.SIGKILL)
            await process.wait()
        ((seen,),) = observer("select extract(epoch from seen_at)::float8 from slack.connection")
        await asyncio.sleep(0.7)
        starting = time.time()
        timing = HeartbeatTiming(interval=0.1, stale=5, least_gap=0.3)
        async with running(engine(slack, conninfo, tmp_path / "two", heartbeat=timing)) as again:
            assert observer(GAPS) == []  # it could still live, for all that is known
            await until(lambda: again.snapshot().gaps_open)
            back = time.time()
            (reason, seconds, _), *_ = observer(GAPS)
    assert reason == "not connected"
    assert starting - seen <= seconds <= back - seen
    assert observer("select stopped_at from slack.instance order by id limit 1") == [(None,)]


async def test_app_rate_limited_is_one_gap_for_each_episode(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    minute = int(time.time()) // 60 * 60
    async with LocalSlack() as slack, running(engine(slack, conninfo, tmp_path)) as one:
        for number, at in enumerate((-7200, -7140, -7080, 0, 60)):
            told = {"type": "app_rate_limited", "minute_rate_limited": minute + at}
            frame = told | {"team_id": "T0LOCAL", "api_app_id": "A0", "token": "local"}
            envelope = {"type": "events_api", "envelope_id": f"e{number}", "payload": frame}
            await slack.send_frame(envelope)
        await until(lambda: one.snapshot().acked >= 5)
        assert observer(GAPS) == [("rate limited", 180.0, False), ("rate limited", 120.0, False)]


async def test_a_queue_that_stands_still_is_a_gap(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    limits = PipelineLimits(stall_seconds=0.5)
    async with (
        LocalSlack(retry_seconds=(0.2,)) as slack,
        running(engine(slack, conninfo, tmp_path, spool_limit=1, limits=limits)) as one,
    ):
        await until(lambda: one.snapshot().gaps_open == 0)
        allow_connections(conninfo, allowed=False)
        now = time.time()
        await slack.send_all([message(n, now) for n in range(5)])
        await until(lambda: one.snapshot().spool_problem is not None)
        await asyncio.sleep(1)
        allow_connections(conninfo, allowed=True)
        await delivered(slack, one)
        await until(lambda: observer(GAPS) != [])
        ((reason, seconds, _),) = observer(GAPS)
    assert reason == "queue stopped"
    assert seconds >= 1


async def test_deliveries_that_come_late_are_a_gap_unless_it_is_known(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    now = time.time()
    hours = 3600.0
    late = [message(n, now - 5 * hours + n) for n in range(10)]
    later = [message(20 + n, now - 3 * hours + n) for n in range(10)]
    fine = [message(40, now - 1.9 * hours), message(41, now - 4 * 24 * hours), message(42, 1.0)]
    async with LocalSlack() as slack, running(engine(slack, conninfo, tmp_path)) as one:
        await slack.send_all([*fine, *late])
        await delivered(slack, one)
        assert observer(GAPS) == [("late deliveries", 9.0, False)]
        covered = datetime.fromtimestamp(now - 3.5 * hours, UTC)
        with psycopg.connect(conninfo) as connection:
            connection.execute(
                "insert into slack.gap (team_id, reason, started_at, ended_at, closed_at)"
                " values ('T0LOCAL', 'not connected', %s, %s, now())",
                (covered, covered + timedelta(hours=1)),
            )
        await slack.send_all(later)
        await delivered(slack, one)
        assert [row[0] for row in observer(GAPS)] == ["late deliveries", "not connected"]


async def test_an_older_version_is_followed_by_a_gap(
    conninfo: str, tmp_path: Path, observer: Ask
) -> None:
    files = (Path(__file__).parent.parent.parent / "migrations/incremental").glob("???-gaps.sql")
    seed = next(files).read_text().partition("-- What ran before")[2].partition("\n")[2]
    with psycopg.connect(conninfo) as connection:
        connection.execute(
            "insert into slack.event (event_ts, event, event_id, received_at, outcome, team_id)"
            " values (now() - interval '1 hour', '{}', 'Ev1', now() - interval '1 hour', 'audit', 'T0LOCAL')"
        )
        connection.execute(seed.encode())
    async with LocalSlack() as slack, running(engine(slack, conninfo, tmp_path)) as one:
        await until(lambda: one.snapshot().gaps_open)
        (reason, seconds, _), *_ = observer(GAPS)  # a busy machine can make further ones
    assert reason == "not connected"
    assert seconds >= 3600
