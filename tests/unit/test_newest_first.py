"""The order and the progress of histories: the sums are those of all histories, however they change."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from tiger_slack_tui.backfill.newest_first import NewestFirst, OwedHistory


@dataclass
class Account:
    read: int = 0


@dataclass
class State:
    is_done: bool = False
    reached: float = 0.0
    threads: int = 0
    account: Account = field(default_factory=Account)


class Reader:
    """A channel of which a share is read with each page."""

    def __init__(self) -> None:
        self.state = State()
        self.window = self
        self.threads_left = 0

    @property
    def position(self) -> datetime:
        return datetime.fromtimestamp(2e9 * (1 - self.state.reached), UTC)

    def share(self, reached: float, created: object) -> float:
        return reached


def history(number: int) -> OwedHistory:
    gap: Any = type("Gap", (), {"id": number, "channel_id": f"C{number // 2}"})()
    reader: Any = Reader()
    return OwedHistory(gap, reader, None)


def expected_share(all_: list[OwedHistory]) -> float:
    known = [in_all[1] for each in all_ if (in_all := each.calls()) is not None]
    if all(each.is_done for each in all_):
        return 1.0
    average = sum(known) / len(known) if known else 1.0
    whole = sum(known) + average * (len(all_) - len(known))
    calls = sum(calls[0] for each in all_ if (calls := each.calls()) is not None)
    return min(calls / whole, 0.99)


def test_the_sums_are_those_of_all_histories() -> None:
    chance, order = random.Random(1), NewestFirst()
    all_ = [history(n) for n in range(20)]
    for each in all_:
        order.add(each)
    assert (order.share(), order.done, len(order)) == (0.0, 0, 20)
    assert (order.channels_done, order.channels) == (0, 10)  # each has two
    positions = []
    while (taken := order.take()) is not None:
        positions.append(taken.position)
        state = cast(Any, taken.reader).state
        state.account.read += chance.randint(1, 200)
        state.reached = min(state.reached + chance.random() / 3, 1.0)
        reader: Any = taken.reader
        reader.threads_left = chance.randint(0, 3)
        state.is_done = state.reached == 1.0 and not reader.threads_left
        if state.is_done:
            order.end(taken)
        else:
            order.put_back(taken)
        assert order.share() == pytest.approx(expected_share(all_))
        assert order.done == sum(each.is_done for each in all_)
        both = zip(all_[::2], all_[1::2], strict=True)
        assert order.channels_done == sum(one.is_done and other.is_done for one, other in both)
    assert positions == sorted(positions, reverse=True)
    assert (order.share(), order.done) == (pytest.approx(1.0), 20)
