"""Pauses, logs and memory do not grow with the length of an outage of Slack."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.clock import ManualClock
from tests.faults.sockets import listening
from tests.support import until
from tiger_slack_tui.base.backoff import LogThrottle, backoff
from tiger_slack_tui.base.errors import SlackRefused, SlackUnavailable
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.slack.socket_connection import SocketState, SocketTiming
from tiger_slack_tui.slack.web import SlackWeb

FAILURES = 100_000


@given(
    st.integers(0, sys.maxsize) | st.integers(0, 10**400), st.floats(0.01, 60), st.floats(1, 3600)
)
def test_a_pause_is_bounded_after_any_number_of_failures(
    failures: int, first: float, most: float
) -> None:
    assert min(first, most) / 2 <= backoff(failures, first=first, most=most) <= most


def test_pauses_grow_and_differ() -> None:
    assert [backoff(n, first=1, most=100) <= 2 ** (n - 1) for n in range(1, 7)] == [True] * 6
    assert [backoff(n, first=1, most=100) >= 2 ** (n - 2) for n in range(1, 7)] == [True] * 6
    assert len({backoff(5, first=1, most=100) for _ in range(20)}) > 10


def test_a_month_of_failures_is_a_few_lines() -> None:
    clock, lines = ManualClock(), 0
    throttle = LogThrottle(clock)
    for _ in range(30 * 86_400 // 30):
        lines += throttle.allows()
        clock.advance(30)
    assert 700 < lines < 760
    throttle.reset()
    assert throttle.allows()


class Away(SlackWeb):
    """A Slack that does not answer the first FAILURES times, without the network."""

    calls = 0
    failure: Callable[[], Exception] = staticmethod(lambda: SlackUnavailable("not reached"))

    async def open_connection(self) -> str:
        type(self).calls += 1
        if self.calls <= FAILURES:
            raise self.failure()
        return await super().open_connection()


class Pauses:
    """Moves the clock instead of waiting."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.longest = 0.0
        self.number = 0

    async def __call__(self, seconds: float) -> None:
        self.number += 1
        self.longest = max(self.longest, seconds)
        self.clock.advance(seconds)
        if self.number % 1000 == 0:
            await asyncio.sleep(0)


async def test_a_hundred_thousand_failed_connects_cost_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Away, "calls", 0)
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    sleep = Pauses(clock)
    timing = SocketTiming(ping=3600)
    async with LocalSlack() as slack:
        async with listening(slack, timing=timing, clock=clock, sleep=sleep, web=Away) as found:
            await until(lambda: Away.calls > 1000)
            gc.collect()
            before, tasks = len(gc.get_objects()), len(asyncio.all_tasks())
            await until(lambda: Away.calls > FAILURES // 2)
            gc.collect()
            assert found.socket.state.status in ("backing off", "connecting")
            assert "not reached" in str(found.socket.state.reason)
            assert len(gc.get_objects()) - before < 20_000  # the captured log
            assert len(asyncio.all_tasks()) == tasks
            assert Away.calls < FAILURES
            await until(lambda: found.socket.state.status == "connected")
        days = (clock.elapsed() - 1000) / 86_400
        assert days > 20
        assert sleep.longest <= timing.backoff_most
        assert len(caplog.records) < days * 24 + 30
        assert len(found.socket.state.connected_periods) == 1


async def test_a_token_that_is_refused_for_months_is_tried_at_least_each_ten_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Away, "failure", lambda _: SlackRefused("Slack refused it: token_revoked"))
    monkeypatch.setattr(Away, "calls", FAILURES)  # the first one succeeds
    clock = ManualClock()
    sleep = Pauses(clock)
    timing = SocketTiming(ping=3600)
    async with (
        LocalSlack() as slack,
        listening(slack, timing=timing, clock=clock, sleep=sleep, web=Away) as found,
    ):
        await until(lambda: found.socket.state.status == "connected")
        Away.calls = FAILURES - 5000
        await slack.drop()
        await until(lambda: found.socket.state.connects == 2)
        assert sleep.number >= 5000
        assert timing.blocked_most / 2 <= sleep.longest <= timing.blocked_most


@pytest.mark.parametrize("asked", [601, 999_999, 1e9])
async def test_slack_cannot_ask_for_more_than_ten_minutes(
    asked: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        Away, "failure", lambda _: SlackUnavailable("ratelimited", retry_after=asked)
    )
    monkeypatch.setattr(Away, "calls", FAILURES - 1)
    pauses, reasons = [], []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        reasons.append((found.socket.state.status, found.socket.state.reason))

    async with LocalSlack() as slack, listening(slack, sleep=sleep, web=Away) as found:
        await until(lambda: found.socket.state.status == "connected")
    said = f"ratelimited; Slack asks to wait {asked:.0f} s, the next try is in 600 s"
    assert (pauses, reasons) == ([600], [("backing off", said)])
    assert said in caplog.text


async def test_a_short_wait_that_slack_asks_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Away, "failure", lambda _: SlackUnavailable("ratelimited", retry_after=90))
    monkeypatch.setattr(Away, "calls", FAILURES - 1)
    pauses = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with LocalSlack() as slack, listening(slack, sleep=sleep, web=Away) as found:
        await until(lambda: found.socket.state.status == "connected")
    assert pauses == [90]


STEADY = SocketTiming(ping=0.1, dead=1e9, pong=1e9, silence=1e9, hello=5)
"""A connection that lives through any jump of a clock."""


async def flap(slack: LocalSlack, state: SocketState) -> None:
    """The connection brings an event and ends."""
    number = state.connects
    payload = {"event_id": f"Ev{number}", "event": {"type": "star_added", "event_ts": "1.0"}}
    await slack.send(payload)
    await slack.wait_acked()
    await slack.drop()
    await until(lambda: state.connects == number + 1)


async def test_connections_that_end_after_one_event_are_retried_with_backoff() -> None:
    clock, pauses = ManualClock(), []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with (
        LocalSlack() as slack,
        listening(slack, timing=STEADY, clock=clock, sleep=sleep) as found,
    ):
        state = found.socket.state
        await until(lambda: state.connects == 1)
        for _ in range(8):
            await flap(slack, state)
        bounds = [min(2.0**n, 30) for n in range(8)]
        assert len(pauses) == 8
        assert all(most / 2 <= pause <= most for pause, most in zip(pauses, bounds, strict=True))
        # One that lives for an hour ends the series: Slack's routine refresh is followed at once.
        clock.advance(3600)
        await slack.refresh()
        await until(lambda: state.connects == 10)
        assert len(pauses) == 8
        await flap(slack, state)
        assert pauses[8] <= 1
        # One that brought much was of use, however soon Slack replaces it.
        for number in range(STEADY.proven_events):
            event = {"type": "star_added", "event_ts": "1.0"}
            await slack.send({"event_id": f"Many{number}", "event": event})
        await slack.flush()
        await slack.wait_acked()
        connects = state.connects
        await slack.refresh()
        await until(lambda: state.connects == connects + 1)
        assert len(pauses) == 9
