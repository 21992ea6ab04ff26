"""The program as a process that is killed, stopped and started; the tables are compared with what was sent."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.test_cli import CLEAN
from tests.servers import with_data
from tests.support import SCALE, allow_connections, check, spooled_ids, until
from tests.telemetry import collecting
from tiger_slack_tui.demo.slack import Faults, LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres

pytestmark = pytest.mark.slow

START = 1_700_000_000.0


class Program:
    """`tiger-slack run --no-ui` against a local Slack."""

    def __init__(self, slack: LocalSlack, conninfo: str, home: Path) -> None:
        self.environ = CLEAN | {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "SLACK_API_URL": slack.url,
            "DATABASE_URL": conninfo,
            "TIGER_SLACK_HOME": str(home),
            "PG_MIN_POOL_SIZE": "1",
            "PG_MAX_POOL_SIZE": "3",
        }
        self.home = home

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """A process of it; killed at the end, if it still runs."""
        self.home.mkdir(exist_ok=True)
        with (self.home / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tiger_slack_tui", "run", "--no-ui"),
                env=self.environ,
                cwd=self.home,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()

    @property
    def spooled(self) -> set[str]:
        return spooled_ids(self.home)


@pytest.mark.parametrize("seed", range(1, SCALE + 1))
async def test_kill_9_at_any_time_loses_nothing(conninfo: str, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    sent = list(Workspace(seed, START, 100, nasty=True).events(4000))
    async with LocalSlack(retry_seconds=(0.5,), in_flight=300, remember=True) as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        sending = asyncio.create_task(slack.send_all(sent))
        for _ in range(3):
            async with program() as process:
                await slack.wait_connected()
                goal = slack.acked + chance.randrange(300, 900)
                await until(lambda goal=goal: slack.acked >= goal or sending.done())
                if chance.random() < 0.4:
                    allow_connections(conninfo, allowed=False)
                    await asyncio.sleep(chance.random() / 2)
                process.send_signal(signal.SIGKILL)
            allow_connections(conninfo, allowed=True)
        async with program() as process:
            await asyncio.wait_for(sending, 60)
            await asyncio.wait_for(slack.wait_acked(), 60)
            await until(lambda: not program.spooled)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
    await check(conninfo, sent)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_everything_read_durable(
    database: psycopg.Connection[Any], conninfo: str, tmp_path: Path, number: signal.Signals
) -> None:
    async with LocalSlack(remember=True, in_flight=20_000, retry_seconds=(60,)) as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        async with program() as process:
            await slack.wait_connected()
            sending = asyncio.create_task(slack.send_all(Workspace(1, START, 100).events(8000)))
            await until(lambda: slack.acked > 1000)
            process.send_signal(number)
            assert await asyncio.wait_for(process.wait(), 60) == 0
        sending.cancel()
        stopped = json.loads(program.log.splitlines()[-1])
        assert (stopped["message"], stopped["unacknowledged"]) == ("stopped", 0)
        assert slack.acked <= stopped["received"]
        stored = {event_id for (event_id,) in database.execute("select event_id from slack.event")}
        assert len(stored | program.spooled) == stopped["received"]


async def test_a_second_signal_ends_it_at_once(
    database: psycopg.Connection[Any], conninfo: str, tmp_path: Path
) -> None:
    async with LocalSlack() as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        async with program() as process:
            await slack.wait_connected()
            with database.transaction():  # so that the stop has to wait
                database.execute("lock table slack.event in access exclusive mode")
                await slack.send_all(Workspace(1, START, 100).events(10))
                process.send_signal(signal.SIGTERM)
                await until(lambda: "stopping on SIGTERM" in program.log)
                process.send_signal(signal.SIGINT)
                assert await asyncio.wait_for(process.wait(), 60) == 130


async def test_an_outage_survives_a_kill(conninfo: str, tmp_path: Path) -> None:
    sent = list(Workspace(5, START, 100).events(900))
    async with LocalSlack(retry_seconds=(0.5,)) as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        async with program() as process:
            await slack.wait_connected()
            await slack.send_all(sent[:300])
            await asyncio.wait_for(slack.wait_acked(), 30)
            allow_connections(conninfo, allowed=False)
            await slack.send_all(sent[300:600])
            await asyncio.wait_for(slack.wait_acked(), 30)
            process.send_signal(signal.SIGKILL)
        async with program() as process:  # without a database
            await slack.wait_connected()
            await slack.send_all(sent[600:])
            await asyncio.wait_for(slack.wait_acked(), 30)
            allow_connections(conninfo, allowed=True)
            await until(lambda: not program.spooled)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
    await check(conninfo, sent)


def _signal_server(home: Path, number: signal.Signals) -> None:
    """To the postmaster and all of its processes."""
    postmaster = int((home / "data" / "postmaster.pid").read_text().split()[0])
    found = subprocess.run(
        ["pgrep", "-P", str(postmaster)], capture_output=True, text=True, check=True
    )
    for pid in (postmaster, *map(int, found.stdout.split())):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def test_a_database_that_freezes_delays_neither_acks_nor_the_stop(tmp_path: Path) -> None:
    sent = list(Workspace(7, START, 100).events(900))
    home = with_data(tmp_path / "postgres")
    server = await asyncio.to_thread(EmbeddedPostgres.start, home, durable=False)
    async with LocalSlack(retry_seconds=(60,)) as slack:
        program = Program(slack, server.conninfo, tmp_path / "home")
        async with program() as process:
            await slack.wait_connected()
            await slack.send_all(sent[:300])
            await asyncio.wait_for(slack.wait_acked(), 30)
            _signal_server(home, signal.SIGSTOP)
            await slack.send_all(sent[300:600])
            await asyncio.wait_for(slack.wait_acked(), 30)
            await slack.send_all(sent[600:])
            await asyncio.wait_for(slack.wait_acked(), 30)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
        _signal_server(home, signal.SIGCONT)
        async with program():
            await slack.wait_connected()
            await until(lambda: not program.spooled)
        await check(server.conninfo, sent)
    await asyncio.to_thread(server.close)


async def test_two_processes_one_of_which_is_killed(conninfo: str, tmp_path: Path) -> None:
    sent = list(Workspace(6, START, 100).events(3000))
    faults = Faults(duplicates=0.3, shuffle=20)
    async with LocalSlack(faults=faults, retry_seconds=(0.5,), in_flight=200) as slack:
        one = Program(slack, conninfo, tmp_path / "one")
        two = Program(slack, conninfo, tmp_path / "two")
        async with one() as first, two():
            await slack.wait_connected(2)
            sending = asyncio.create_task(slack.send_all(sent))
            await until(lambda: slack.acked > 500)
            first.send_signal(signal.SIGKILL)
            await asyncio.wait_for(sending, 60)
            await asyncio.wait_for(slack.wait_acked(), 60)
            async with one():  # its spool may hold events
                await until(lambda: not any(p.spooled for p in (one, two)))
    await check(conninfo, sent)


async def test_a_refused_token_ends_it_with_a_sentence(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        slack.bot_token = "xoxb-another"
        async with program() as process:
            assert await asyncio.wait_for(process.wait(), 60) == 1
    assert "SLACK_BOT_TOKEN" in program.log
    assert "Traceback" not in program.log


async def test_no_secret_and_no_text_in_the_log(conninfo: str, tmp_path: Path) -> None:
    marked = [
        {
            "team_id": "T1",
            "type": "event_callback",
            "event_id": f"Ev{n}",
            "event": {
                "type": "message",
                "channel": "C1",
                "ts": ts,
                "event_ts": "1.0",
                "text": "MARKED",
            },
        }
        for n, ts in enumerate(("1700000000.000100", "MARKED", "NaN"))
    ]
    async with LocalSlack() as slack:
        program = Program(slack, conninfo, tmp_path / "home")
        async with program() as process:
            await slack.wait_connected()
            await slack.send_all(marked)
            await asyncio.wait_for(slack.wait_acked(), 30)
            await slack.drop()
            await slack.wait_connected()
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 60)
        log = program.log
    assert "an event failed" in log
    for secret in ("MARKED", slack.bot_token, slack.app_token, "ticket"):
        assert secret not in log


async def test_telemetry_goes_to_the_given_endpoints_and_holds_no_secret(
    conninfo: str, tmp_path: Path
) -> None:
    async with collecting() as (collector, received), LocalSlack() as slack:
        endpoints = {name: f"{collector}/{name.lower()}" for name in ("TRACES", "LOGS")}
        program = Program(slack, conninfo, tmp_path / "home")
        program.environ |= {
            f"LOGFIRE_{name}_ENDPOINT": address for name, address in endpoints.items()
        }
        async with program() as process:
            await slack.wait_connected()
            await slack.send_all(Workspace(1, START, 100).events(50))
            await asyncio.wait_for(slack.wait_acked(), 30)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
    for body in received.values():
        assert b"connected" in body
        assert b"tiger-slack-ingest" in body
        for secret in (slack.bot_token, slack.app_token, "ticket="):
            assert secret.encode() not in body
