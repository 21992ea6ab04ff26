"""A write that is aborted leaves no backend behind on the server."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.auditing import message, record
from tests.faults.pooler import transaction_pooler
from tests.servers import with_data
from tests.support import count, encoded, until
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect, make_pool
from tiger_slack_tui.store.events import EventStore

BACKENDS = (
    "select count(*) from pg_stat_activity where datname = current_database()"
    " and pid <> pg_backend_pid() and query ~ 'slack.ingest' and state = 'active'"
)

STANDBYS = (
    "select count(*) from pg_settings where name = 'synchronous_standby_names' and setting <> ''"
)


async def test_writes_that_wait_for_a_lock(conninfo: str) -> None:
    async with make_pool(conninfo, minimum=1, maximum=2) as pool:
        store = EventStore(pool)
        await store.ingest(encoded([record("Ev1", message(1))]))
        with psycopg.connect(conninfo) as blocker:
            blocker.execute("lock table slack.message in access exclusive mode")
            for _ in range(4):
                with pytest.raises(DatabaseUnavailable, match=r"within 0\.2 s"):
                    await store.ingest(encoded([record("Ev2", message(2))]), seconds=0.2)
                await until(lambda: count(conninfo, BACKENDS) == 0)
        assert (await store.ingest(encoded([record("Ev2", message(2))]))).new == {"Ev2"}


async def test_commits_that_wait_for_a_standby(tmp_path: Path) -> None:
    """A commit whose wait for a standby is cancelled reports success. The program must not rely on that."""
    tmp_path.chmod(0o711)
    with EmbeddedPostgres.start(with_data(tmp_path / "home"), durable=False) as server:
        conninfo = server.conninfo
        await migrate(conninfo)
        admin = make_conninfo(conninfo, options="-c synchronous_commit=local")
        async with make_pool(conninfo, minimum=1, maximum=2) as pool:
            store = EventStore(pool)
            await store.ingest(encoded([record("Ev1", message(1))]))
            with psycopg.connect(admin, autocommit=True) as database:
                database.execute("alter system set synchronous_standby_names = 'nobody'")
                database.execute("select pg_reload_conf()")
                await until(lambda: count(admin, STANDBYS) == 1)
                for _ in range(3):
                    with pytest.raises(DatabaseUnavailable):
                        await store.ingest(encoded([record("Ev2", message(2))]), seconds=0.2)
                    await until(lambda: count(admin, BACKENDS) == 0)
                database.execute("alter system reset synchronous_standby_names")
                database.execute("select pg_reload_conf()")
            written = await store.ingest(encoded([record("Ev2", message(2))]), unconfirmed=["Ev2"])
    assert written.new == {"Ev2"}


async def test_the_server_notices_that_its_client_is_gone(conninfo: str) -> None:
    """It does so behind a pooler as well, which closes the session of a client that is gone."""
    async with transaction_pooler(conninfo) as pooled:
        for address in (conninfo, pooled):
            async with await connect(address) as connection:
                cursor = await connection.execute("show client_connection_check_interval")
                assert await cursor.fetchone() == ("10s",)
