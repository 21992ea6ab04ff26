"""The times that are read for a gap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tiger_slack_tui.base.times import LATEST, shift
from tiger_slack_tui.store.gaps import BY_HAND, JOINED, Gap

LOOK_BACK = timedelta(days=3)
"""How much of the history before a gap is read, for edits, deletions and replies of the gap to older messages."""
MARGIN = timedelta(minutes=1)
"""Read on either side of a gap, too: its ends are by the database's clock, messages by Slack's."""
FIRST = datetime.fromtimestamp(0, UTC)
"""Slack refuses earlier times."""
_LAST_REPLY = timedelta(days=1)
"""After now. No reply is newer."""


@dataclass(frozen=True, slots=True)
class Window:
    """The times that are read for a gap: history from `oldest` to `latest`, replies from `begun` to `last_reply`."""

    gap: Gap
    oldest: datetime
    begun: datetime
    ended: datetime
    latest: datetime
    last_reply: datetime
    has_whole_threads: bool
    """Whether all replies are read of each thread in the history, whenever they were posted.

    So it is for history that an operator asked for, or that is owed since the app joined. After a loss of events,
    only the replies of the gap are missing.
    """

    @classmethod
    def of(cls, gap: Gap) -> Window:
        """The times for a gap that has ended."""
        assert gap.ended_at is not None  # noqa: S101 an open-ended gap is not backfilled
        begun = max(shift(gap.started_at, -MARGIN), FIRST)
        oldest = max(shift(begun, -LOOK_BACK), FIRST)
        latest = shift(gap.ended_at, MARGIN)
        is_whole = gap.reason in (BY_HAND, JOINED)
        last = min(datetime.now(UTC) + _LAST_REPLY, LATEST) if is_whole else latest
        return cls(gap, oldest, begun, gap.ended_at, latest, last, is_whole)

    def replies_since(self, thread: datetime) -> datetime:
        """From when on replies to the thread are read."""
        return max(thread, FIRST) if self.has_whole_threads else self.begun

    def share(self, reached: datetime | None, since: datetime | None = None) -> float:
        """How much of the history is read, 0 to 1, if it was read back to `reached`.

        `since` is when the channel was created; None if that is not known.
        """
        oldest = max(self.oldest, since) if since else self.oldest
        if reached is None:
            return 0.0
        if self.latest <= oldest:
            return 1.0
        return min(max((self.latest - reached) / (self.latest - oldest), 0.0), 1.0)
