"""The roles of `tiger-slack roles`: the owner migrates, the ingester runs the program, the reader queries."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import make_conninfo

from tests.integration.test_ingestion import START
from tests.servers import DIRECTORY, exclusive
from tests.support import check, delivered, make_engine, running, until, wrong_documents
from tiger_slack_tui.base.errors import DatabaseRefused, MigrationError
from tiger_slack_tui.checks.database import check_database
from tiger_slack_tui.cli.main import main
from tiger_slack_tui.demo import prose
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.search.search import search
from tiger_slack_tui.search.thread import around, thread_of

READERS = """
select count(*) from
( select * from slack.find_user_by_email('a') union all select * from slack.find_user_by_user_name('a')
  union all select * from slack.search_user_by_email('a') union all select * from slack.search_user_by_user_name('a')
  union all select * from slack.search_user_by_names('a')
) u
, (select * from slack.find_channel_by_name('a') union all select * from slack.search_channel_by_name('a')) c
, slack.get_thread_stats('C1', now())
, ( select * from slack.get_thread_by_range('C1', now())
    union all select * from slack.get_thread_from_end('C1', now())
    union all select * from slack.get_channel_by_range('C1')
  ) m
, slack.activity_daily
"""


def make_roles(conninfo: str, sql: str) -> None:
    """Run the SQL. Roles belong to the server, which other tests use at the same time."""
    with (
        exclusive(Path(os.environ[DIRECTORY]) / "roles.lock"),
        psycopg.connect(conninfo, autocommit=True) as admin,
    ):
        admin.execute(sql.encode())


@pytest.mark.parametrize("is_existing", [False, True])
async def test_each_role_can_do_its_work_and_no_more(
    conninfo: str, empty_conninfo: str, tmp_path: Path, is_existing: bool
) -> None:
    base = conninfo if is_existing else empty_conninfo
    sql = CliRunner().invoke(main, ["roles"]).stdout
    assert "password '" not in sql
    for _ in range(2):  # it can be run again
        make_roles(base, sql)
    owner, ingester, reader = (
        make_conninfo(base, user=f"tiger_slack_{name}") for name in ("owner", "ingester", "reader")
    )
    if not is_existing:
        with pytest.raises((DatabaseRefused, MigrationError)):
            await migrate(ingester)
        await migrate(owner)
        with psycopg.connect(owner) as connection:
            query = (
                "select p.proname from pg_proc p where p.pronamespace = 'slack'::regnamespace"
                " and not has_function_privilege('tiger_slack_ingester', p.oid, 'execute')"
            )
            assert connection.execute(query).fetchall() == []  # also of files after the grants
        make_roles(base, sql)
    checks = [each async for each in check_database(ingester, "the database")]
    assert "tiger_slack_ingester may ingest" in str(checks)
    sent = list(Workspace(1, START, 100, nasty=True).events(400))
    async with LocalSlack(directory=Directory()) as slack:
        engine = make_engine(slack, ingester, tmp_path)
        async with running(engine):
            await slack.send_all(sent)
            await delivered(slack, engine)
            await until(lambda: len(engine.snapshot().jobs) == 5)
            await until(lambda: all(job.last_outcome == "done" for job in engine.snapshot().jobs))
    await check(base, sent)

    async with await connect(reader) as connection:
        page = await search(connection, "from:u* -zzz")
        assert page.results
        found = page.results[0].message
        await thread_of(connection, found.channel_id, found.ts)
        await around(connection, found.channel_id, found.ts, 1)
        await search(connection, f"{found.text.split()[0]} or x*")
        await connection.execute(READERS)
    with psycopg.connect(reader, autocommit=True) as connection_:
        refused: list[Any] = [
            "delete from slack.message",
            "select slack.insert_message('{}')",
            "update slack.search_progress set done = 1",
            "create table slack.mine (a int)",
        ]
        for statement in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection_.execute(statement)
    with psycopg.connect(ingester, autocommit=True) as connection_:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection_.execute("drop table slack.message")
        assert wrong_documents(connection_) == []


def test_addresses_of_the_demo_are_ascii() -> None:
    names = [(first, last) for first in prose._FIRST for last in prose._LAST]
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+@example\.org", prose.email(*each)) for each in names)
