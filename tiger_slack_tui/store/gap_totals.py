"""Counts the rows of slack.gap: gaps, and histories that are or were to be read; and how far unfinished ones are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_rows

_TOTALS: LiteralString = """
select count(*) filter (where l.is_loss and g.closed_at is null) as open_gaps
, min(g.started_at) filter (where l.is_loss and g.closed_at is null) as open_since
, count(*) filter (where l.is_loss and g.closed_at is not null) as closed_gaps
, count(*) filter (where not l.is_loss and g.closed_at is null) as unread_histories
, count(*) filter (where not l.is_loss and g.closed_at is null and g.error is not null) as failed_histories
, count(*) filter (where not l.is_loss and g.closed_at is not null and not l.is_given_up) as read_histories
, count(*) filter (where not l.is_loss and g.closed_at is not null and l.is_given_up) as given_up_histories
, coalesce(sum((g.account #>> '{messages,inserted}')::int8) filter (where g.closed_at is not null), 0)::int8
  + coalesce((select sum((p.account ->> 'inserted')::int8) from slack.gap_channel p), 0)::int8 as inserted
from slack.gap g
cross join lateral
( select slack.is_loss(g), g.channel_id is not null and coalesce(g.account ->> 'channels' = '0', false)
) l (is_loss, is_given_up)
"""
_PROGRESS: LiteralString = """
select p.gap_id, sum(coalesce((p.account ->> 'read')::int8, 0))::int8 as read, min(p.reached) as reached
from slack.gap_channel p
where p.gap_id = any (%(ids)s)
group by p.gap_id
having count(p.reached) > 0
"""


@dataclass(frozen=True, slots=True)
class GapTotals:
    """How many gaps and histories there are."""

    open_gaps: int
    open_since: datetime | None
    """When the oldest open gap began."""
    closed_gaps: int
    unread_histories: int
    failed_histories: int
    """Those of them whose last backfill ended with an error, or was stopped."""
    read_histories: int
    given_up_histories: int
    """Those of channels that Slack has no longer; see `Gap.is_given_up`."""
    inserted: int
    """Messages that their backfills have inserted until now."""

    @property
    def count(self) -> int:
        histories = self.unread_histories + self.read_histories + self.given_up_histories
        return self.open_gaps + self.closed_gaps + histories


@dataclass(frozen=True, slots=True)
class UnfinishedProgress:
    """How far the backfill of a gap or history is that is not finished."""

    gap_id: int
    read: int
    """The messages that it has read."""
    reached: datetime
    """The time of the oldest of them."""


async def unfinished_progress(
    connection: Connection, ids: Sequence[int]
) -> dict[int, UnfinishedProgress]:
    """How far the backfills of these are, by id; without those that have read nothing, or have finished."""
    found = await fetch_rows(connection, UnfinishedProgress, _PROGRESS, {"ids": list(ids)})
    return {each.gap_id: each for each in found}


async def gap_totals(connection: Connection) -> GapTotals:
    """The counts of all gaps and histories."""
    [found] = await fetch_rows(connection, GapTotals, _TOTALS, {})
    return found
