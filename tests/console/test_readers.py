"""Readers of the database go on after any error, and old data is never shown as new."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from textual.content import Content

from tests.console.canned import (
    NOW,
    CannedBackend,
    database_state,
    migrations,
    screen_text,
    shows,
    snapshot,
    unmigrated,
)
from tests.console.test_keys import console
from tests.faults.clock import ManualClock
from tests.support import until
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.console.model import monitor as monitoring
from tiger_slack_tui.console.model.database_state import DatabaseState
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.console.model.rates import Rates
from tiger_slack_tui.console.model.read_errors import describe_error
from tiger_slack_tui.console.operator import Operator
from tiger_slack_tui.console.panes.chrome import status_line
from tiger_slack_tui.console.panes.jobs import paint_size
from tiger_slack_tui.console.panes.paint import as_is
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.views.importing.draft import ImportDraft
from tiger_slack_tui.postgres import introspection
from tiger_slack_tui.postgres.introspection import TableSize, table_sizes
from tiger_slack_tui.postgres.migrate.files import MigrationFileState
from tiger_slack_tui.postgres.migrate.run import MigrationStatus
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.postgres.timescale import find_timescaledb
from tiger_slack_tui.store import instances
from tiger_slack_tui.store.import_account import Account


async def test_the_monitor_goes_on_after_an_account_of_another_version(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "insert into slack.import (source, options, instance, outcome, finished_at, account) values"
        """ ('/x', '{"since": 3, "channels": "C1"}', 'a@b:1', 'done', now(),"""
        """ '{"messages": {"read": 5, "teleported": 2, "skipped": {"a new reason": 1}},"""
        """ "files": {"planned": "many"}}')"""
    )
    database.commit()
    monitor = Monitor(conninfo, JobSettings())
    running = asyncio.create_task(monitor.run())
    try:
        await until(lambda: monitor.state.at is not None and bool(monitor.state.imports))
        [past] = monitor.state.imports
        assert (past.account.read, past.account.bad, past.files_planned) == (5, 1, 0)
        assert "since" not in past.options
        ImportDraft().copy_from(past)
        assert monitor.state.problem is None
    finally:
        running.cancel()


@pytest.mark.parametrize(
    "value",
    [None, 3, [], "x", {"read": "5"}, {"skipped": 3}, {"discarded": {"1": None}}, {"new": 1}],
)
def test_an_account_that_is_not_understood_counts_nothing(value: object) -> None:
    account = Account.from_json(value)
    assert (account.read, account.bad, account.accounted) == (0, 0, 0)


async def test_the_monitor_goes_on_after_any_error(
    conninfo: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise KeyError("what a user wrote")

    monitor = Monitor(conninfo, JobSettings())
    running = asyncio.create_task(monitor.run())
    try:
        await until(lambda: monitor.state.at is not None)
        with monkeypatch.context() as broken:
            broken.setattr(monitoring, "advisory_locks", fail)
            monitor.refresh_now()
            await until(lambda: bool(monitor.state.problems))
            assert "KeyError" in monitor.state.problems["locks"]
            assert "what a user wrote" not in monitor.state.problems["locks"]
            stack = next(record.exc_info for record in caplog.records if record.exc_info)
            assert stack[0] is KeyError
        await until(lambda: not monitor.state.problems)
        assert not running.done()
    finally:
        running.cancel()


async def test_a_question_that_is_too_slow_leaves_all_others(
    conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question that the server breaks off is asked again later and later; what else it says is of now."""
    asked = 0

    async def slow(connection: psycopg.AsyncConnection[Any], *_: object) -> list[object]:
        nonlocal asked
        asked += 1
        async with connection.transaction():
            await connection.execute("set local statement_timeout = 10")
            await connection.execute("select pg_sleep(60)")
        return []

    monkeypatch.setattr(monitoring, "_SECONDS", 0.05)
    monkeypatch.setattr(monitoring, "recent_imports", slow)
    clock = ManualClock()
    monitor = Monitor(conninfo, JobSettings(), clock=clock)

    async def looks(number: int) -> None:
        for _ in range(number):
            before = monitor._state
            await until(lambda before=before: monitor._state is not before)

    running = asyncio.create_task(monitor.run())
    try:
        await until(lambda: bool(monitor.state.jobs))
        assert monitor.state.problem is None
        assert monitor.state.discard_rules == 0
        assert list(monitor.state.problems) == ["imports"]
        assert "57014" in monitor.state.problems["imports"]
        for pause in (0.05, 0.1, 0.2):
            await looks(2)
            before = asked
            clock.advance(pause * 0.9)
            await looks(2)
            assert asked == before
            clock.advance(pause * 0.1 + 0.001)
            await until(lambda before=before: asked == before + 1)
        monitor.refresh_now()
        await until(lambda: asked == 5)
    finally:
        running.cancel()


async def test_an_import_that_was_killed_is_counted_once(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """The Operator counts it. The monitor, which also runs with --read-only, writes nothing."""
    database.execute(
        "insert into slack.import (source, options, instance) values ('/x', '{}', 'a@b:1')"
    )
    database.commit()
    backend = CannedBackend(tmp_path)
    backend.conninfo, backend.monitor = conninfo, Monitor(conninfo, JobSettings())
    monitor = backend.monitor
    running = [asyncio.create_task(monitor.run())]
    try:
        await until(lambda: bool(monitor.state.imports))
        before = monitor._state
        monitor.refresh_now()
        await until(lambda: monitor._state is not before)
        assert monitor.state.imports[0].needs_count
        running.append(asyncio.create_task(Operator(backend).count_killed_imports()))

        def is_counted() -> bool:
            monitor.refresh_now()
            return bool(monitor.state.imports) and not monitor.state.imports[0].needs_count

        await until(is_counted)
        row = database.execute("select account -> 'files', outcome from slack.import").fetchone()
        assert row == ({"done": 0, "failed": 0}, None)
    finally:
        for task in running:
            task.cancel()


async def test_an_error_in_place_of_the_cancellation_does_not_keep_the_monitor(
    conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_asked = asyncio.Event()

    async def breaks(*_: object) -> None:
        is_asked.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:  # as of a connection that breaks meanwhile
            raise psycopg.OperationalError from None

    monkeypatch.setattr(monitoring, "recent_imports", breaks)
    running = asyncio.create_task(Monitor(conninfo, JobSettings()).run())
    async with asyncio.timeout(30):
        await is_asked.wait()
        running.cancel()
        await asyncio.wait({running})
    assert running.cancelled()


async def test_a_fact_that_cannot_be_read_says_so_where_it_is_shown(tmp_path: Path) -> None:
    broken = dict.fromkeys(("imports", "locks", "migrations"), "QueryCanceled 57014")
    async with console(tmp_path, size=(160, 48)) as (app, pilot, backend):
        backend.change(database=replace(database_state(), locks=(), problems=broken))
        await shows(app, "cannot be read: QueryCanceled 57014")
        await pilot.press("2")
        await shows(app, "cannot be read: QueryCanceled 57014")
        assert "All are free" not in screen_text(app)
        await pilot.press("4")
        await shows(app, "This could not be read.")
        assert "There are no imports" not in screen_text(app)


@pytest.mark.parametrize("is_made", [True, False], ids=["engine", "no engine yet"])
async def test_what_was_not_read_yet_is_never_shown_as_none(tmp_path: Path, is_made: bool) -> None:
    """At the first start, the console reads the database before the schema is there."""
    empty = DatabaseState(
        at=NOW, asked={"migrations": NOW, "extension": NOW}, migrations=unmigrated()
    )
    async with console(tmp_path, size=(160, 48)) as (app, pilot, backend):
        engine = replace(snapshot(), schema_since=None, problems=()) if is_made else None
        backend.change(database=empty, engine=engine, rates=Rates(), stored_findings_waited=60.0)
        await shows(app, "▶ migrating")
        await shows(app, "Events wait" if is_made else "There were no events yet.")
        for keys in ("2", "3", "4", "7", ("6", "slash", "x", "enter")):
            await pilot.press(*keys)
            await shows(app, "The schema is being migrated.")
            shown = screen_text(app)
            assert "schema migrating …" in shown
            for fact in (
                "0 B",
                "0 held",
                "All are free",
                "not 0.4.0",
                "no imports",
                "nothing to",
                "not read yet",
                "M Migrate",
            ):
                assert fact not in shown
        backend.change(database=database_state(), engine=snapshot())
        await shows(app, "has no PostgreSQL")  # it is asked as soon as it can answer
        await pilot.press("4")
        await shows(app, "There are no imports yet.")


def test_a_long_text_of_an_empty_pane_is_folded() -> None:
    pane: Pane[Content] = Pane(as_is, id="pane")
    text = "The database does not have the tables of tiger-slack."
    pane.show(Body(title="pane", empty_text=(text,)))
    rows = [row.plain for row in pane._nothing(30, 10)]
    assert " ".join(row.strip() for row in rows if row) == text
    assert max(map(len, rows)) <= 30


@pytest.mark.parametrize(
    ("since", "asked", "found", "is_migrating"),
    [
        (None, 1.0, unmigrated(), True),
        (2.0, 1.0, unmigrated(), True),
        (1.0, 2.0, unmigrated(), False),
        (None, 1.0, migrations(), False),
        (None, 1.0, None, False),
    ],
)
def test_the_schema_is_being_migrated_until_it_was_read_after_that(
    tmp_path: Path,
    since: float | None,
    asked: float,
    found: MigrationStatus | None,
    is_migrating: bool,
) -> None:
    known = DatabaseState(at=NOW, asked={"migrations": asked}, migrations=found)
    model = replace(CannedBackend(tmp_path).model, database=known)
    model = replace(model, engine=replace(snapshot(), schema_since=since))
    assert model.is_migrating == is_migrating
    assert ("schema migrating" in status_line(model, 80).plain) == is_migrating
    assert not replace(model, engine=None, is_observing=True).is_migrating


async def test_sizes_are_read_often_while_that_costs_little(
    conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables of a first start fill quickly. Those of a large database take long to measure."""
    monkeypatch.setattr(monitoring, "_SECONDS", 0.02)
    clock, costs, reads = ManualClock(), [0.01], 0

    async def sizes(*_: object) -> list[TableSize]:
        nonlocal reads
        reads += 1
        clock.advance(costs[-1])
        return []

    async def rounds() -> None:
        for _ in range(3):
            before = monitor._state
            await until(lambda before=before: monitor._state is not before)

    monkeypatch.setattr(monitoring, "table_sizes", sizes)
    monitor = Monitor(conninfo, JobSettings(), clock=clock)
    running = asyncio.create_task(monitor.run())
    try:
        for cost, pause in ((0.01, 1.0), (0.1, 10.0), (60.0, 30.0)):
            costs.append(cost)
            clock.advance(30)
            await rounds()
            before = reads
            clock.advance(pause * 0.9)
            await rounds()
            assert reads == before
            clock.advance(pause * 0.2)
            await rounds()
            assert reads == before + 1
    finally:
        running.cancel()


async def test_tables_that_have_rows_never_show_zero(
    conninfo: str, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL forgets its statistics after a crash, and knows none of a table that was just filled."""
    monkeypatch.setattr(introspection, "COUNTED_ROWS", 5)
    database.execute(
        """insert into slack."user" (id, user_name) select 'U' || n, 'n' from generate_series(1, 3) n"""
    )
    database.execute(
        "insert into slack.channel (id, channel_name) select 'C' || n, 'n' from generate_series(1, 9) n"
    )
    database.commit()
    database.execute("select pg_stat_reset()")
    async with await connect(conninfo) as connection:
        rows = {
            size.name: size.rows
            for size in await table_sizes(connection, await find_timescaledb(connection))
        }
    assert (rows["user"], rows["channel"], rows["message"]) == (3, 6, 0)
    for number, shown in ((1234, " 1,234 "), (10_001, " >10,000 "), (12_345, " ~12,345 ")):
        assert shown in paint_size(TableSize("user", number, 9), 80).plain


async def test_pending_migrations_are_read_again_at_once(
    conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read rarely. Those that another process applies meanwhile must not be shown as pending for long."""
    read: list[MigrationStatus] = []

    async def status(_: str) -> MigrationStatus:
        found = migrations()
        if not read:
            [first, *rest] = found.files
            found = replace(found, files=(replace(first, state=MigrationFileState.PENDING), *rest))
        read.append(found)
        return found

    monkeypatch.setattr(monitoring, "_SECONDS", 0.05)
    monkeypatch.setattr(monitoring, "migration_status", status)
    monitor = Monitor(conninfo, JobSettings(), clock=ManualClock())
    running = asyncio.create_task(monitor.run())
    try:
        await until(lambda: len(read) == 2)
        await until(lambda: monitor.state.migrations is read[1])
    finally:
        running.cancel()


async def test_a_refresh_that_is_asked_for_while_the_monitor_reads_is_done(
    conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "_SECONDS", 3600.0)
    looks = 0

    async def sizes(*_: object) -> list[TableSize]:
        nonlocal looks
        looks += 1
        if looks == 1:
            monitor.refresh_now()
        return []

    monkeypatch.setattr(monitoring, "table_sizes", sizes)
    monitor = Monitor(conninfo, JobSettings(), clock=ManualClock())
    running = asyncio.create_task(monitor.run())
    try:
        await until(lambda: looks == 2)
    finally:
        running.cancel()


async def test_an_instance_that_stopped_grows_no_older(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        """
        insert into slack.instance
        ( instance, version, host, pid, started_at, last_seen_at, status, status_since, queue, queue_limit
        , spool_events, spool_bytes, received, acked, events_per_second
        )
        select 'a', '0.5.0', 'h', 1, now() - interval '9 hours', now() - interval '7 hours', 'stopped', now(), 0, 0
        , 0, 0, 0, 0, 0
        """
    )
    database.commit()
    async with await connect(conninfo) as connection:
        [found] = await instances.newest(connection, most=9)
    assert (found.age, found.seen_age > 7 * 3600) == (7200, True)


async def test_what_is_old_says_so(tmp_path: Path) -> None:
    def of_findings(seconds: float) -> dict[str, float]:
        return {"stored_findings_age": seconds, "stored_findings_waited": seconds}

    async with console(tmp_path, size=(160, 48)) as (app, pilot, backend):
        backend.change(
            database=replace(database_state(), at=NOW - 45),
            stored_findings_age=45.0,
            stored_findings_waited=45.0,
        )
        await shows(app, "as of 45 s ago")
        for key in "243":
            await pilot.press(key)
            await shows(app, "45 s ago")
        backend.change(
            database=replace(database_state(), at=NOW - 2),
            stored_findings_age=1.0,
            stored_findings_waited=1.0,
        )
        await until(lambda: "s ago" not in screen_text(app))


def test_a_missing_schema_is_described_in_words() -> None:
    """For the chart of a long time that is opened before the first start has made the tables."""
    for error in (psycopg.errors.UndefinedTable(), psycopg.errors.InvalidSchemaName()):
        assert describe_error(error) == "it does not have the tables of this version yet"
