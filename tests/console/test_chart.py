"""The chart shows its range and no more, and its peak is the highest of its columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.console.canned import NOW, CannedBackend, event_counts, shows
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.model.event_counts import DAY, PARTS, EventCounts
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.rates import Rates
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.panes.event_chart import EventChart

WINDOWS = (60, 120, 300, 900, *PARTS)


def model(home: Path, window: int, spikes: dict[int, float], ago: int = 0) -> Model:
    """20 events/s, and these rates so many seconds ago. Everything was `ago` seconds earlier."""
    at = NOW - ago
    part = PARTS.get(window, 1)
    end = (int(at) // part + 1) * part
    rates = [20.0] * (2 * window // part)
    for seconds, rate in spikes.items():
        rates[-1 - (seconds - ago) // part] = rate
    known = replace(CannedBackend(home).model, at=at, window=window)
    if window in PARTS:
        return replace(known, event_counts=EventCounts(window, part, end, tuple(rates)))
    return replace(known, rates=Rates(20.0, tuple(rates), int(at) - 1))


@pytest.mark.parametrize("width", [30, 61, 80, 100, 153, 160, 400])
def test_the_chart_shows_its_range_whatever_its_width(tmp_path: Path, width: int) -> None:
    for window in WINDOWS:
        part = PARTS.get(window, 1)
        chart = EventChart.of(model(tmp_path, window, {window + part: 9000.0}), width)
        end = chart.begin + len(chart.values) * chart.seconds
        room = width - 7
        assert len(chart.values) == room
        assert len(chart.values) * chart.seconds == pytest.approx(window)
        assert NOW - window - part <= chart.begin
        assert NOW <= end <= NOW + part + chart.seconds
        assert chart.peak == 20.0, "a rate from before the range"
        spike = EventChart.of(model(tmp_path, window, {window // 3: 9000.0}), width)
        assert spike.peak == max(value or 0.0 for value in spike.values) > 20.0
        assert abs(spike.peak_at - (NOW - window // 3)) <= chart.seconds + part
        top = spike.lines(4)[0].plain.partition("│")[0]
        assert 1 <= float(top.replace(",", "")) / spike.peak <= 2, "the scale"


def test_a_column_keeps_its_value_while_it_moves(tmp_path: Path) -> None:
    """Otherwise the chart flickers."""
    earlier, later = (EventChart.of(model(tmp_path, 120, {44: 9000.0}, ago), 80) for ago in (5, 0))
    assert earlier.peak == later.peak
    assert abs(earlier.peak_at - later.peak_at) < 1


def test_time_without_figures_is_marked(tmp_path: Path) -> None:
    known = CannedBackend(tmp_path).model
    young = replace(known, window=120, rates=Rates(20.0, (20.0,) * 30, int(NOW)))
    assert EventChart.of(young, 127).lines(3)[-2].plain.count("·") == 90
    unread = replace(known, window=90 * DAY)
    assert EventChart.of(unread, 127).lines(3)[-2].plain.count("·") == 120


def test_the_axis_ends_with_now_only_if_the_figures_are_of_now(tmp_path: Path) -> None:
    def ends(known: Model) -> str:
        return EventChart.of(known, 80).lines(3)[-1].plain[-9:]

    now, day = model(tmp_path, 120, {}), model(tmp_path, DAY, {})
    state = replace(now.database, at=NOW - 100, problem="refused the connection")
    seen = f" {datetime.fromtimestamp(NOW - 100, UTC):%H:%M:%S}"
    assert ends(now).endswith("─ now")
    assert ends(replace(now, database=state)).endswith("─ now")  # the engine's own figures
    assert ends(replace(now, is_observing=True, database=state)) == seen
    assert ends(day).endswith("─ now")
    assert day.event_counts is not None
    failed = replace(day, event_counts=replace(day.event_counts, problem="refused the connection"))
    last = f"{datetime.fromtimestamp(day.event_counts.end, UTC):%H:%M}"
    assert ends(failed).endswith(f"─ {last}")
    assert ends(replace(day, at=NOW + 3600)).endswith(f"─ {last}")


async def test_a_peak_that_can_be_less_than_now_is_called_a_mean(tmp_path: Path) -> None:
    backend = CannedBackend(tmp_path)
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(app, "now 412.4 · peak 564 · 2 min")
        await pilot.press("right_square_bracket", "right_square_bracket")
        await shows(app, "(mean of 12 s) · 15 min")
        backend.change(window=DAY, event_counts=event_counts())
        await shows(app, "── peak 101 (mean of 19 min) · 1 d")
