"""Settings of a role or database that would break a promise are overruled on every connection, and reported."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.auditing import message, record
from tests.servers import with_data
from tests.support import encoded
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.postgres.connection import BlockingConnection, Connection
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.failures import describe
from tiger_slack_tui.postgres.migrate.files import MigrationFile
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect, make_pool
from tiger_slack_tui.store.events import EventStore

Database = psycopg.Connection[Any]

HOSTILE = {
    "synchronous_commit": "off",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "idle_in_transaction_session_timeout": "200ms",
    "idle_session_timeout": "500ms",
    "lock_timeout": "10ms",
    "statement_timeout": "10ms",
    "transaction_timeout": "200ms",
    "search_path": "evil",
    "row_security": "on",
    "session_replication_role": "replica",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "standard_conforming_strings": "off",
    "extra_float_digits": "0",
}


def put(database: Database, settings: dict[str, str], whose: str = "database {}") -> None:
    """Set them for the database, or for the role `whose` in it."""
    for name, value in settings.items():
        if database.execute("select 1 from pg_settings where name = %s", (name,)).fetchone():
            target = whose.format(database.info.dbname)
            database.execute(f"alter {target} set {name} = '{value}'".encode())


async def shown(connection: Connection, name: str) -> str:
    row = await (await connection.execute("select current_setting(%s)", (name,))).fetchone()
    assert row is not None
    return str(row[0])


async def test_settings_that_break_a_promise_are_overruled(
    conninfo: str, database: Database
) -> None:
    put(database, HOSTILE)
    async with await connect(conninfo) as connection:
        assert await shown(connection, "synchronous_commit") == "on"
        assert await shown(connection, "transaction_read_only") == "off"
        assert await shown(connection, "transaction_isolation") == "read committed"
        assert await shown(connection, "session_replication_role") == "origin"
        assert await shown(connection, "search_path") == "pg_catalog"
        assert await shown(connection, "row_security") == "off"
        assert await shown(connection, "idle_in_transaction_session_timeout") == "5min"
        names = {each.name for each in connection.session.overruled}
        source = f"for the database {database.info.dbname}"
        assert {each.source for each in connection.session.overruled} <= {
            source,
            "for the role or the database, or by another client of the pooler",
        }
    known = {"transaction_timeout"} if database.info.server_version < 170000 else set()
    unsaid = {"extra_float_digits"}  # a format
    assert names == HOSTILE.keys() - known - unsaid


async def test_timeouts_of_the_role_end_no_statement(conninfo: str, database: Database) -> None:
    put(database, HOSTILE)
    async with await connect(conninfo) as connection:
        async with connection.transaction():
            await asyncio.sleep(0.3)
            await connection.execute("select pg_sleep(0.3)")
        await asyncio.sleep(0.8)
        await connection.execute("select 1")


@pytest.mark.parametrize("kind", [Connection, BlockingConnection])
@pytest.mark.parametrize(
    ("found", "used"),
    [
        ("off", "on"),
        ("local", "on"),
        ("on", "on"),
        ("remote_write", "remote_write"),
        ("remote_apply", "remote_apply"),
    ],
)
async def test_commits_are_durable_and_stronger_settings_are_kept(
    conninfo: str, database: Database, kind: type[Connection], found: str, used: str
) -> None:
    put(database, {"synchronous_commit": found})
    async with await connect(conninfo, kind) as connection:
        assert await shown(connection, "synchronous_commit") == used
        assert bool(connection.session.overruled) == (found != used)


async def test_settings_are_overruled_in_the_pool_as_well(
    conninfo: str, database: Database
) -> None:
    database.execute("create table public.seen (name text)")
    database.execute(
        "create function public.see() returns trigger language plpgsql as"
        " $$begin insert into public.seen select current_setting('synchronous_commit'); return new; end$$"
    )
    database.execute(
        "create trigger see before insert on slack.delivery for each row execute function public.see()"
    )
    put(database, HOSTILE)
    async with make_pool(conninfo, minimum=1, maximum=1) as pool:
        assert (await EventStore(pool).ingest(encoded([record("Ev1", message(1))]))).new == {"Ev1"}
    row = database.execute("select array_agg(name) from public.seen").fetchone()
    assert row == (["on"],)


async def test_a_migration_is_not_ended(empty_conninfo: str) -> None:
    with psycopg.connect(empty_conninfo, autocommit=True) as database:
        put(database, HOSTILE)
    file = MigrationFile(
        "incremental/001-a.sql", r"create table slack.t as select '\d' as a, pg_sleep(0.5)::text"
    )
    ran = await migrate(empty_conninfo, version="1.0", files=(file,))
    assert ran == [file.name]


async def test_the_log_names_an_overruled_setting_once_with_its_source(
    conninfo: str, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    whose = f"role {database.info.user} in database {{}}"
    put(database, {"synchronous_commit": "local"}, whose)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            async with await connect(conninfo):
                pass
    said = [r.message for r in caplog.records if "overruled" in r.message]
    where = f"for the role {database.info.user} in the database {database.info.dbname}"
    assert said == [f"synchronous_commit = local (set {where}) is overruled by on"]


async def test_default_settings_are_not_reported(conninfo: str) -> None:
    async with await connect(conninfo) as connection:
        found = [each.name for each in connection.session.overruled]
    assert found == ["synchronous_commit"]  # set by the tests' server, for speed


async def test_a_setting_of_the_connection_string_is_named(conninfo: str) -> None:
    given = make_conninfo(conninfo, options="-c lock_timeout=77ms")
    async with await connect(given) as connection:
        assert (
            "lock_timeout = 77 (set in the connection string or PGOPTIONS) is overruled by 0"
            in [str(each) for each in connection.session.overruled]
        )


async def test_a_server_that_becomes_read_only_is_reported_as_such(conninfo: str) -> None:
    async with make_pool(conninfo, minimum=1, maximum=1) as pool:
        async with pool.connection() as connection:
            assert isinstance(connection, Connection)
            await connection.execute("set session characteristics as transaction read only")
        with pytest.raises(DatabaseUnavailable, match="is a standby or read-only: it takes no"):
            await EventStore(pool).ingest(encoded([record("Ev1", message(1))]))
        # The pool makes a new connection, which can lead to another server.
        async with asyncio.timeout(30):
            assert (await EventStore(pool).ingest(encoded([record("Ev1", message(1))]))).new == {
                "Ev1"
            }


async def test_a_standby_is_reported_until_it_is_promoted(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    home = with_data(tmp_path / "home")
    (home / "data" / "standby.signal").touch()
    with EmbeddedPostgres.start(home, durable=False) as server:
        async with await connect(server.conninfo) as connection:
            assert connection.session.is_standby
            assert await shown(connection, "synchronous_commit") == "on"
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as caught:
                await connection.execute("create table t ()")
            assert "is a standby or read-only" in describe(caught.value)
        file = MigrationFile("incremental/001-a.sql", "create table slack.t ()")
        with pytest.raises(DatabaseUnavailable, match="standby or read-only"):
            await migrate(server.conninfo, version="1.0", files=(file,))
        with psycopg.connect(server.conninfo, autocommit=True) as connection:
            connection.execute("select pg_promote()")
        assert await migrate(server.conninfo, version="1.0", files=(file,))


def test_of_several_servers_the_primary_is_used() -> None:
    from tiger_slack_tui.postgres.connection import with_defaults

    two = with_defaults("host=a,b", application_name="x")
    assert "target_session_attrs=primary" in two
    assert "target_session_attrs" not in with_defaults("host=a", application_name="x")
    given = with_defaults("host=a,b target_session_attrs=any", application_name="x")
    assert "target_session_attrs=any" in given


async def test_a_full_table_of_locks_is_reported_with_its_fix(tmp_path: Path) -> None:
    assert describe(psycopg.errors.OutOfMemory()) == "out of memory (53200)"  # memory, not locks
    tmp_path.chmod(0o711)
    # A separate server, because all sessions share the table.
    with EmbeddedPostgres.start(with_data(tmp_path / "home"), durable=False) as server:
        async with await connect(server.conninfo) as connection:
            with pytest.raises(psycopg.errors.OutOfMemory) as caught:
                await connection.execute(
                    "select count(pg_advisory_xact_lock(9, n)) from generate_series(1, 500000) n"
                )
    assert "raise max_locks_per_transaction" in describe(caught.value)
