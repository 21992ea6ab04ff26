"""Databases of released versions (tests/upgrade/), brought to this version; and those of newer versions."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.acceptance.test_cli import in_this_process
from tests.auditing import asking
from tests.catalogue import read_catalogue
from tests.integration.test_jobs import make_runner
from tests.support import wrong_documents
from tiger_slack_tui import __version__
from tiger_slack_tui.jobs.search import make_search_job
from tiger_slack_tui.postgres.migrate.files import version_number
from tiger_slack_tui.postgres.migrate.run import MigrationMessage, migrate
from tiger_slack_tui.search.search import search

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DUMPS = {path.stem: path for path in (ROOT / "tests" / "upgrade").glob("*.sql")}
FLAGS = (
    "deleted",
    "is_bot",
    "is_archived",
    "is_shared",
    "is_ext_shared",
    "is_org_shared",
    "is_deleted",
)
TOKENS = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}

Rows = dict[str, list[dict[str, Any]]]


def load(connection: psycopg.Connection[Any], version: str) -> None:
    """Make the database of a released version of an empty one."""
    connection.execute(DUMPS[version].read_bytes())
    connection.execute("set search_path to default")


def read_rows(connection: psycopg.Connection[Any]) -> Rows:
    """All rows by table, apart from those of the migration runner."""
    tables = connection.execute(
        "select relname from pg_class where relnamespace = 'slack'::regnamespace and relkind in ('r', 'p')"
        " and relname not in ('migration', 'version')"
    ).fetchall()
    return {table: _rows(connection, table) for (table,) in tables}


def _rows(connection: psycopg.Connection[Any], table: str) -> list[dict[str, Any]]:
    query = sql.SQL("select to_jsonb(t) from slack.{} t").format(sql.Identifier(table))
    return [row for (row,) in connection.execute(query)]


def now_expected(row: dict[str, Any]) -> dict[str, Any]:
    """The row of an older version, as this version has it: flags are never null."""
    return row | {flag: False for flag in FLAGS if row.get(flag, 0) is None}


def test_each_released_version_has_a_dump() -> None:
    released = re.findall(r"^## \[([0-9.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    older = {each for each in released if version_number(each) < version_number(__version__)}
    assert set(DUMPS) == older, "make the missing ones with scripts/upgrade_dump.py"


@pytest.mark.parametrize("version", sorted(DUMPS, key=version_number))
async def test_upgrade(version: str, empty_conninfo: str, conninfo: str) -> None:
    said: list[MigrationMessage] = []
    with psycopg.connect(empty_conninfo, autocommit=True) as connection:
        load(connection, version)
        before = read_rows(connection)
        assert [table for table, rows in before.items() if not rows] == []
        await migrate(empty_conninfo, report=said.append)
        after = read_rows(connection)
        upgraded = read_catalogue(connection)
        await check_readers(connection, empty_conninfo, version)
    assert [message.text for message in said if not message.text.startswith("applied ")] == []
    with psycopg.connect(conninfo) as fresh:
        assert upgraded == read_catalogue(fresh)
    for table, rows in before.items():
        kept = [{name: row[name] for name in rows[0]} for row in after[table]]
        for row in rows:
            assert now_expected(row) in kept, table


async def check_readers(connection: psycopg.Connection[Any], conninfo: str, version: str) -> None:
    """What readers find in the upgraded database, before and after the job that it owes."""
    messages = 4 if version in ("0.1.0", "0.2.0") else 5  # later ones have imported one
    found = {
        "select finished_at is null from slack.search_progress": True,
        "select count(*) from slack.message": messages,
        "select text from slack.message where user_id = 'UBEN' and thread_ts is not null": "Yes, after supper",
        "select reactions from slack.message where thread_ts is null and text like 'Shall%'": [
            {"user_id": "UBEN", "reaction": "eyes"}
        ],
        "select count(*) from slack.event": 17,
        "select (slack.find_channel_by_name('operations')).id": "COPS",
        "select (slack.find_channel_by_name('#legacy')).id": None if messages == 4 else "COLD",
        "select (slack.find_user_by_email('ANA@example.com')).id": "UANA",
        "select array_agg(id) from slack.channel where not is_archived": ["COPS"],
        'select array_agg(id order by id) from slack."user" where not deleted': ["UANA", "UBEN"],
        # The app's channels are heard from the upgrade on, and what ran before it is known until its newest event.
        "select heard_since = complete_since from slack.channel where id = 'COPS'": True,
        "select count(*) from slack.connection where is_judged": 2 if version == "0.4.0" else 1,
    }
    thread = "select num_msgs from slack.get_thread_stats('COPS', '2023-11-14 22:13:20.0001Z')"
    for query, value in (found | {thread: 2}).items():
        assert connection.execute(query.encode()).fetchone() == (value,), query
    ended = await make_runner(conninfo, timeout=60).run(make_search_job(), reason="pending")
    assert (ended.outcome, ended.rows_seen) == ("done", messages)
    assert connection.execute(thread).fetchone() == (2,)
    assert wrong_documents(connection) == []
    async with asking(conninfo) as asked:
        page = await search(asked, "supper in:operations from:ben")
    assert [result.message.text for result in page.results] == ["Yes, after supper"]


def test_a_database_of_a_newer_version_is_refused(conninfo: str, tmp_path: Path) -> None:
    asyncio.run(migrate(conninfo, version="999.1.0"))
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(
            "insert into slack.migration (file_name, applied_at_version, body)"
            " values ('incremental/999-later.sql', '999.1.0', '')"
        )
        before = read_catalogue(connection)
        for command in ("migrate", "run --no-ui", "import .", "jobs search"):
            said = in_this_process(*command.split(), cwd=tmp_path, DATABASE_URL=conninfo, **TOKENS)
            assert said.returncode == 1, command
            assert (
                f"The database has version 999.1.0, which is newer than this program's {__version__}."
                in said.stderr
            ), command
            assert "Install version 999.1.0 or newer." in said.stderr, command
            assert "999-later" not in said.stderr, command
        said = in_this_process("doctor", cwd=tmp_path, DATABASE_URL=conninfo)
        assert "the database has version 999.1.0" in said.stdout
        assert read_catalogue(connection) == before
