"""Estimates, from a few pages of history, how many requests and how much time the histories of channels take."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tiger_slack_tui.backfill.window import FIRST
from tiger_slack_tui.base.errors import SlackAbsent, SlackScopeMissing, SlackUnavailable
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.imports.merge.rows import time_or_none
from tiger_slack_tui.slack.paged_history import RESTRICTED_PAGE, HistoryPace, SlackHistory
from tiger_slack_tui.slack.web import MESSAGES_PAGE, Page

_SAMPLES = 8
"""Most channels of which a page is read for the estimate. The first two show whether Slack restricts the app."""
_MOST_FAILURES = 2
"""So many channels that Slack does not serve are a failure of Slack. Each takes a minute."""


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """What there is to read. The numbers of messages, threads and requests are estimates."""

    channels: int
    kinds: Mapping[str, int]
    """The number of channels by kind: public_channel, private_channel, im, mpim."""
    most_members: int | None
    """Members of the largest channel; None if Slack names no number."""
    not_joined: int
    """Public channels that the app is not a member of."""
    since: datetime | None
    """None for all of the history."""
    messages: int
    threads: int
    is_restricted: bool
    pace: HistoryPace

    @property
    def calls(self) -> int:
        """Requests: pages of messages, and at least one for each thread and channel."""
        size = RESTRICTED_PAGE if self.is_restricted else MESSAGES_PAGE
        return self.channels + self.messages // size + self.threads

    @property
    def time(self) -> timedelta:
        """How long the requests take. Slack counts those for messages and for replies separately."""
        pause = self.pace.restricted if self.is_restricted else self.pace.call
        if self.is_restricted:
            return timedelta(seconds=pause * max(self.calls - self.threads, self.threads))
        return timedelta(seconds=pause * self.calls)


def kind_of(conversation: Mapping[str, Any]) -> str:
    """The kind of a conversation, as in `CONVERSATION_TYPES`."""
    for flag, kind in (("is_im", "im"), ("is_mpim", "mpim"), ("is_private", "private_channel")):
        if conversation.get(flag):
            return kind
    return "public_channel"


def created_at(conversation: Mapping[str, Any]) -> datetime | None:
    """When the conversation was created; None if Slack does not say."""
    created = conversation.get("created")
    if type(created) is not int or not 0 < created < 1 << 37:
        return None
    return datetime.fromtimestamp(created, UTC)


async def make_plan(
    slack: SlackHistory,
    own: Sequence[Mapping[str, Any]],
    listed: Sequence[Mapping[str, Any]],
    *,
    since: datetime | None,
    now: datetime,
    pace: HistoryPace | None = None,
) -> HistoryPlan:
    """Read a page of a few channels, and estimate the rest. Raises SlackRefused.

    A channel that Slack does not serve is left out; after two of them, SlackUnavailable is raised.

    `own` are the conversations to read, `listed` all that Slack lists.
    """
    members = {
        each.get("id"): number for each in listed if type(number := each.get("num_members")) is int
    }
    ordered = sorted(own, key=lambda each: -members.get(each.get("id"), 0))
    step = max(math.ceil(len(ordered) / _SAMPLES), 1)
    samples = await _read_samples(slack, ordered[::step], since or FIRST, now)
    own_ids = {each.get("id") for each in own}
    return HistoryPlan(
        channels=len(own),
        kinds=dict(Counter(map(kind_of, own))),
        most_members=max((members[i] for i in own_ids if i in members), default=None),
        not_joined=sum(
            kind_of(each) == "public_channel"
            and not each.get("is_member")
            and not each.get("is_archived")
            and each.get("id") not in own_ids
            for each in listed
        ),
        since=since,
        messages=round(_mean([messages for messages, _ in samples]) * len(own)),
        threads=round(_mean([threads for _, threads in samples]) * len(own)),
        is_restricted=slack.is_restricted,
        pace=pace or HistoryPace(),
    )


async def _read_samples(
    slack: SlackHistory, channels: Sequence[Mapping[str, Any]], since: datetime, now: datetime
) -> list[tuple[float, float]]:
    """About how many messages and threads the channels have that Slack serves. Raises as `make_plan`."""
    samples, failures = [], 0
    for each in channels:
        try:
            page = await slack.history_page(ChannelId(str(each.get("id"))), since, now)
        except (SlackAbsent, SlackScopeMissing):
            continue
        except SlackUnavailable:  # perhaps of this channel alone
            failures += 1
            if failures == _MOST_FAILURES:
                raise
            continue
        samples.append(_estimate(page, max(since, created_at(each) or FIRST), now))
        if slack.is_restricted:
            break
    return samples


def _estimate(page: Page, begin: datetime, now: datetime) -> tuple[float, float]:
    """About how many messages and threads a channel has, by its newest page."""
    times = [ts for item in page.items if (ts := time_or_none(item.get("ts"))) is not None]
    replied = sum(bool(item.get("reply_count")) for item in page.items)
    if not times or not (page.has_more or page.next_cursor):
        return len(times), replied
    span = (now - min(times)) / timedelta(seconds=1)
    whole = max((now - max(begin, FIRST)) / timedelta(seconds=1), span)
    if begin <= FIRST or span <= 0:  # the channel's age is not known
        return 2 * len(times), 2 * replied
    return len(times) * whole / span, replied * whole / span


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
