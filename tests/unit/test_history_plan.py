"""The plan of a history: a channel that Slack does not serve is left out of the estimate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tiger_slack_tui.backfill.plan import make_plan
from tiger_slack_tui.base.errors import SlackUnavailable
from tiger_slack_tui.slack.web import Page

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
