"""Readers of the database go on after any error, and old data is never shown as new."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from tests.console.canned import NOW, CannedBackend, database_state, screen_text
from tests.console.test_keys import console, shows
from tests.console.test_triage import FINDINGS
from tests.faults.clock import ManualClock
from tests.support import until
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.name_patterns import NamePatterns
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.console.actions import CONFIRM_KEY
from tiger_slack_tui.console.model import findings as finding
from tiger_slack_tui.console.model import findings_reader as trailing
from tiger_slack_tui.console.model import monitor as monitoring
from tiger_slack_tui.console.model.findings import Findings, FindingsMerger, StoredFindings
from tiger_slack_tui.console.model.findings_reader import FindingsReader
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.console.model.rates import RateMeter
from tiger_slack_tui.console.operator import Operator
from tiger_slack_tui.console.panes.export import write_export
from tiger_slack_tui.console.screens.dialog import Confirm
from tiger_slack_tui.console.views.importing.draft import ImportDraft
from tiger_slack_tui.console.views.jobs import paint_size
from tiger_slack_tui.postgres.introspection import TableSize, table_sizes
from tiger_slack_tui.postgres.timescale import find_timescaledb
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
        await shows(app, "Earlier imports could not be read.")
        assert "There are no imports" not in screen_text(app)


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


async def test_the_findings_reader_goes_on_after_any_error(
    conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    reader = FindingsReader(conninfo)
    running = asyncio.create_task(reader.run())
    try:
        with monkeypatch.context() as broken:
            broken.setattr(trailing, "read_page", fail)
            reader.keep_reading()
            await until(lambda: reader.state.problem is not None)
            assert "ZeroDivisionError" in str(reader.state.problem)
            assert reader.age is None

        def is_well() -> bool:
            reader.keep_reading()
            return reader.state.problem is None and reader.age is not None

        await until(is_well)
        assert not running.done()
    finally:
        running.cancel()


async def test_findings_that_cannot_be_listed_say_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> Findings:
        raise KeyError("what a user wrote")

    finder = FindingsMerger()
    finder.merge(StoredFindings(FINDINGS, NOW), ())
    await until(lambda: bool(finder.found.rows))
    before = finder.found
    with monkeypatch.context() as broken:
        broken.setattr(finding, "merge_findings", fail)
        finder.merge(StoredFindings(FINDINGS[:1], NOW + 2), ())
        await until(lambda: finder.found.problem is not None)
    assert "KeyError" in str(finder.found.problem)
    assert "what a user wrote" not in str(finder.found.problem)
    assert finder.found.rows == before.rows
    assert any(record.exc_info for record in caplog.records)
    finder.merge(StoredFindings(FINDINGS[:1], NOW + 4), ())
    await until(lambda: finder.found.problem is None)
    assert len(finder.found.rows) == 1


async def test_views_show_that_their_findings_are_not_the_newest(tmp_path: Path) -> None:
    async with console(tmp_path, size=(160, 48)) as (app, pilot, backend):
        backend.change(findings=Findings(problem="the newest findings cannot be listed: KeyError"))
        await shows(app, "the newest findings cannot be listed")
        await pilot.press("3")
        await shows(app, "the newest findings cannot be listed")
        backend.change(
            findings=Findings(), stored_findings=StoredFindings(FINDINGS, NOW, "connection refused")
        )
        await shows(app, "connection refused: the database's part")
        await pilot.press("1")
        await until(lambda: "connection refused" not in screen_text(app))
        backend.change(is_observing=True)
        await shows(app, "connection refused: the database's part")


async def test_what_is_old_says_so(tmp_path: Path) -> None:
    async with console(tmp_path, size=(160, 48)) as (app, pilot, backend):
        backend.change(database=replace(database_state(), at=NOW - 45), stored_findings_age=45.0)
        await shows(app, "as of 14:06:46, 45 s ago")
        for key in "243":
            await pilot.press(key)
            await shows(app, "45 s ago")
        backend.change(database=replace(database_state(), at=NOW - 2), stored_findings_age=1.0)
        await until(lambda: "s ago" not in screen_text(app))


def test_rates_survive_a_clock_that_is_set() -> None:
    clock, meter = ManualClock(), RateMeter()
    for second in range(60):
        if second == 20:
            clock.step(-3600)
        if second == 40:
            clock.step(86_400)
        meter.add(clock.elapsed(), second * 10, {("message", "stored"): second * 10})
        clock.advance(1)
    found = meter.rates(clock.elapsed(), clock.wall())
    assert set(found.seconds) == {10.0}
    assert found.now == 10.0
    assert found.by_type[0].per_second == pytest.approx(10.0)
    assert found.peak_at is not None
    assert clock.wall() - 61 <= found.peak_at <= clock.wall()


async def _lines(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def test_exports_are_for_their_owner_alone_and_replace_nothing(tmp_path: Path) -> None:
    place = tmp_path / "exports"
    place.mkdir(mode=0o755)
    found = [await write_export(place, "findings", _lines("text", "日\ud800")) for _ in range(4)]
    assert len(set(found)) == 4
    assert found[0].read_text() == "text\n日?\n"
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


async def test_exports_follow_no_symlink(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "exports").symlink_to(target)
    with pytest.raises(TigerSlackError, match="cannot be written"):
        await write_export(tmp_path / "exports", "findings", _lines("text"))
    assert not list(target.iterdir())


async def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[str]:
        yield "text"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(TigerSlackError, match="No space left"):
        await write_export(tmp_path / "exports", "findings", failing())
    assert not list((tmp_path / "exports").iterdir())


async def test_a_key_that_is_held_down_confirms_nothing(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, backend):
        backend.engine = SimpleNamespace(stop=lambda: None)  # type: ignore[assignment]
        backend.change(stored_findings=StoredFindings(FINDINGS, NOW, None))
        for view, key in (("2", "R"), ("3", "R"), ("3", "F"), ("1", "q")):
            await pilot.press(view)
            await pilot.pause(0.3)
            await pilot.press(*[key] * 8)
            assert isinstance(app.screen, Confirm), key
            await pilot.press("escape")
            await until(lambda: not isinstance(app.screen, Confirm))
        assert not backend.is_stopping
        await pilot.press("q", CONFIRM_KEY)
        await until(lambda: backend.is_stopping)


async def test_a_long_question_scrolls_and_keeps_its_keys(tmp_path: Path) -> None:
    async with console(tmp_path, size=(60, 15)) as (app, pilot, _):
        app.ask("Migrate?", [f"file {n}" for n in range(60)], verb="Migrate", then=lambda: None)
        await shows(app, "y Migrate   Esc Cancel")
        assert "file 59" not in screen_text(app)
        await pilot.press(*["pagedown"] * 12)
        await shows(app, "file 59")
        assert "y Migrate   Esc Cancel" in screen_text(app)


async def test_leaving_is_asked_in_words_that_cannot_be_mistaken(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, _):
        await pilot.press("q")
        await shows(app, "y Stop and leave   Esc Stay")


def test_the_form_selects_what_the_import_selects() -> None:
    apart, whole = "cafe\u0301", "caf\u00e9"
    assert NamePatterns([f"#{apart}"]).match(whole)
    assert NamePatterns([whole]).match(apart, "C1")
    assert NamePatterns(["a[*]b"]).match("a*b")
    assert not NamePatterns(["a[*]b"]).match("axb")
    assert NamePatterns(["C0*"]).match("general", "C01")
    assert not NamePatterns([]).match("general")


async def test_row_counts_are_estimates_that_are_there_before_an_analyze(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    database.execute(
        "insert into slack.import (source, options, instance, outcome, finished_at)"
        " select '/x', '{}', 'a@b:1', 'done', now() from generate_series(1, 50)"
    )
    database.commit()
    database.execute("select pg_stat_force_next_flush()")
    database.execute("select 1")
    database.commit()

    async def rows() -> int:
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            sizes = await table_sizes(connection, await find_timescaledb(connection))
        return next(size.rows for size in sizes if size.name == "import")

    async with asyncio.timeout(30):
        while await rows() != 50:
            await asyncio.sleep(0.1)
    assert "~1,234 " in paint_size(TableSize("user", 1234, 9), 80).plain
