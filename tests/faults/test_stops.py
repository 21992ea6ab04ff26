"""Stops wait for the database without limit in time: none is lost, though their number is bounded."""

from __future__ import annotations

import logging
import random

import pytest

from tests.faults.clock import ManualClock
from tiger_slack_tui.ingest.stops import Stop, Stops


def stop_often(stops: Stops, clock: ManualClock, times: int) -> list[Stop]:
    """Stops of 30 s, with random times between them."""
    chance, made = random.Random(1), []
    for _ in range(times):
        began = clock.elapsed()
        stops.refused()
        clock.advance(30)
        stops.accepted()
        made.append(Stop(began, clock.elapsed()))
        clock.advance(chance.uniform(10, 1000))
    return made


def test_more_stops_than_are_kept_are_merged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    clock = ManualClock()
    stops = Stops(clock, least=3)
    made = stop_often(stops, clock, 700)
    kept = stops.over()
    assert len(kept) == 500
    for stop in made:
        assert any(each.began <= stop.began and stop.ended <= each.ended for each in kept)
    added = sum(stop.ended - stop.began for stop in kept) - 700 * 30
    assert added < 200 * 400  # those nearest to each other: about a quarter of all, of 10 to 300 s
    assert [stop.began for stop in kept] == sorted(stop.began for stop in kept)
    assert "are merged" in caplog.text
    stops.forget(kept)
    assert stops.over() == []


def test_a_stop_that_is_merged_while_it_is_stored_stays() -> None:
    clock = ManualClock()
    stops = Stops(clock, least=3)
    stop_often(stops, clock, 500)
    stored = stops.over()
    (last,) = stop_often(stops, clock, 1)
    stops.forget(stored)
    assert any(stop.ended == last.ended for stop in stops.over())
    assert 1 <= len(stops.over()) <= 2
