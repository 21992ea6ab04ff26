"""Estimates, from a few pages of history, how many requests and how much time the histories of channels take."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tiger_slack_tui.backfill.window import FIRST, LOOK_BACK
from tiger_slack_tui.base.errors import SlackAbsent, SlackDenied, SlackUnavailable
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.base.times import shift
from tiger_slack_tui.imports.merge.rows import time_or_none
from tiger_slack_tui.slack.paged_history import RESTRICTED_PAGE, HistoryPace, SlackHistory
from tiger_slack_tui.slack.web import MESSAGES_PAGE, Page
from tiger_slack_tui.store.gap_progress import PendingThread
from tiger_slack_tui.store.history_plan import BegunHistory

_SAMPLES = 8
"""Most channels of which a page is read for the estimate. The first two show whether Slack restricts the app."""
_MOST_FAILURES = 2
"""So many channels that Slack does not serve are a failure of Slack. Each takes a minute."""

_NOT_ADDED = timedelta(minutes=5)
"""A shorter time after a history that goes on is not added to it; see `gaps.add_histories`."""
_SECOND = timedelta(seconds=1)

CountThreads = Callable[[ChannelId, Sequence[PendingThread]], Awaitable[int]]
"""Counts those threads of a channel that a backfill would read."""


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """What is left to read. The numbers of messages, threads and requests are estimates."""

    channels: int
    kinds: Mapping[str, int]
    """The number of channels by kind: public_channel, private_channel, im, mpim."""
    most_members: int | None
    """Members of the largest channel; None if Slack names no number."""
    not_joined: int
    """Public channels that the app is not a member of."""
    since: datetime | None
    """None for all of the history."""
    begun: int
    """Channels whose history a backfill has begun. Only the rest of it is counted."""
    read: int
    """The messages that it has read."""
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


@dataclass(frozen=True, slots=True)
class _ChannelRest:
    """What is left to read of a channel's history."""

    channel: Mapping[str, Any]
    periods: Sequence[tuple[datetime, datetime]]
    threads: int
    """Threads that were found and not read."""

    @classmethod
    def of(
        cls,
        channel: Mapping[str, Any],
        begun: Sequence[BegunHistory],
        since: datetime,
        now: datetime,
    ) -> _ChannelRest:
        """The rest of the histories that are begun, and what came after them; without one, all since `since`."""
        periods = [(_oldest(each.since), each.until) for each in begun]
        newest = max((each.planned_until for each in begun), default=since)
        if not begun or now - newest > _NOT_ADDED:
            periods.append((_oldest(newest), now))
        return cls(channel, periods, sum(each.threads for each in begun))

    @property
    def id(self) -> ChannelId:
        return ChannelId(str(self.channel.get("id")))

    @property
    def longest(self) -> tuple[datetime, datetime]:
        return max(self.periods, key=self._seconds_of)

    @property
    def seconds(self) -> float:
        """How much time is left to read, without that before the channel was created."""
        return sum(map(self._seconds_of, self.periods))

    def estimate(self, page: Page) -> float:
        """By the newest page of the longest period: how many times as much there is in all."""
        begin, end = self.longest
        times = [ts for item in page.items if (ts := time_or_none(item.get("ts"))) is not None]
        whole = self._seconds_of((begin, end))
        if not times or not (page.has_more or page.next_cursor):
            part = whole
        elif max(begin, self._created) <= FIRST:  # the channel's age is not known
            part = whole / 2
        else:
            part = min(max((end - min(times)) / _SECOND, 0.0), whole)
        return self.seconds / part if part else 1.0

    @property
    def _created(self) -> datetime:
        return created_at(self.channel) or FIRST

    def _seconds_of(self, period: tuple[datetime, datetime]) -> float:
        begin, end = period
        return max((end - max(begin, self._created)) / _SECOND, 0.0)


async def make_plan(
    slack: SlackHistory,
    own: Sequence[Mapping[str, Any]],
    listed: Sequence[Mapping[str, Any]],
    *,
    since: datetime | None,
    now: datetime,
    begun: Sequence[BegunHistory] = (),
    count_threads: CountThreads | None = None,
    pace: HistoryPace | None = None,
) -> HistoryPlan:
    """Read a page of a few channels, and estimate the rest. Raises SlackRefused.

    A channel that Slack does not serve is left out; after two of them, SlackUnavailable is raised.

    `own` are the conversations to read, `listed` all that Slack lists. `begun` are the histories that go on.
    """
    rests = [
        _ChannelRest.of(
            each, [b for b in begun if b.channel_id == each.get("id")], since or FIRST, now
        )
        for each in own
    ]
    members = {
        each.get("id"): number for each in listed if type(number := each.get("num_members")) is int
    }
    ordered = sorted(rests, key=lambda rest: -members.get(rest.id, 0))
    step = max(math.ceil(len(ordered) / _SAMPLES), 1)
    messages, threads = await _estimate(slack, ordered[::step], count_threads)
    own_ids = {each.get("id") for each in own}
    return HistoryPlan(
        channels=len(own),
        kinds=dict(Counter(map(kind_of, own))),
        most_members=max((members[i] for i in own_ids if i in members), default=None),
        not_joined=sum(each.get("id") not in own_ids and _can_join(each) for each in listed),
        since=since,
        begun=len({each.channel_id for each in begun if each.until < each.planned_until}),
        read=sum(each.read for each in begun),
        messages=round(messages * sum(rest.seconds for rest in rests)),
        threads=round(threads * sum(rest.seconds for rest in rests))
        + sum(rest.threads for rest in rests),
        is_restricted=slack.is_restricted,
        pace=pace or HistoryPace(),
    )


def _can_join(conversation: Mapping[str, Any]) -> bool:
    """Whether it is a public channel that the app is not a member of."""
    return (
        kind_of(conversation) == "public_channel"
        and not conversation.get("is_member")
        and not conversation.get("is_archived")
    )


async def _estimate(
    slack: SlackHistory, samples: Sequence[_ChannelRest], count_threads: CountThreads | None
) -> tuple[float, float]:
    """About how many messages and threads a second has that is left to read. Raises as `make_plan`."""
    seconds, messages, threads, failures = 0.0, 0.0, 0.0, 0
    for rest in samples:
        try:
            page = await slack.history_page(rest.id, *rest.longest)
        except (SlackAbsent, SlackDenied):
            continue
        except SlackUnavailable:  # perhaps of this channel alone
            failures += 1
            if failures == _MOST_FAILURES:
                raise
            continue
        found = list(_threads(page.items))
        replied = await count_threads(rest.id, found) if count_threads else len(found)
        times = rest.estimate(page)
        seconds += rest.seconds
        messages += len(page.items) * times
        threads += replied * times
        if slack.is_restricted:
            break
    return (messages / seconds, threads / seconds) if seconds else (0.0, 0.0)


def _oldest(since: datetime) -> datetime:
    """From when on a backfill reads that begins there."""
    return max(shift(since, -LOOK_BACK), FIRST)


def _threads(items: Iterable[Mapping[str, Any]]) -> Iterable[PendingThread]:
    """The threads whose parents are among the messages."""
    for item in items:
        ts, count = time_or_none(item.get("ts")), item.get("reply_count")
        if ts is not None and type(count) is int and 0 < count < 1 << 31:
            yield PendingThread(ts, count, time_or_none(item.get("latest_reply")))
