"""The order in which the histories of channels are read: the newest messages of all channels first."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from tiger_slack_tui.backfill.channel_reader import ChannelReader
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.slack.ts import to_micros
from tiger_slack_tui.slack.web import MESSAGES_PAGE
from tiger_slack_tui.store.gaps import Gap

_NOT_ALL = 0.99
"""The most that is said to be read before all is."""


@dataclass(slots=True, eq=False)
class OwedHistory:
    """The history of a channel that is read, and the gap that it belongs to."""

    gap: Gap
    reader: ChannelReader | None = None
    """None before the backfill has begun with it."""
    created: datetime | None = None
    """When the channel was created; None if Slack has not said."""
    counted: tuple[float, float] | None = None
    """Its part of the sums of NewestFirst: requests so far, and in all; None before its first page."""

    @property
    def is_done(self) -> bool:
        """Whether it is read to its end."""
        return self.reader is not None and self.reader.state.is_done

    @property
    def position(self) -> datetime:
        """The time of the messages or of the thread that are read next, as far as it is known."""
        if self.reader is None:
            return self.gap.ended_at or self.gap.found_at
        return self.reader.position

    def calls(self) -> tuple[float, float] | None:
        """About the number of requests that were needed so far, and in all; None before its first page."""
        if self.reader is None:
            return None
        state = self.reader.state
        so_far = state.account.read / MESSAGES_PAGE + state.threads + 1
        if state.is_done:
            return so_far, so_far
        share = self.reader.window.share(state.reached, self.created)
        known = so_far + self.reader.threads_left
        return (so_far, known / min(share, 1.0)) if share > 0 else None


class NewestFirst:
    """Hands out the histories: first the one whose next messages or thread are the newest.

    It keeps sums, because there can be thousands of channels, and the progress is shown after each page.
    """

    def __init__(self) -> None:
        self._open: list[tuple[int, int, OwedHistory]] = []
        self._taken: OwedHistory | None = None
        self._histories = 0
        self._counted = 0
        """Histories of which the number of requests is known."""
        self._calls = 0.0
        self._calls_in_all = 0.0
        self.done = 0
        """Histories that are read to their end."""
        self.channels_done = 0
        """Channels all of whose histories are read to their end."""
        self._unread: Counter[ChannelId | None] = Counter()
        """By channel: its histories that are not read to their end. A channel can have several."""

    @property
    def channels(self) -> int:
        """The channels of the histories."""
        return len(self._unread)

    def add(self, history: OwedHistory) -> None:
        """Add a history to read."""
        self._histories += 1
        channel = history.gap.channel_id
        self.channels_done -= channel in self._unread and not self._unread[channel]
        self._unread[channel] += 1
        self.put_back(history)

    def take(self) -> OwedHistory | None:
        """The history to read a page of; None if all are read.

        Whoever has read the page puts the history back, or ends it.
        """
        self._taken = heapq.heappop(self._open)[2] if self._open else None
        return self._taken

    def put_back(self, history: OwedHistory) -> None:
        """Read more of the history later."""
        self._taken = None
        self._count(history)
        heapq.heappush(self._open, (-to_micros(history.position), history.gap.id, history))

    def end(self, history: OwedHistory) -> None:
        """Read no more of the history: it is read to its end, or failed."""
        self._taken = None
        self._count(history)
        if history.is_done:
            self.done += 1
            self._unread[history.gap.channel_id] -= 1
            self.channels_done += not self._unread[history.gap.channel_id]

    def unfinished(self) -> list[OwedHistory]:
        """The histories that are not ended, with the one that was taken."""
        waiting = [history for _, _, history in self._open]
        return waiting if self._taken is None else [self._taken, *waiting]

    def __len__(self) -> int:
        return self._histories

    def share(self) -> float:
        """How much of all histories is read, 0 to 1, by requests. A channel without a page counts as the average.

        It is 1 only when all are read to their end.
        """
        average = self._calls_in_all / self._counted if self._counted else 1.0
        whole = self._calls_in_all + average * (self._histories - self._counted)
        most = 1.0 if self.done == self._histories else _NOT_ALL
        return min(self._calls / whole, most) if whole else most

    def _count(self, history: OwedHistory) -> None:
        """Replace the history's part of the sums by what is known of it now."""
        if history.counted is not None:
            calls, in_all = history.counted
            self._counted -= 1
            self._calls -= calls
            self._calls_in_all -= in_all
        history.counted = history.calls()
        if history.counted is not None:
            calls, in_all = history.counted
            self._counted += 1
            self._calls += calls
            self._calls_in_all += in_all
