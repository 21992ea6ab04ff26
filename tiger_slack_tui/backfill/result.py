"""The progress of a backfill, and what became of a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tiger_slack_tui.store.gap_progress import ChannelProgress
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.import_account import Account

STOPPED = "it was stopped"
"""The error of a gap or history whose backfill a person stopped."""


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """A page of a channel or of a thread was merged."""

    gap: Gap
    channels_done: int
    channels: int
    account: Account
    """The account of this page."""
    share: float
    """How much of the gap's history is read, 0 to 1. If several gaps are read at once: of all of them."""
    of_all: bool = False
    """Whether the figures are about several gaps that are read at once."""


@dataclass(slots=True)
class GapResult:
    """The result of trying to close a gap."""

    gap: Gap
    """The gap as it was when the backfill began. It does not grow after that."""
    is_closed: bool = False
    error: str | None = None
    channels: int = 0
    """The number of channels that were read."""
    skipped_channels: dict[str, int] = field(default_factory=dict)
    """The number of channels that Slack does not show, by its reason."""
    not_allowed: list[str] = field(default_factory=list)
    """The kinds of channels for which the app has no scope."""
    threads: int = 0
    deleted: int = 0
    messages: Account = field(default_factory=Account)
    is_restricted: bool = False

    @property
    def is_given_up(self) -> bool:
        """Whether it is closed as the history of a channel that Slack has no longer, so that nothing was read."""
        return self.is_closed and self.gap.is_history and bool(self.skipped_channels)

    @property
    def state(self) -> str:
        """What became of it, in words."""
        if self.is_given_up:
            return "given up"
        if self.is_closed:
            return "closed" if self.gap.is_loss else "read to its end"
        return "still open" if self.gap.is_loss else "not finished"

    def as_json(self) -> dict[str, Any]:
        """As in `--json` and slack.gap.account."""
        return {
            "channels": self.channels,
            "skipped_channels": self.skipped_channels,
            "not_allowed": self.not_allowed,
            "threads": self.threads,
            "deleted": self.deleted,
            "messages": self.messages.as_json(),
        }

    def count(self, states: Sequence[ChannelProgress]) -> None:
        """Count what was read of the channels, once."""
        for state in states:
            self.threads += state.threads
            self.deleted += state.deleted
            self.messages.add(state.account)
            if state.skipped:
                known = self.skipped_channels.get(state.skipped, 0)
                self.skipped_channels[state.skipped] = known + 1
            elif state.is_done:
                self.channels += 1

    def judge(self) -> None:
        """Decide whether the gap is closed, after all of its channels were read or skipped."""
        if self.gap.channel_id and self.skipped_channels:
            self.error = f"Slack does not show the channel: {', '.join(self.skipped_channels)}"
            return
        if self.not_allowed and not self.gap.channel_id:
            self.error = f"not read because a scope is missing: {', '.join(self.not_allowed)}"
        self.is_closed = True
