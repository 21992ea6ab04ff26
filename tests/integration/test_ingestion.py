"""From a local Slack through the engine into PostgreSQL: no event is lost or stored twice, whatever fails."""

import asyncio
import contextlib
import os
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from tests.servers import with_data
from tests.support import (
    PATIENT,
    QUICK,
    SCALE,
    allow_connections,
    check,
    count,
    delivered,
    make_engine,
    running,
    spooled_ids,
    steady,
    until,
)
from tiger_slack_tui.base.errors import MigrationError, SlackRefused
from tiger_slack_tui.demo.slack import Faults, LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.ingest.pipeline import PipelineLimits
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres

START = 1_700_000_000.0


def workspace(events: int, seed: int = 1) -> list[dict[str, Any]]:
    return list(Workspace(seed, START, 100, nasty=True).events(events))


def payload(event_id: str, event: dict[str, Any]) -> dict[str, Any]:
    return {
        "team_id": "T1",
        "type": "event_callback",
        "event_id": event_id,
        "event_time": 1,
        "event": event,
    }


def message(number: int, **fields: Any) -> dict[str, Any]:
    ts = f"{1_700_000_000 + number}.000100"
    event = {
        "type": "message",
        "channel": "C1",
        "user": "U1",
        "text": "hi",
        "ts": ts,
        "event_ts": ts,
    }
    return payload(f"Ev{number}", event | fields)


async def test_everything_arrives_and_is_acknowledged(conninfo: str, tmp_path: Path) -> None:
    sent = workspace(3000)
    async with (
        LocalSlack(retry_seconds=(60,)) as slack,
        running(make_engine(slack, conninfo, tmp_path, limits=PATIENT)) as engine,
    ):
        await slack.send_all(sent)
        await delivered(slack, engine)
        now = engine.snapshot()
        # A connection that is lost on a busy machine brings them again.
        assert now.received == 3000 + now.duplicates
        assert sum(now.outcomes.values()) == 3000
        await check(conninfo, sent)


@pytest.mark.parametrize("seed", range(1, SCALE + 1))
async def test_a_bad_day(conninfo: str, tmp_path: Path, seed: int) -> None:
    faults = Faults(
        duplicates=0.2,
        shuffle=50,
        drop_every=157,
        refresh_every=211,
        http_429=0.1,
        http_500=0.2,
        seed=seed,
    )
    sent = workspace(1500, seed)
    async with (
        LocalSlack(faults=faults, retry_seconds=(0.3,)) as slack,
        running(make_engine(slack, conninfo, tmp_path, limits=PATIENT)) as engine,
    ):
        await slack.send_all(sent)
        await delivered(slack, engine)
        await check(conninfo, sent)
        assert engine.snapshot().duplicates > 0
        # The last repetitions are still on their way.
        deliveries = "select sum(deliveries) from slack.delivery"
        await until(lambda: count(conninfo, deliveries) == engine.snapshot().received)


async def test_two_instances_share_the_work(conninfo: str, tmp_path: Path) -> None:
    sent = workspace(3000)
    async with (
        LocalSlack(faults=Faults(duplicates=0.5, shuffle=20)) as slack,
        running(make_engine(slack, conninfo, tmp_path / "one")) as one,
        running(make_engine(slack, conninfo, tmp_path / "two")) as two,
    ):
        assert two.snapshot().slack_connections == 2
        await slack.send_all(sent)
        await delivered(slack, one)
        await steady(lambda: (one.snapshot().received, two.snapshot().received))
        await delivered(slack, two)
        assert one.snapshot().acked > 500
        assert two.snapshot().acked > 500
        assert sum(one.snapshot().outcomes.values()) + sum(two.snapshot().outcomes.values()) == 3000
    await check(conninfo, sent)


async def test_the_same_home_serves_two_instances(conninfo: str, tmp_path: Path) -> None:
    sent = workspace(400)
    async with (
        LocalSlack() as slack,
        running(make_engine(slack, conninfo, tmp_path)) as one,
        running(make_engine(slack, conninfo, tmp_path)) as two,
    ):
        allow_connections(conninfo, allowed=False)
        await slack.send_all(sent)
        await asyncio.wait_for(slack.wait_acked(), 30)
        allow_connections(conninfo, allowed=True)
        await delivered(slack, one)
        await delivered(slack, two)
    await check(conninfo, sent)


async def test_a_discarded_message_is_kept_in_the_audit_trail_only(
    database: psycopg.Connection[Any], conninfo: str, tmp_path: Path
) -> None:
    rules = (
        '$.subtype == "channel_join"',
        '$.subtype == "bot_message" && $.bot_id starts with "B"',
    )
    for rule in rules:
        database.execute("insert into slack.message_discard (match) values (%s)", (rule,))
    sent = workspace(800)
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        await slack.send_all(sent)
        await delivered(slack, engine)
        discarded = sum(
            n for (_, outcome), n in engine.snapshot().outcomes.items() if outcome == "discarded"
        )
    await check(
        conninfo, sent, discard=lambda m: m.get("subtype") in ("channel_join", "bot_message")
    )
    found = database.execute(
        "select discard_id, count(*) from slack.event where outcome = 'discarded' group by 1 order by 1"
    ).fetchall()
    assert [rule for rule, _ in found] == [1, 2]
    assert sum(n for _, n in found) == discarded > 0


async def test_a_bad_event_harms_no_other(
    database: psycopg.Connection[Any], conninfo: str, tmp_path: Path
) -> None:
    bad = [
        message(1, channel=random.Random(1).randbytes(9000).hex()),  # no id is that long
        message(3, ts="NaN"),
        message(5, ts=None),
        payload(
            "Ev7",
            {"type": "user_change", "user": {"id": None}, "event_ts": "7.0"},
        ),
        payload(
            "Ev9",
            {
                "type": "user_change",
                "user": {"id": random.Random(2).randbytes(9000).hex()},
                "event_ts": "9.0",
            },
        ),
    ]
    good = [message(n) for n in range(100, 400)]
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        for at, payload_ in enumerate(bad):
            await slack.send_all([*good[at * 60 : at * 60 + 60], payload_])
        await delivered(slack, engine)
        assert engine.snapshot().outcomes["message", "failed"] == 3
    assert count(conninfo, "select count(*) from slack.message") == 300
    failed = database.execute(
        "select event_id, error ->> 'sqlstate', error ->> 'class', error ->> 'message', event"
        " from slack.event where outcome = 'failed' order by event_id"
    ).fetchall()
    assert [row[0] for row in failed] == ["Ev1", "Ev3", "Ev5", "Ev7", "Ev9"]
    assert [row[1] for row in failed] == ["23502", "0A000", "23502", "23502", "54000"]
    assert all(row[2] and row[3] for row in failed)
    assert [row[4] for row in failed] == [one["event"] for one in bad]


async def test_frames_that_are_no_events(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        for frame in ("not json", "[]", "{}", '{"type":"events_api"}', '{"type":"new"}'):
            await slack.send_frame(frame)
        await slack.send_frame({"type": "events_api", "envelope_id": "e1", "payload": {"x": 1}})
        await slack.send_frame({"type": "slash_commands", "envelope_id": "e2", "payload": {}})
        deep = orjson.dumps({"envelope_id": "e3", "type": "events_api", "payload": message(2)})
        blocks = b'"blocks":' + b"[" * 500 + b"]" * 500 + b',"text"'
        await slack.send_frame(deep.replace(b'"text"', blocks).decode())
        await slack.send_all([message(1)])
        await delivered(slack, engine)
        await until(lambda: engine.snapshot().acked >= 3)
        assert engine.snapshot().outcomes == {("none", "failed"): 1, ("message", "stored"): 2}
        assert slack.connections_opened == 1
    assert count(conninfo, "select count(*) from slack.event where outcome = 'failed'") == 1


async def test_a_database_that_goes_and_comes(conninfo: str, tmp_path: Path) -> None:
    sent = workspace(1200)
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        await slack.send_all(sent[:400])
        allow_connections(conninfo, allowed=False)
        await slack.send_all(sent[400:800])
        await asyncio.wait_for(slack.wait_acked(), 30)  # from the spool
        assert engine.snapshot().database_problem is not None
        assert engine.snapshot().spool_events > 0
        allow_connections(conninfo, allowed=True)
        await slack.send_all(sent[800:])
        await delivered(slack, engine)
        await until(lambda: engine.snapshot().database_problem is None)
        now = engine.snapshot()
        assert sum(now.outcomes.values()) + now.duplicates >= 1200
    await check(conninfo, sent)


async def test_a_start_without_a_database(conninfo: str, tmp_path: Path) -> None:
    sent = workspace(300)
    allow_connections(conninfo, allowed=False)
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        await slack.send_all(sent)
        await asyncio.wait_for(slack.wait_acked(), 30)
        assert engine.snapshot().spool_events == 300
        allow_connections(conninfo, allowed=True)
        await delivered(slack, engine)
    await check(conninfo, sent)


async def test_what_a_stopped_instance_left_is_taken_over(conninfo: str, tmp_path: Path) -> None:
    sent = workspace(300)
    async with LocalSlack() as slack:
        async with running(make_engine(slack, conninfo, tmp_path)):
            allow_connections(conninfo, allowed=False)
            await slack.send_all(sent)
            await asyncio.wait_for(slack.wait_acked(), 30)
        allow_connections(conninfo, allowed=True)
        async with running(make_engine(slack, conninfo, tmp_path)) as engine:
            await delivered(slack, engine)
    await check(conninfo, sent)


async def test_a_commit_that_hangs_delays_no_ack(
    database: psycopg.Connection[Any], conninfo: str, tmp_path: Path
) -> None:
    sent = workspace(600)
    limits = PipelineLimits(commit_seconds=0.3)
    async with (
        LocalSlack() as slack,
        running(make_engine(slack, conninfo, tmp_path, limits=limits)) as engine,
    ):
        await slack.send_all(sent[:200])
        await delivered(slack, engine)
        with database.transaction():
            database.execute("lock table slack.event in access exclusive mode")
            await slack.send_all(sent[200:400])
            await asyncio.wait_for(slack.wait_acked(), 30)
            assert "takes longer" in str(engine.snapshot().database_problem)
            assert engine.snapshot().spool_events > 0
        await slack.send_all(sent[400:])
        await delivered(slack, engine)
    await check(conninfo, sent)


async def test_full_spool_and_no_database_acknowledges_nothing(
    conninfo: str, tmp_path: Path
) -> None:
    sent = workspace(300)
    async with (
        LocalSlack(retry_seconds=(0.5,)) as slack,
        running(
            make_engine(
                slack, conninfo, tmp_path, spool_limit=20_000, limits=PipelineLimits(queue=20)
            )
        ) as engine,
    ):
        allow_connections(conninfo, allowed=False)
        await slack.send_all(sent)
        await until(lambda: engine.snapshot().spool_problem is not None)
        await steady(lambda: slack.acked)  # it repeats what is not acknowledged each half second
        assert slack.acked < 300
        assert engine.snapshot().queue <= 20
        allow_connections(conninfo, allowed=True)
        await delivered(slack, engine)
        await until(lambda: engine.snapshot().spool_problem is None)
    await check(conninfo, sent)


async def test_a_full_queue_stops_the_reading(
    database: psycopg.Connection[Any], conninfo: str, tmp_path: Path
) -> None:
    sent = workspace(300)
    limits = PipelineLimits(queue=10, batch_events=5, commit_seconds=60)
    timing = replace(QUICK, dead=1.5)
    async with (
        LocalSlack(retry_seconds=(60,)) as slack,
        running(make_engine(slack, conninfo, tmp_path, limits=limits, timing=timing)) as engine,
    ):
        with database.transaction():
            database.execute("lock table slack.event in access exclusive mode")
            await slack.send_all(sent)
            await until(lambda: engine.snapshot().queue == 10)
            await asyncio.sleep(timing.dead * 3)  # silence that we cause is no dead peer
            assert engine.snapshot().received == 10 + 5 + 1
            assert slack.connections_opened == 1
        await delivered(slack, engine)
    await check(conninfo, sent)


def postmaster(home: Path) -> int | None:
    """The server's process, where one has started."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((home / "data" / "postmaster.pid").read_text().split()[0])
    return None


async def test_a_killed_database(tmp_path: Path, template: str) -> None:
    sent = workspace(2000)
    home = with_data(tmp_path / "postgres")
    server = await asyncio.to_thread(EmbeddedPostgres.start, home)
    killed: int | None = None

    def is_another() -> bool:
        return postmaster(home) not in (None, killed)

    async with (
        LocalSlack() as slack,
        running(make_engine(slack, server.conninfo, tmp_path / "home")) as engine,
    ):
        for part in range(4):
            for one in sent[part * 500 : part * 500 + 500]:
                await slack.send(one)
                if engine.snapshot().received % 100 == 99:
                    await asyncio.sleep(0.01)
            # The engine may not have noticed yet that the last one is gone.
            await until(is_another)
            await until(lambda: engine.snapshot().database_problem is None)
            killed = postmaster(home)
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
        await delivered(slack, engine)
        await check(server.conninfo, sent)
    await asyncio.to_thread(server.close)


async def test_a_schema_newer_than_the_program_is_refused(
    database: psycopg.Connection[Any], conninfo: str, tmp_path: Path
) -> None:
    database.execute("update slack.version set version = '999.0.0'")
    async with LocalSlack() as slack:
        with pytest.raises(MigrationError, match="newer"):
            await asyncio.wait_for(make_engine(slack, conninfo, tmp_path).run(), 60)


async def test_a_refused_token_ends_the_start(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack:
        good = slack.bot_token
        engine = make_engine(slack, conninfo, tmp_path)
        slack.bot_token = "xoxb-another"
        with pytest.raises(SlackRefused, match="SLACK_BOT_TOKEN") as raised:
            await asyncio.wait_for(engine.run(), 60)
        assert good not in str(raised.value)
        engine = make_engine(slack, conninfo, tmp_path)
        slack.app_token = "xapp-another"
        with pytest.raises(SlackRefused, match="SLACK_APP_TOKEN"):
            await asyncio.wait_for(engine.run(), 60)


async def test_a_stop_keeps_what_was_read(conninfo: str, tmp_path: Path) -> None:
    sent = workspace(5000)
    async with LocalSlack(remember=True, in_flight=10_000, retry_seconds=(3,)) as slack:
        engine = make_engine(slack, conninfo, tmp_path)
        async with running(engine):
            sending = asyncio.create_task(slack.send_all(sent))
            await until(lambda: engine.snapshot().acked > 100)
        now = engine.snapshot()
        assert now.acked == now.received
        with psycopg.connect(conninfo) as connection:
            stored = {row[0] for row in connection.execute("select event_id from slack.event")}
        assert slack.acked_ids <= stored | spooled_ids(tmp_path)
        await asyncio.wait_for(sending, 30)
