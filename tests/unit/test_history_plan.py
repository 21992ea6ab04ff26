"""The plan of a history: what is left to read is estimated, whatever is read already, and whatever Slack serves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tiger_slack_tui.backfill.plan import make_plan
from tiger_slack_tui.base.errors import SlackUnavailable
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.slack.web import Page
from tiger_slack_tui.store.history_plan import BegunHistory

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class History:
    """Each channel has 10 messages; Slack does not serve some of the channels."""

    is_restricted = False

    def __init__(self, *failing: str) -> None:
        self._failing = failing

    async def history_page(self, channel: str, *_: Any) -> Page:
        if channel in self._failing:
            raise SlackUnavailable("Slack could not serve it")
        return Page([{"ts": f"{NOW.timestamp() - n:.6f}"} for n in range(10)], None)


async def plan(*failing: str) -> Any:
    history: Any = History(*failing)
    own = [{"id": f"C{n}", "is_member": True} for n in range(3)]
    return await make_plan(history, own, own, since=None, now=NOW)


async def test_one_channel_that_fails_is_left_out() -> None:
    assert (await plan()).messages == (await plan("C1")).messages == 30


async def test_two_are_a_failure_of_slack() -> None:
    with pytest.raises(SlackUnavailable):
        await plan("C1", "C2")


class Hourly:
    """Each channel has one message an hour, for a thousand days. Every tenth has a reply."""

    is_restricted = False

    async def history_page(self, _: str, oldest: datetime, latest: datetime) -> Page:
        newest = int(latest.timestamp()) // 3600
        first = max(int(oldest.timestamp()), int(CREATED.timestamp())) // 3600
        times = range(newest, max(first, newest - 200), -1)
        items = [{"ts": f"{3600 * n}.000000", "reply_count": int(n % 10 == 0)} for n in times]
        return Page(items, None, has_more=first < newest - 200)


CREATED = NOW - timedelta(days=1000)
EPOCH = datetime.fromtimestamp(0, UTC)


def begun(channel: str, left: int, threads: int, *, days_ago: float = 0) -> BegunHistory:
    """A history of which so many days are left, and which was begun then."""
    planned_until = NOW - timedelta(days=days_ago)
    until = CREATED + timedelta(days=left)
    return BegunHistory(ChannelId(channel), EPOCH, until, planned_until, threads, read=5000)


@pytest.mark.parametrize(
    ("since", "histories", "messages", "threads"),
    [
        (None, (), 48_000, 4800),
        (NOW - timedelta(days=27), (), 1440, 144),  # and three days before
        (None, (begun("C0", 100, 7), begun("C1", 200, 0)), 7200, 727),
        (None, (begun("C0", 100, 0),), 26_400, 2640),  # the other channel is whole
        (None, (begun("C0", 100, 0, days_ago=7), begun("C1", 10, 0)), 2880, 288),
    ],
)
async def test_only_what_is_left_is_planned(
    since: datetime | None, histories: tuple[BegunHistory, ...], messages: int, threads: int
) -> None:
    slack: Any = Hourly()
    own = [{"id": f"C{n}", "created": int(CREATED.timestamp())} for n in range(2)]
    found = await make_plan(slack, own, own, since=since, now=NOW, begun=histories)
    assert found.messages == pytest.approx(messages, rel=0.02)
    assert found.threads == pytest.approx(threads, rel=0.1)
    assert (found.begun, found.read) == (len(histories), 5000 * len(histories))


async def test_threads_that_have_not_grown_are_not_planned() -> None:
    async def count(*_: Any) -> int:
        return 0

    slack: Any = Hourly()
    own = [{"id": "C0", "created": int(CREATED.timestamp())}]
    found = await make_plan(slack, own, own, since=None, now=NOW, count_threads=count)
    assert (found.threads, found.calls) == (0, 1 + found.messages // 200)
