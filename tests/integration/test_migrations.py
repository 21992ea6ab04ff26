"""Migrations: all files or none, one instance at a time, and errors that say what to do."""

import asyncio
import logging
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support import count
from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable, MigrationError
from tiger_slack_tui.postgres.connect_failures import connect_failure
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.lock_keys import MIGRATION_LOCK_KEY
from tiger_slack_tui.postgres.migrate.files import (
    MigrationFile,
    MigrationFileState,
    read_migrations,
    shipped_migrations,
)
from tiger_slack_tui.postgres.migrate.run import (
    MigrationMessage,
    MigrationRunning,
    migrate,
    migration_status,
)

FIRST = MigrationFile("incremental/001-first.sql", "create table slack.first (x int)")
SECOND = MigrationFile("incremental/002-second.sql", "create table slack.second (x int)")
AGAIN = MigrationFile(
    "idempotent/001-again.sql", "create or replace view slack.again as select 1 as x"
)


class Run:
    """Migrates one database, and collects the messages."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self.messages: list[MigrationMessage] = []

    async def __call__(
        self, *files: MigrationFile, version: str = "1.0.0", lock_seconds: float = 60
    ) -> list[str]:
        return await migrate(
            self.conninfo,
            version=version,
            files=files,
            report=self.messages.append,
            lock_seconds=lock_seconds,
        )


@pytest.fixture
def run(empty_conninfo: str) -> Run:
    return Run(empty_conninfo)


async def test_only_pending_files_run(run: Run) -> None:
    assert await run(FIRST, AGAIN) == [FIRST.name, AGAIN.name]
    assert await run(FIRST, AGAIN) == []
    assert await run(FIRST, SECOND, AGAIN, version="1.1.0") == [SECOND.name, AGAIN.name]
    found = await migration_status(run.conninfo, version="1.1.0", files=(FIRST, SECOND, AGAIN))
    assert found.database_version == "1.1.0"
    assert [(file.name, file.state, file.applied_at_version) for file in found.files] == [
        (FIRST.name, MigrationFileState.APPLIED, "1.0.0"),
        (SECOND.name, MigrationFileState.APPLIED, "1.1.0"),
        (AGAIN.name, MigrationFileState.APPLIED, "1.1.0"),
    ]
    assert count(run.conninfo, "select count(*) from slack.version") == 1


async def test_a_changed_idempotent_file_runs_again(run: Run) -> None:
    await run(FIRST, AGAIN)
    changed = MigrationFile(AGAIN.name, "create or replace view slack.again as select 2 as x")
    assert await run(FIRST, changed) == [AGAIN.name]
    assert count(run.conninfo, "select x from slack.again") == 2


async def test_reports_how_an_applied_file_was_changed(run: Run) -> None:
    await run(FIRST)
    changed = MigrationFile(FIRST.name, FIRST.body + "\n-- a remark")
    assert await run(changed) == []
    (warning,) = (message for message in run.messages if message.level == logging.WARNING)
    assert "+-- a remark" in warning.text
    found = await migration_status(run.conninfo, version="1.0.0", files=(changed,))
    assert found.files[0].state is MigrationFileState.CHANGED
    assert "+-- a remark" in str(found.files[0].difference)


async def test_reports_an_applied_file_that_is_missing(run: Run) -> None:
    await run(FIRST, SECOND)
    await run(FIRST)
    assert any(
        SECOND.name in message.text for message in run.messages if message.level == logging.WARNING
    )


async def test_a_failed_file_undoes_all_files(run: Run) -> None:
    await run(FIRST)
    bad = MigrationFile("incremental/003-bad.sql", "select 1;\n\nselect nonsense")
    with pytest.raises(MigrationError, match=r"003-bad\.sql, line 3: .*nonsense.*42703"):
        await run(FIRST, SECOND, bad, version="2.0.0")
    found = await migration_status(run.conninfo, version="1.0.0", files=(FIRST, SECOND))
    assert found.database_version == "1.0.0"
    assert found.files[1].state is MigrationFileState.PENDING
    assert count(run.conninfo, "select count(*) from pg_class where relname = 'second'") == 0


async def test_a_failed_first_run_leaves_an_empty_database(run: Run) -> None:
    with pytest.raises(MigrationError):
        await run(MigrationFile("incremental/001-bad.sql", "nonsense"))
    assert count(run.conninfo, "select count(*) from pg_namespace where nspname = 'slack'") == 0


async def test_refuses_a_newer_database(run: Run) -> None:
    await run(FIRST, version="1.10.0")
    with pytest.raises(MigrationError, match=r"1\.10\.0, which is newer"):
        await run(FIRST, version="1.9.0")


async def test_refuses_a_new_file_without_a_raised_version(run: Run) -> None:
    await run(FIRST)
    with pytest.raises(MigrationError, match="002-second"):
        await run(FIRST, SECOND)


async def test_refuses_a_file_before_those_applied(run: Run) -> None:
    await run(SECOND)
    with pytest.raises(MigrationError, match="001-first"):
        await run(FIRST, SECOND, version="2.0.0")


async def test_names_the_command_that_shows_missing_rights(
    run: Run, postgres: EmbeddedPostgres
) -> None:
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        connection.execute("create role guest login")
    run.conninfo = make_conninfo(run.conninfo, user="guest")
    with pytest.raises(MigrationError, match=r"permission denied .*\n.*doctor"):
        await run(FIRST)


async def test_refuses_a_schema_of_another_role(run: Run) -> None:
    with psycopg.connect(run.conninfo, autocommit=True) as connection:
        connection.execute("drop role if exists somebody")
        connection.execute("create role somebody")
        connection.execute("create schema slack authorization somebody")
        with pytest.raises(DatabaseRefused, match="somebody"):
            await run(FIRST)
        connection.execute("drop schema slack")
        connection.execute("drop role somebody")


async def test_status_writes_nothing(run: Run) -> None:
    found = await migration_status(run.conninfo, version="1.0.0", files=(FIRST,))
    assert (found.database_version, found.files[0].state) == (None, MigrationFileState.PENDING)
    assert count(run.conninfo, "select count(*) from pg_namespace where nspname = 'slack'") == 0


async def test_instances_that_start_at_once_migrate_once(run: Run) -> None:
    slow = MigrationFile(
        "incremental/001-slow.sql", "create table slack.t (x int); select pg_sleep(0.5)"
    )
    ran = await asyncio.gather(*(run(slow) for _ in range(4)))
    assert sorted(map(len, ran)) == [0, 0, 0, 1]
    assert any("waiting for another migration" in message.text for message in run.messages)


async def test_names_the_holder_of_the_lock_when_it_gives_up(run: Run) -> None:
    holder = make_conninfo(run.conninfo, application_name="the-other@host")
    with psycopg.connect(holder) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK_KEY,))
        with pytest.raises(MigrationRunning, match=r"the-other@host \(local, pid \d+"):
            await run(FIRST, lock_seconds=0.3)
    assert await run(FIRST) == [FIRST.name]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"dbname": "missing"}, DatabaseRefused),
        ({"user": "missing"}, DatabaseRefused),
        ({"port": "many"}, DatabaseRefused),
        ({"host": "/nowhere"}, DatabaseUnavailable),
        ({"host": "127.0.0.1", "port": "1"}, DatabaseUnavailable),
    ],
)
async def test_connections_that_cannot_be_made(
    run: Run, change: dict[str, str], error: type[Exception]
) -> None:
    run.conninfo = make_conninfo(run.conninfo, **change)  # type: ignore[arg-type]
    with pytest.raises(error):
        await run(FIRST)


def test_a_wrong_password_is_refused() -> None:
    # The tests' server asks for no password, so this is libpq's text from another server.
    at = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '
    error = psycopg.OperationalError(at + 'FATAL:  password authentication failed for user "me"')
    assert isinstance(connect_failure(error), DatabaseRefused)
    starting = psycopg.OperationalError(at + "FATAL:  the database system is starting up")
    assert isinstance(connect_failure(starting), DatabaseUnavailable)


async def test_refuses_an_encoding_that_cannot_hold_everything(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        connection.execute("create database latin encoding 'LATIN1' template template0")
    with pytest.raises(DatabaseRefused, match="LATIN1"):
        await Run(make_conninfo(postgres.conninfo, dbname="latin"))(FIRST)


def test_the_real_files_document_every_table_and_column(conninfo: str) -> None:
    undocumented = """
        select count(*) from pg_class c
        left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'slack'::regnamespace and c.relkind in ('r', 'p', 'v')
        and (obj_description(c.oid) is null or col_description(c.oid, a.attnum) is null)
    """
    assert count(conninfo, undocumented) == 0
    functions = """
        select count(*) from pg_proc
        where pronamespace = 'slack'::regnamespace and obj_description(oid) is null
    """
    assert count(conninfo, functions) == 0


async def test_the_real_files_run_again_after_themselves(conninfo: str) -> None:
    ran = await migrate(conninfo, version="999.0.0")
    assert ran == [file.name for file in shipped_migrations() if not file.is_incremental]
    assert (await migration_status(conninfo)).database_version == "999.0.0"


def test_names_are_checked(tmp_path: Path) -> None:
    (tmp_path / "incremental").mkdir()
    with pytest.raises(MigrationError, match="no directory"):
        read_migrations(tmp_path)
    (tmp_path / "idempotent").mkdir()
    assert read_migrations(tmp_path) == ()
    for name, problem in (
        ("1-first.sql", "not a valid name"),
        ("001-First.sql", "not a valid name"),
        ("002-first.sql", "lacks the number 001"),
    ):
        (tmp_path / "incremental" / name).touch()
        with pytest.raises(MigrationError, match=problem):
            read_migrations(tmp_path)
        (tmp_path / "incremental" / name).unlink()
    (tmp_path / "idempotent" / "001-a.sql").write_text("select 1")
    (tmp_path / "idempotent" / "001-b.sql").touch()
    with pytest.raises(MigrationError, match="the number 001 twice"):
        read_migrations(tmp_path)
