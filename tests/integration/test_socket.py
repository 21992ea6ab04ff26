"""Connections: one at a time, replaced without a gap, held back if Slack asks for it."""

import asyncio
from pathlib import Path

from tests.support import QUICK, delivered, make_engine, running, until
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.ingest.pipeline import PipelineLimits
from tiger_slack_tui.slack.socket_connection import SocketTiming


async def test_a_warning_and_the_refresh_after_it_make_one_new_connection(
    conninfo: str, tmp_path: Path
) -> None:
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        await slack.send_frame({"type": "disconnect", "reason": "warning"})
        await until(lambda: slack.sockets_opened == 2 and slack.sockets == 1)
        await slack.refresh()
        await until(lambda: slack.sockets_opened == 3 and slack.sockets == 1)
        await asyncio.sleep(1)
        assert (slack.connections_opened, slack.sockets) == (3, 1)
        assert engine.snapshot().slack_status == "connected"


async def test_the_old_connection_is_read_until_the_new_one_is_there(
    conninfo: str, tmp_path: Path
) -> None:
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        slack.refuse_opening = "internal_error"
        await slack.send_frame({"type": "disconnect", "reason": "warning"})
        await slack.send_all(Workspace(1, 1.7e9, 10).events(50))
        await delivered(slack, engine)
        assert engine.snapshot().slack_status == "connected"
        assert slack.connections_opened == 1
        slack.refuse_opening = None
        await until(lambda: slack.connections_opened == 2 and slack.sockets == 1)


async def test_a_half_open_connection_is_noticed_and_replaced(
    conninfo: str, tmp_path: Path
) -> None:
    async with (
        LocalSlack(retry_seconds=(0.5,)) as slack,
        running(make_engine(slack, conninfo, tmp_path)) as engine,
    ):
        slack.freeze()
        await slack.send_all(Workspace(1, 1.7e9, 10).events(20))
        await until(lambda: slack.connections_opened == 2)
        await delivered(slack, engine)
        assert slack.acked == 20


async def test_cut_connections_come_back(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)):
        for times in range(2, 6):
            await slack.drop()
            await until(
                lambda times=times: slack.connections_opened == times and slack.sockets == 1
            )


async def test_held_back_where_slack_would_refuse_again(conninfo: str, tmp_path: Path) -> None:
    for reason, advice in (
        ("link_disabled", "is off for the app"),
        ("too_many_websockets", "more than 10"),
    ):
        async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
            await slack.refresh(reason)
            await until(lambda engine=engine: engine.snapshot().slack_status == "held back")
            await asyncio.sleep(1)
            assert slack.connections_opened == 1
            assert advice in str(engine.snapshot().slack_reason)


async def test_more_sockets_than_slack_allows(conninfo: str, tmp_path: Path) -> None:
    timing = SocketTiming(blocked_first=0.2, ping=0.2)
    async with LocalSlack() as slack:
        engines = [make_engine(slack, conninfo, tmp_path, timing=timing) for _ in range(3)]
        async with running(engines[0]), running(engines[1]):
            slack._sockets *= 5  # ten, as far as it knows
            third = asyncio.create_task(engines[2].run())
            await until(lambda: engines[2].snapshot().slack_status == "held back")
            del slack._sockets[2:]
            await until(lambda: engines[2].snapshot().slack_status == "connected")
            engines[2].stop()
            await asyncio.wait_for(third, 10)


async def test_a_token_revoked_later_is_reported_and_tried_again(
    conninfo: str, tmp_path: Path
) -> None:
    timing = SocketTiming(blocked_first=0.3, backoff_first=0.05)
    async with (
        LocalSlack() as slack,
        running(make_engine(slack, conninfo, tmp_path, timing=timing)) as engine,
    ):
        slack.refuse_opening = "token_revoked"
        await slack.drop()
        await until(lambda: engine.snapshot().slack_status == "held back")
        assert "token_revoked" in str(engine.snapshot().slack_reason)
        slack.refuse_opening = None
        await until(lambda: engine.snapshot().slack_status == "connected")


async def test_acks_are_not_kept_back_by_the_next_batch(conninfo: str, tmp_path: Path) -> None:
    limits = PipelineLimits(batch_events=1)
    async with (
        LocalSlack(in_flight=1) as slack,
        running(make_engine(slack, conninfo, tmp_path, limits=limits, timing=QUICK)) as engine,
    ):
        await slack.send_all(Workspace(1, 1.7e9, 10).events(20))
        await delivered(slack, engine)
        assert slack.acked == 20
