"""Stalled periods wait for the database for any time. None is lost, though their number is bounded."""

from __future__ import annotations

import logging
import random

import pytest

from tests.faults.clock import ManualClock
from tiger_slack_tui.base.periods import StalledPeriod
from tiger_slack_tui.ingest.stalls import StallDetector


def stall_often(detector: StallDetector, clock: ManualClock, times: int) -> list[StalledPeriod]:
    """Stalls of 30 s, with random times between them."""
    chance, made = random.Random(1), []
    for _ in range(times):
        began = clock.elapsed()
        detector.on_refused()
        clock.advance(30)
        detector.on_accepted()
        made.append(StalledPeriod(began, clock.elapsed()))
        clock.advance(chance.uniform(10, 1000))
    return made


def test_more_stalls_than_are_kept_are_merged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    clock = ManualClock()
    detector = StallDetector(clock, least=3)
    made = stall_often(detector, clock, 700)
    kept = detector.periods.all()
    assert len(kept) == 500
    for stall in made:
        assert any(each.began <= stall.began and stall.ended <= each.ended for each in kept)
    added = sum(stall.ended - stall.began for stall in kept) - 700 * 30
    assert added < 200 * 400  # those nearest to each other: about a quarter of all, of 10 to 300 s
    assert [stall.began for stall in kept] == sorted(stall.began for stall in kept)
    assert "are merged" in caplog.text
    detector.periods.forget(kept)
    assert detector.periods.all() == []


def test_a_stall_that_is_merged_while_it_is_stored_stays() -> None:
    clock = ManualClock()
    detector = StallDetector(clock, least=3)
    stall_often(detector, clock, 500)
    stored = detector.periods.all()
    (last,) = stall_often(detector, clock, 1)
    detector.periods.forget(stored)
    assert any(stall.ended == last.ended for stall in detector.periods.all())
    assert 1 <= len(detector.periods.all()) <= 2
