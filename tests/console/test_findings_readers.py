"""Readers of events and findings go on after any error, and what is old says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.console.canned import (
    NOW,
    problems,
    screen_text,
    shows,
)
from tests.console.test_keys import console
from tests.console.test_triage import FINDINGS
from tests.faults.clock import ManualClock
from tests.support import until
from tiger_slack_tui.audit.event_query import EventQuery
from tiger_slack_tui.audit.rules import NoSuchRule
from tiger_slack_tui.console.model import findings as finding
from tiger_slack_tui.console.model import findings_reader as trailing
from tiger_slack_tui.console.model.audit_reader import AuditReader
from tiger_slack_tui.console.model.database_state import DatabaseState
from tiger_slack_tui.console.model.event_counts import DAY, EventCountsReader
from tiger_slack_tui.console.model.findings import Findings, FindingsMerger, StoredFindings
from tiger_slack_tui.console.model.findings_reader import FindingsReader
from tiger_slack_tui.console.model.names import Names
from tiger_slack_tui.console.model.rates import Rates
from tiger_slack_tui.console.panes.pane import Pane


async def test_the_counts_of_events_are_read_from_the_database_part_by_part(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    clock = ManualClock()
    end = (int(clock.wall()) // 600 + 1) * 600
    clock.step(end - 1 - clock.wall())
    database.execute(
        "insert into slack.event (event_ts, received_at, event_id, event, outcome)"
        " select to_timestamp(%s - 600 * n - 1), now(), 'E' || n || '-' || m, '{}', 'stored'"
        " from generate_series(1, 200) n, generate_series(1, n) m",
        (end,),
    )
    half_day = DAY // 2
    newest = (end - 1) // half_day
    database.execute(
        "insert into slack.event (event_ts, received_at, event_id, event, outcome)"
        " select to_timestamp((%s - n) * %s + 1), now(), 'H' || n || '-' || m, '{}', 'stored'"
        " from generate_series(4, 200) n, generate_series(1, n) m",
        (newest, half_day),
    )
    database.commit()
    reader = EventCountsReader(conninfo, clock=clock)
    running = asyncio.create_task(reader.run())
    try:
        reader.keep_reading(DAY)
        await until(lambda: bool((found := reader.state(DAY)) and found.is_whole))
        reader.keep_reading(90 * DAY)
        await until(lambda: bool((found := reader.state(90 * DAY)) and found.is_whole))
    finally:
        running.cancel()
    found = reader.state(DAY)
    assert found is not None
    assert found.end == end
    assert found.rates == tuple(n / 600 for n in range(143, -1, -1))
    found = reader.state(90 * DAY)
    assert found is not None
    assert found.rates[:-4] == tuple(n / half_day for n in range(179, 3, -1))


async def test_events_of_a_rule_that_never_existed(conninfo: str) -> None:
    with pytest.raises(NoSuchRule, match="There is no rule 77"):
        await AuditReader(conninfo).find_events(EventQuery.parse("rule:77"), most=10)


async def test_events_of_the_engine_are_named(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        """insert into slack."user" (id, user_name, display_name) values ('U02KJ', 'ana', 'Ana L')"""
    )
    database.execute("insert into slack.channel (id, channel_name) values ('C01AB2', 'releases')")
    database.commit()
    reader = FindingsReader(conninfo)
    event = next(event for event in problems() if event.user_id == "U02KJ" and event.channel_id)

    def shown() -> tuple[str, str]:
        found = finding.finding_of_event(replace(event, channel_id="C01AB2"), reader.names)
        return found.channel, found.user

    assert shown() == ("C01AB2", "U02KJ")
    running = asyncio.create_task(reader.run())
    try:
        reader.glance()
        await until(lambda: not reader.names.is_wanted)
    finally:
        running.cancel()
    assert shown() == ("#releases", "@Ana L")


def test_findings_are_old_only_if_a_view_waits_for_them() -> None:
    """A view that is shown again shows what was read before, and reads again at once."""
    clock = ManualClock()
    reader = FindingsReader("", clock=clock)
    reader.keep_reading()
    reader._read_at = clock.elapsed()
    clock.advance(38)
    reader.keep_reading()
    assert (reader.age, reader.waited) == (38, 0)
    for _ in range(11):
        clock.advance(1)
        reader.keep_reading()
    assert (reader.age, reader.waited) == (49, 11)


async def test_the_findings_reader_goes_on_after_any_error(
    conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    reader = FindingsReader(conninfo)
    running = asyncio.create_task(reader.run())
    try:
        with monkeypatch.context() as broken:
            broken.setattr(trailing, "fetch_page", fail)
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


async def test_gaps_that_are_not_all_read_are_counted_with_a_plus(
    conninfo: str, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trailing, "_GAPS", 2)
    database.execute(  # a history that is being read is no problem
        "insert into slack.gap (team_id, reason, channel_id, started_at, ended_at)"
        " values ('T1', 'joined', 'C1', 'epoch', now())"
    )
    reader = FindingsReader(conninfo)
    running = asyncio.create_task(reader.run())
    try:
        for number, is_cut in ((2, False), (1, True)):
            database.execute(
                "insert into slack.gap (team_id, reason, started_at, ended_at)"
                " select 'T1', 'not connected', now(), now() from generate_series(1, %s)",
                (number,),
            )
            database.commit()
            read = reader.state.at
            reader.keep_reading()
            reader.read_now()
            await until(lambda read=read: reader.state.at != read)  # type: ignore[misc]
            assert ("gap" in reader.state.more) == is_cut
            assert len(reader.state.findings) == 2
    finally:
        running.cancel()


async def test_findings_that_cannot_be_listed_say_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> Findings:
        raise KeyError("what a user wrote")

    finder = FindingsMerger(Names())
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
        await shows(app, "not read yet, newer ones are only of this instance: connection refused")
        await pilot.press("1")
        await until(lambda: "connection refused" not in screen_text(app))
        backend.change(is_observing=True)
        await shows(app, "not read yet: connection refused")
        backend.change(stored_findings=StoredFindings(), database=DatabaseState(), rates=Rates())
        for pane in ("types", "instances", "running", "last-problems"):
            shown = app.view.query_one(f"#{pane}", Pane)
            await until(lambda shown=shown: shown.body.empty_text == ("Asking the database …",))
