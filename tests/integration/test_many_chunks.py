"""Years of messages: what concerns one message, a thread or a span of time touches only the chunks that hold it."""

from __future__ import annotations

import psycopg
import pytest

from tests.chunks import fill, into_partitions, work_in
from tests.conftest import new_database
from tests.support import SCALE
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.pool import connect

CHUNKS = 100 if SCALE == 1 else 1000
MOST_LOCKS = 100
"""Tables of a transaction with their indexes, and a few chunks with theirs. All chunks have five times as many."""
WORK = work_in(CHUNKS)
_LOCKS = """
select count(*), count(distinct relation) filter (where relation::regclass::text ~ 'week_[0-9]+$')
from pg_locks
where pid = pg_backend_pid()
and locktype = 'relation'
"""


@pytest.fixture(scope="module")
def conninfo(postgres: EmbeddedPostgres, template: str) -> str:
    """One database for all tests of the module: making the partitions takes seconds."""
    conninfo = new_database(postgres, template)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        into_partitions(connection, CHUNKS)
        fill(connection, CHUNKS)
    return conninfo


async def test_only_the_chunks_that_hold_it_are_locked(conninfo: str) -> None:
    found: dict[str, tuple[int, int]] = {}
    async with await connect(conninfo) as connection:
        for name, work in WORK.items():
            async with connection.transaction(force_rollback=True):
                await work(connection)
                row = await (await connection.execute(_LOCKS)).fetchone()
            found[name] = row or (0, 0)
        async with connection.transaction(force_rollback=True):
            await connection.execute("update slack.message set text = '' where ts = now()")
            row = await (await connection.execute(_LOCKS)).fetchone()
    assert row is not None
    assert row[0] > 4 * CHUNKS  # what a statement with all chunks locks
    assert [
        name for name, (locks, chunks) in found.items() if locks > MOST_LOCKS or chunks > 10
    ] == []
