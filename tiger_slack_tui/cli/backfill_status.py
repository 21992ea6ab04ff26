"""`tiger-slack backfill --status`: the gaps and the histories, and how far a running backfill is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import click

from tiger_slack_tui.audit.words import format_time
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import amount, cut
from tiger_slack_tui.base.times import duration
from tiger_slack_tui.cli.output import wrapped
from tiger_slack_tui.cli.queries import run_query
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.gap_totals import (
    GapTotals,
    UnfinishedProgress,
    gap_totals,
    unfinished_progress,
)
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.names import marked_names
from tiger_slack_tui.store.running_backfill import running_backfill


@dataclass(frozen=True, slots=True)
class _Status:
    totals: GapTotals
    running: str | None
    """How far the running backfill is; None if none runs."""
    newest: Sequence[Gap]
    names: Mapping[str, str]
    """Of the channels, by id."""
    progress: Mapping[int, UnfinishedProgress]
    """Of those that are not finished, by id."""


def show_status(loaded: Settings, *, most: int, as_json: bool) -> None:
    """Print how many gaps and histories there are, and at most `most` of them, open ones first."""

    async def read(connection: Connection) -> _Status:
        found = await gaps.newest(connection, most=most)
        ids = {gap.channel_id for gap in found if gap.channel_id}
        return _Status(
            await gap_totals(connection),
            await running_backfill(connection),
            found,
            await marked_names(connection, ids),
            await unfinished_progress(connection, [gap.id for gap in found]),
        )

    status = run_query(loaded, "backfill", read)
    if as_json:
        click.echo(json.dumps([asdict(gap) for gap in status.newest], default=str, indent=2))
    else:
        click.echo("\n".join(_status_lines(status)))


def _status_lines(status: _Status) -> Iterator[str]:
    totals, shown = status.totals, len(status.newest)
    if status.running is not None:
        yield from wrapped(f"A backfill runs: {status.running}.", hang=2)
    if not totals.count:
        yield "There are no gaps, and no histories to read."
        return
    yield from wrapped(_of_gaps(totals), hang=2)
    yield from wrapped(_of_histories(totals), hang=2)
    yield f"{amount(totals.inserted, 'message')} inserted by all of them."
    yield ""
    for gap in status.newest:
        yield from _gap_lines(gap, status)
    if shown < totals.count:
        yield ""
        yield f"The first {shown:,} of {totals.count:,}. --limit shows more."


def _of_gaps(totals: GapTotals) -> str:
    number = f"{totals.open_gaps:,} open, {totals.closed_gaps:,} closed"
    if not totals.open_gaps:
        return f"Gaps, in which events may be missing: {number}."
    oldest = format_time(totals.open_since)
    return f"Gaps, in which events may be missing: {number}. The oldest open one begins {oldest}."


def _of_histories(totals: GapTotals) -> str:
    number = f"{totals.read_histories:,} read, {totals.unread_histories:,} not finished"
    failed, given_up = totals.failed_histories, totals.given_up_histories
    return (
        f"Histories: {number}{f', {failed:,} of them stopped or with an error' if failed else ''}"
        f"{f', {given_up:,} given up' if given_up else ''}."
    )


def _gap_lines(gap: Gap, status: _Status) -> Iterator[str]:
    where = ""
    if gap.channel_id:
        where = f", {cut(status.names.get(gap.channel_id, ''), 30)} {gap.channel_id}".replace(
            "  ", " "
        )
    yield from wrapped(f"{gap.title}, {gap.reason}{where}: {_state(gap)}", hang=4)
    yield from wrapped(time_of(gap), 4)
    if gap.closed_at is not None and not gap.is_given_up:
        yield f"    {gap.state} {format_time(gap.closed_at)}"
        return
    if now := status.progress.get(gap.id):
        yield f"    {progress_words(gap, now)}"
    if gap.error:
        yield from wrapped(f"{format_time(gap.tried_at)}: {gap.error}", 4)


def progress_words(gap: Gap, now: UnfinishedProgress) -> str:
    """How far the backfill is."""
    is_read = gap.is_history and now.reached <= gap.started_at
    left = "replies to threads are left" if is_read else f"back to {format_time(now.reached)}"
    return f"{amount(now.read, 'message')} read, {left}"


def _state(gap: Gap) -> str:
    if gap.ended_at is None:
        return "not ended"
    if gap.closed_at is None or gap.is_given_up:
        return gap.state
    inserted = ((gap.account or {}).get("messages") or {}).get("inserted", 0)
    return f"{gap.state}, {amount(inserted, 'message')} inserted"


def time_of(gap: Gap) -> str:
    """The gap's period."""
    if gap.ended_at is None:
        return f"since {format_time(gap.started_at)}"
    if gap.started_at.timestamp() <= 0:
        return f"from the beginning until {format_time(gap.ended_at)}"
    return f"{duration(gap.ended_at - gap.started_at)} from {format_time(gap.started_at)} on"
