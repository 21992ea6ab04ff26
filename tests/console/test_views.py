"""Every view as a picture, in both sizes, and in the states that it can be in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.console.canned import (
    NOW,
    CannedBackend,
    database_state,
    event_counts,
    log_ring,
    several_instances,
    shows,
    snapshot,
)
from tests.console.conftest import SIZES, Golden, Pictures
from tests.console.test_events_view import ROWS, CannedAudit, console
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.model.database_state import DatabaseState
from tiger_slack_tui.console.model.event_counts import DAY
from tiger_slack_tui.console.model.findings import StoredFindings
from tiger_slack_tui.console.model.log_ring import LogLine
from tiger_slack_tui.console.model.rates import Rates
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.panes.pane_fields import ExportField
from tiger_slack_tui.console.views.log import paint_line

STATES = {
    "well": {},
    "starting": {
        "database": DatabaseState(),
        "rates": Rates(),
        "engine": replace(snapshot(), slack_status="starting", received=0, acked=0, problems=(), ack_by_type={}),
    },
    "database-away": {
        "database": replace(database_state(), problem="connection refused", problem_since=NOW - 14, at=NOW - 14),
        "engine": replace(
            snapshot(), database_problem="connection refused", database_since=NOW - 14,
            spool_events=5768, spool_oldest=NOW - 14,
        ),
    },
    "spool-full": {
        "engine": replace(
            snapshot(), database_problem="connection refused", spool_problem="the spool is full",
            spool_events=88_204, spool_oldest=NOW - 4000, queue=2000,
        ),
    },
    "several": {"database": replace(database_state(), instances=several_instances())},
    "observing": {
        "engine": None,
        "is_observing": True,
        "stored_findings": StoredFindings(at=NOW),
        "database": replace(database_state(), instances=several_instances()),
    },
    "observing-killed": {
        "engine": None,
        "is_observing": True,
        "stored_findings": StoredFindings(at=NOW),
        "database": replace(
            database_state(), instances=several_instances(),
            problem="connection refused", problem_since=NOW - 12, at=NOW - 14,
        ),
    },
    "observing-lost": {
        "engine": None,
        "is_observing": True,
        "stored_findings": StoredFindings(at=NOW),
        "database": replace(
            database_state(),
            instances=(
                replace(several_instances()[0], seen_age=340.0),
                replace(several_instances()[1], seen_age=14.0),
            ),
        ),
    },
    "day": {"window": DAY, "event_counts": event_counts()},
    "slack-away": {
        "engine": replace(
            snapshot(), slack_status="held back", slack_since=NOW - 200,
            slack_reason="Socket Mode was switched off (link_disabled)", slack_connections=0,
        ),
    },
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
async def test_overview(tmp_path: Path, pictures: Pictures, state: str) -> None:
    app = ConsoleApp(CannedBackend(tmp_path, **STATES[state]), ConsoleOptions())
    async with app.run_test(size=SIZES[0]) as pilot:
        await pictures(f"overview-{state}", app, pilot)


@pytest.mark.parametrize(("key", "name"), [("2", "jobs"), ("5", "log")])
async def test_view(tmp_path: Path, pictures: Pictures, key: str, name: str) -> None:
    app = ConsoleApp(CannedBackend(tmp_path, log=log_ring().lines()), ConsoleOptions())
    async with app.run_test(size=SIZES[0]) as pilot:
        await pilot.press(key)
        await pictures(f"{name}-well", app, pilot)


def test_a_long_name_in_the_log_has_a_blank_behind_it() -> None:
    row = LogLine(1, NOW, 20, "tiger_slack_tui.ingest.database_writer", "the database takes events")
    assert "database_w… the database" in paint_line(row, 80).plain


@pytest.mark.parametrize("state", ["well", "database-away", "observing-lost"])
async def test_a_small_terminal_has_the_state_in_words(
    tmp_path: Path, golden: Golden, state: str
) -> None:
    app = ConsoleApp(CannedBackend(tmp_path, **STATES[state]), ConsoleOptions())
    async with app.run_test(size=(58, 14)):
        await golden(f"overview-{state}-58x14", app)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("quit", "1q"),
        ("replay", "7R"),
        ("help", "6?"),
        ("palette", "2:"),
        ("export-field", "2e"),
    ],
)
async def test_what_lies_above_a_view(
    tmp_path: Path, golden: Golden, size: tuple[int, int], name: str, keys: str
) -> None:
    app = console(tmp_path, CannedAudit(ROWS))
    async with app.run_test(size=size) as pilot:
        await pilot.press(keys[0])
        if name == "replay":
            await shows(app, "stored     message")
        await pilot.press(keys[1])
        if name == "export-field":  # the proposed path has the time in it
            app.query_one(ExportField).value = "/srv/exports/job-list-20260920-140731.txt"
        await golden(f"{name}-{size[0]}x{size[1]}", app)
