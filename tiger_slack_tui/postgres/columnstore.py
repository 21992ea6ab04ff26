"""After a large import: the columnstore for chunks that are old enough for it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg.sql import SQL, Identifier

from tiger_slack_tui.imports.events import ImportNote
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import describe

_SCHEMA = """
select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'timescaledb'
"""
_POLICY = """
select j.job_id
from timescaledb_information.jobs j
where j.proc_name in ('policy_compression', 'policy_columnstore')
and j.hypertable_schema = 'slack'
and j.hypertable_name = 'message'
"""


async def compress(connection: Connection, tell: Callable[[ImportNote], None]) -> None:
    """Run the columnstore policy of slack.message now, where TimescaleDB has one. A failure is told, no more.

    The connection commits by itself. Takes as long as the compression.
    """
    try:
        schema = await (await connection.execute(_SCHEMA)).fetchone()
        policy = await (await connection.execute(_POLICY)).fetchone() if schema else None
        if schema and policy:
            tell(ImportNote("Compressing old chunks; the messages are all there already."))
            await connection.execute(
                SQL("call {}.run_job(%s)").format(Identifier(schema[0])), policy
            )
    except psycopg.Error as error:
        why = f"Old chunks were not compressed: {describe(error)}. The policy will do it."
        tell(ImportNote(why, is_warning=True))
