"""A stop while the database is frozen: the process ends within the promised seconds, and no event is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.test_processes import START, Program
from tests.servers import frozen, with_data
from tests.support import check, until
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.migrate.run import migrate

pytestmark = pytest.mark.slow

STOP_SECONDS = 5.0
"""What is promised from the signal to the end of the process."""
BUSY_SECONDS = 4.0
"""What a machine that is busy with other tests may add."""


@asynccontextmanager
async def locked_users(conninfo: str) -> AsyncIterator[psycopg.Connection]:
    """The job that reads users waits for a lock inside the block. Yields another connection."""
    await migrate(conninfo)
    with psycopg.connect(conninfo) as locker, psycopg.connect(conninfo, autocommit=True) as other:
        locker.execute('lock table slack."user" in share mode')
        yield other


async def stop(process: asyncio.subprocess.Process) -> float:
    """Stop the process by a signal; the number of seconds that it takes."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    return time.monotonic() - began


@pytest.mark.parametrize("is_own", [False, True], ids=["a server", "the embedded server"])
async def test_a_batch_of_a_frozen_database_goes_to_the_spool(tmp_path: Path, is_own: bool) -> None:
    home = tmp_path / "home"
    postgres = with_data(home / "postgres" if is_own else tmp_path / "postgres")
    sent = list(Workspace(1, START, 100, nasty=True).events(600))
    async with LocalSlack(remember=True, in_flight=10_000, retry_seconds=(60,)) as slack:
        with EmbeddedPostgres.start(postgres, durable=False) as server:
            program = Program(slack, server.conninfo, home)
            if is_own:
                del program.environ["DATABASE_URL"]
            async with program() as process:
                await slack.wait_connected()
                await slack.send_all(sent[:300])
                await asyncio.wait_for(slack.wait_acked(), 60)
                if is_own:  # the program is its last user
                    server.close()
                with frozen(postgres):
                    sending = asyncio.create_task(slack.send_all(sent[300:]))
                    await asyncio.sleep(0.5)
                    seconds = await stop(process)
                    await sending
        print(f"stopped in {seconds:.2f} s")  # noqa: T201 the figure of the promise
        assert seconds < STOP_SECONDS + BUSY_SECONDS
        stopped = json.loads(program.log.splitlines()[-1])
        assert (stopped["message"], stopped["unacknowledged"]) == ("stopped", 0)
        assert slack.acked == 600
        with EmbeddedPostgres.start(postgres, durable=False) as server:
            program.environ["DATABASE_URL"] = server.conninfo
            async with program() as process:
                await until(lambda: not list((home / "spool").glob("*.segment")))
                await stop(process)
            await check(server.conninfo, sent)


async def test_a_job_that_waits_for_a_frozen_database_ends(tmp_path: Path) -> None:
    postgres = with_data(tmp_path / "postgres")
    waits = b"select from pg_stat_activity where wait_event_type = 'Lock'"
    users = Workspace(1, START, 100).users
    async with LocalSlack(directory=Directory(users, [])) as slack:
        with EmbeddedPostgres.start(postgres, durable=False) as server:
            program = Program(slack, server.conninfo, tmp_path / "home")
            async with locked_users(server.conninfo) as connection, program() as process:
                await until(lambda: connection.execute(waits).fetchone() is not None)
                with frozen(postgres):
                    seconds = await stop(process)
    print(f"stopped in {seconds:.2f} s")  # noqa: T201 the figure of the promise
    assert seconds < STOP_SECONDS + BUSY_SECONDS
