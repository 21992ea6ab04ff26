"""The order in which the histories of channels are read: the newest messages of all channels first."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import datetime

from tiger_slack_tui.backfill.channel_reader import ChannelReader
from tiger_slack_tui.slack.ts import to_micros
from tiger_slack_tui.slack.web import MESSAGES_PAGE
from tiger_slack_tui.store.gap_progress import ChannelProgress
from tiger_slack_tui.store.gaps import Gap


@dataclass(slots=True, eq=False)
class OwedHistory:
    """The history of a channel that is read, and the gap that it belongs to."""

    gap: Gap
    reader: ChannelReader
    created: datetime | None
    """When the channel was created; None if Slack has not said."""

    @property
    def state(self) -> ChannelProgress:
        return self.reader.state

    @property
    def calls(self) -> float:
        """About the number of requests that were needed so far."""
        state = self.state
        return state.account.read / MESSAGES_PAGE + state.threads + 1

    def calls_in_all(self) -> float | None:
        """About the number of requests that the channel needs; None before its first page."""
        share = self.reader.window.share(self.state.reached, self.created)
        if self.state.is_done or share >= 1:
            return self.calls
        return self.calls / share if share > 0 else None


class NewestFirst:
    """Hands out the histories: first the one whose next messages or thread are the newest."""

    def __init__(self) -> None:
        self._open: list[tuple[int, int, OwedHistory]] = []
        self._all: list[OwedHistory] = []

    def add(self, history: OwedHistory) -> None:
        """Add a history to read."""
        self._all.append(history)
        self.put_back(history)

    def take(self) -> OwedHistory | None:
        """The history to read a page of; None if all are read. Whoever has not read all of it puts it back."""
        return heapq.heappop(self._open)[2] if self._open else None

    def put_back(self, history: OwedHistory) -> None:
        """Read more of the history later."""
        heapq.heappush(self._open, (-to_micros(history.reader.position), history.gap.id, history))

    def unfinished(self) -> list[OwedHistory]:
        """The histories that are not handed out and not read."""
        return [history for _, _, history in self._open]

    @property
    def done(self) -> int:
        return sum(history.state.is_done for history in self._all)

    def __len__(self) -> int:
        return len(self._all)

    def share(self) -> float:
        """How much of all histories is read, 0 to 1, by requests. A channel without a page counts as the average."""
        known = [in_all for each in self._all if (in_all := each.calls_in_all()) is not None]
        average = sum(known) / len(known) if known else 1.0
        whole = sum(known) + average * (len(self._all) - len(known))
        done = sum(each.calls for each in self._all if each.calls_in_all() is not None)
        return min(done / whole, 1.0) if whole else 1.0
