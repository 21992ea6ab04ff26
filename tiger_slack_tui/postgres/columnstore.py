"""Runs the columnstore policy of slack.message at once, after a large import."""

from __future__ import annotations

from collections.abc import Callable

from psycopg.sql import SQL, Identifier

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.timescale import find_timescaledb

_POLICY = """
select j.job_id
from timescaledb_information.jobs j
where j.proc_name in ('policy_compression', 'policy_columnstore')
and j.hypertable_schema = 'slack'
and j.hypertable_name = 'message'
"""


async def compress(connection: Connection, on_start: Callable[[], None]) -> None:
    """Compress the old chunks of slack.message, if TimescaleDB has a policy for that. Can take minutes.

    `on_start` is called before the work begins. The connection must not be in a transaction. Raises psycopg.Error;
    the policy then compresses the chunks at its next run.
    """
    timescaledb = await find_timescaledb(connection)
    if timescaledb is None:
        return
    policy = await (await connection.execute(_POLICY)).fetchone()
    if policy is None:
        return
    on_start()
    await connection.execute(
        SQL("call {}.run_job(%s)").format(Identifier(timescaledb.schema)), policy
    )
