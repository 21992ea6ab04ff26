"""Rates, exports, questions, and the form of an import: what the console computes and writes."""

from __future__ import annotations

import csv
import errno
import json
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.console.canned import (
    NOW,
    CannedBackend,
    database_state,
    instance,
    screen_text,
    shows,
    snapshot,
)
from tests.console.test_keys import console
from tests.console.test_triage import FINDINGS
from tests.faults.clock import ManualClock
from tests.support import until
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.name_patterns import NamePatterns
from tiger_slack_tui.console.actions import CONFIRM_KEY
from tiger_slack_tui.console.model.findings import StoredFindings
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.rates import ObservedRates, RateMeter
from tiger_slack_tui.console.panes.chrome import farewell
from tiger_slack_tui.console.panes.export import FileRefused, write_lines, write_rows
from tiger_slack_tui.console.panes.exported_rows import AllRows
from tiger_slack_tui.console.panes.pane import Pane
from tiger_slack_tui.console.screens.dialog import Confirm
from tiger_slack_tui.store.arrivals import Arrivals


def test_the_last_line_tells_what_became_of_the_events() -> None:
    now = replace(snapshot(), received=7, acked=7)
    outcomes = {("message", "stored"): 3, ("team_join", "audit"): 1}
    text = farewell(replace(now, outcomes=outcomes), Path("/log"))
    assert text == "Stopped. 4 events stored, none lost. Log: /log"
    outcomes |= {("message", "failed"): 2, ("message", "discarded"): 1}
    text = farewell(replace(now, outcomes=outcomes), None)
    assert text == "Stopped. 7 events kept, none lost: 4 stored, 1 discarded, 2 failed."


def test_rates_survive_a_clock_that_is_set() -> None:
    clock, meter = ManualClock(), RateMeter()
    for second in range(60):
        if second == 20:
            clock.step(-3600)
        if second == 40:
            clock.step(86_400)
        meter.add(clock.elapsed(), second * 10, {("message", "stored"): second * 10})
        clock.advance(1)
    found = meter.rates()
    assert set(found.seconds) == {10.0}
    assert found.now == 10.0
    assert found.by_type[0].per_second == pytest.approx(10.0)


@pytest.mark.parametrize("pause", [0.25, 0.5, 0.55, 1.0, 2.0])
def test_the_last_minute_is_a_minute_at_every_pause_between_samples(pause: float) -> None:
    clock, meter = ManualClock(), RateMeter()
    for number in range(int(150 / pause)):
        received = int(number * pause * 20)
        meter.add(clock.elapsed(), received, {("message", "stored"): received})
        clock.advance(pause)
    [found] = meter.rates().by_type
    assert found.of_minute == pytest.approx(1200, abs=pause * 20 + 1)
    assert found.per_second == pytest.approx(20, abs=1)


def test_the_minute_of_an_observer_ends_where_its_rate_ends() -> None:
    rates = ObservedRates()
    counts = {(second, "message", "stored"): 20 for second in range(1000, 1100)}
    rates.add(Arrivals(now=1100, since=1000, counts=counts))
    [found] = rates.rates().by_type
    assert (found.of_minute, found.per_second) == (1200, 20)


def test_an_instance_whose_heartbeat_is_missing_counts_no_more(tmp_path: Path) -> None:
    """Long before it is declared lost: it may have been killed."""

    def observed(*ages: float) -> Model:
        rows = tuple(instance(f"x@host:{n}", seen_age=age) for n, age in enumerate(ages))
        known = replace(database_state(), instances=rows)
        return replace(CannedBackend(tmp_path).model, is_observing=True, database=known)

    assert observed(1, 6).instances_counted == "2 instances"
    assert observed(1, 9, 400).instances_counted == "1 of 3 instances"
    assert not observed(1, 9).is_silent
    assert observed(9, 400).is_silent
    assert observed(9, 400).seen_ago == "as of 9 s ago"
    assert observed(9, 400).silent_for == "silent for 9 s"
    assert not observed(9, 400).database.instances[0].is_lost


async def _lines(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def test_exports_are_for_their_owner_alone_and_replace_nothing(tmp_path: Path) -> None:
    path, link = tmp_path / "findings.txt", tmp_path / "link.txt"
    link.symlink_to(tmp_path / "target")
    await write_lines(path, _lines("text", "日\ud800"))
    assert path.read_text() == "text\n日?\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for taken in (path, link):
        with pytest.raises(TigerSlackError, match="exists already"):
            await write_lines(taken, _lines("other"))
    assert path.read_text() == "text\n日?\n"
    with pytest.raises(TigerSlackError, match="No such file"):
        await write_lines(tmp_path / "none" / "x.txt", _lines("text"))


async def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[str]:
        yield "text"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(TigerSlackError, match="No space left"):
        await write_lines(tmp_path / "findings.txt", failing())
    assert not list(tmp_path.iterdir())


async def test_a_pane_is_written_as_the_suffix_says(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, backend):
        backend.change(stored_findings=StoredFindings(FINDINGS, NOW))
        await pilot.press("3")
        await shows(app, "#ops")
        pane = app.view.query_one("#findings", Pane)

        async def read() -> AllRows[object]:
            return AllRows(pane.rows, True)

        async def not_read() -> AllRows[object]:
            raise AssertionError

        for suffix in ("txt", "csv", "json"):
            await write_rows(tmp_path / f"found.{suffix}", pane, read)
        with pytest.raises(FileRefused, match=r"must end in \.txt, \.csv or \.json"):
            await write_rows(tmp_path / "found.xlsx", pane, not_read)
        with pytest.raises(FileRefused, match="exists already"):
            await write_rows(tmp_path / "found.txt", pane, not_read)
    text = (tmp_path / "found.txt").read_text().splitlines()
    rows = list(csv.DictReader((tmp_path / "found.csv").open()))
    objects = json.loads((tmp_path / "found.json").read_text())
    assert len(text) == len(rows) + 1 == len(objects) + 1
    assert all(line == line.strip() for line in text)
    by_channel = {row["channel"]: row["channel_id"] for row in rows}
    assert by_channel["#ops"] == "C04QX8"
    assert objects[0]["event_id"] == rows[0]["event_id"]


async def test_a_key_that_is_held_down_confirms_nothing(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, backend):
        backend.engine = SimpleNamespace(stop=lambda: None)  # type: ignore[assignment]
        backend.change(stored_findings=StoredFindings(FINDINGS, NOW, None))
        for view, key in (("2", "R"), ("3", "R"), ("3", "F")):
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
        await shows(app, "▸ Cancel (Esc)    Migrate (y)")
        assert "file 59" not in screen_text(app)
        await pilot.press(*["pagedown"] * 12)
        await shows(app, "file 59")
        assert "▸ Cancel (Esc)    Migrate (y)" in screen_text(app)


async def test_leaving_is_asked_in_words_that_cannot_be_mistaken(tmp_path: Path) -> None:
    async with console(tmp_path) as (app, pilot, _):
        await pilot.press("q")
        await shows(app, "▸ Cancel (Esc)    Quit (y)")


def test_the_form_selects_what_the_import_selects() -> None:
    apart, whole = "cafe\u0301", "caf\u00e9"
    assert NamePatterns([f"#{apart}"]).match(whole)
    assert NamePatterns([whole]).match(apart, "C1")
    assert NamePatterns(["a[*]b"]).match("a*b")
    assert not NamePatterns(["a[*]b"]).match("axb")
    assert NamePatterns(["C0*"]).match("general", "C01")
    assert not NamePatterns([]).match("general")
