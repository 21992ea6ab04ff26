"""Counts events by outcome, and logs the events with which Slack warns an operator."""

from __future__ import annotations

import logging
from typing import Protocol

from tiger_slack_tui.base.ids import EventId
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.base.snapshot import RecentEvent, Stats
from tiger_slack_tui.slack.events import Route
from tiger_slack_tui.store.events import BatchResult

log = logging.getLogger(__name__)

# Event types that an operator must act on.
_WARNINGS = {
    "app_rate_limited": "there are more than 30,000 events an hour, and it does not send all of them",
    "app_uninstalled": "the app was uninstalled from the workspace",
    "tokens_revoked": "tokens of the app were revoked",
}


class RoutedEvent(Protocol):
    """A live event, or one of the spool."""

    @property
    def event_id(self) -> EventId: ...

    @property
    def late(self) -> float: ...

    @property
    def routed(self) -> Route: ...


def count(stats: Stats, written: BatchResult, event: RoutedEvent, *, at: float) -> None:
    """Count an event that is in the database, as new or as a repeated delivery.

    `at` is the time of receipt in seconds since 1970. Removes the event from `written.new`, because a batch can
    contain a second delivery of it.
    """
    event_id, routed = event.event_id, event.routed
    if event_id not in written.new:
        stats.duplicates += 1
        return
    written.new.discard(event_id)
    outcome, detail = routed.outcome, None
    if event_id in written.discarded:
        outcome, detail = Outcome.DISCARDED, f"rule {written.discarded[event_id]}"
    elif event_id in written.failed:
        outcome, detail = Outcome.FAILED, written.failed[event_id]
    type_ = routed.type or "none"
    stats.count(
        RecentEvent(
            at,
            type_,
            routed.subtype,
            routed.channel_id,
            routed.user_id,
            event_id,
            outcome,
            detail,
            event.late,
        )
    )
    if type_ in _WARNINGS:
        log.warning("Slack says: %s", _WARNINGS[type_], extra={"event_id": event_id})
