"""`tiger-slack events` and `tiger-slack event`: the audit trail as a list, and one event in full."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from tiger_slack_tui.audit.detail import EventDetail, fetch_event
from tiger_slack_tui.audit.detail_lines import detail_lines
from tiger_slack_tui.audit.event_query import EventQuery
from tiger_slack_tui.audit.follow import FollowPosition, begin_following, follow
from tiger_slack_tui.audit.readable import readable_rows
from tiger_slack_tui.audit.words import (
    UNROUTED,
    event_kind,
    format_channel,
    format_error,
    format_time,
    format_user,
)
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.errors import DatabaseUnavailable, NotFound
from tiger_slack_tui.base.ids import EventId
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import amount, cut, lines, visible
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import echo_json, wrapped
from tiger_slack_tui.cli.queries import query_runner, run_query
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.database import database_name
from tiger_slack_tui.slack.ts import parse_permalink
from tiger_slack_tui.store.audit_events import EventFilter, EventPosition, EventRow, fetch_page

_OUTCOMES = ("stored", "discarded", "audit", "failed", "unrouted")
_PAGE = 200
"""Events of one query."""
_BEFORE_FOLLOWING = 10
"""Events that `--follow` prints before it waits for new ones."""
_WIDTH = 79
_NAME_WIDTH = 10
_MOST_LINES = 20
"""The most lines of one fact about an event."""


class NoSuchEvent(NotFound):
    """The audit trail does not have the event."""


@click.command()
@click.option(
    "--outcome",
    type=options.WordChoice("outcome", _OUTCOMES),
    help="Only events with this outcome.",
)
@click.option(
    "--type",
    "types",
    metavar="TYPE",
    multiple=True,
    help="Only this type, such as message or reaction_*; repeatable.",
)
@options.channels
@options.users
@options.since
@options.until
@click.option("--text", metavar="TEXT", help="Only events whose text contains TEXT, in any case.")
@click.option(
    "--discarded-by",
    "rule",
    metavar="ID",
    type=options.RULE_ID,
    help="Only events that this rule discarded.",
)
@click.option(
    "--limit",
    type=options.Number(min=1),
    default=50,
    show_default=True,
    help="Number of events, the newest first.",
)
@click.option(
    "--follow",
    "-f",
    "follows",
    is_flag=True,
    help="Wait for new events and print them, also while the database is away.",
)
@options.as_json_lines
@plain_errors
def events(limit: int, follows: bool, as_json: bool, **filters: Any) -> None:
    """List received events and what became of each.

    The newest come first; with --follow, the oldest. The outcome is one of: stored; discarded, by a rule; audit, kept
    in the audit trail only; failed, with an error; unrouted, of an event type of Slack that this version does not
    store (harmless: the event is kept in slack.event).
    """
    if follows and filters["until"] is not None:
        raise click.UsageError("--follow waits for new events, and --until excludes them.")
    query = EventQuery(**filters)
    _show_events(settings.load(), query, limit=limit, follows=follows, as_json=as_json)


@click.command()
@click.argument("event_id")
@options.as_json
@plain_errors
def event(event_id: str, as_json: bool) -> None:
    """Show one event in full.

    It shows the payload, the outcome and its reason, the deliveries, and the table rows that the event changed.
    """
    show_event(settings.load(), EventId(event_id), as_json=as_json)


def _show_events(
    loaded: Settings, query: EventQuery, *, limit: int, follows: bool, as_json: bool
) -> None:
    if follows:
        _follow_events(loaded, query, min(limit, _BEFORE_FOLLOWING), as_json=as_json)
        return

    async def print_events(connection: Connection) -> None:
        chosen = await query.resolve(connection, datetime.now(UTC))
        if await _print_pages(connection, chosen, limit, as_json=as_json):
            return
        await query.require_rule(connection)
        if not as_json:
            found_nothing = f"No such events in {database_name(loaded)}."
            click.echo("\n".join(wrapped(found_nothing, hang=2, err=True)), err=True)

    run_query(loaded, "events", print_events)


def _follow_events(loaded: Settings, query: EventQuery, limit: int, *, as_json: bool) -> None:
    """Print the newest events and all that follow, until interrupted. Waits for a database that goes away meanwhile.

    Raises DatabaseUnavailable if it is away at the beginning.
    """
    chosen: EventFilter | None = None
    position: FollowPosition | None = None
    failures = 0

    async def print_events(connection: Connection) -> None:
        nonlocal chosen, position, failures
        if chosen is None or position is None:
            chosen = await query.resolve(connection, datetime.now(UTC))
            newest, position = await begin_following(connection, chosen, most=limit)
            await _print(connection, newest, as_json=as_json)
        async for rows in follow(connection, chosen, position=position):
            if failures:
                click.echo("The database is back.", err=True)
                failures = 0
            await _print(connection, rows, as_json=as_json)

    with query_runner(loaded, "events") as run:
        while True:
            try:
                run(print_events)
            except DatabaseUnavailable as error:
                if position is None:
                    raise
                failures += 1
                if failures == 1:
                    click.echo(
                        f"tiger-slack: {error.args[0]}\n  Waiting for the database.", err=True
                    )
                time.sleep(backoff(failures, first=0.5, most=10))


def show_event(loaded: Settings, event_id: EventId, *, as_json: bool) -> None:
    """Print one event. Raises NoSuchEvent."""
    found = run_query(loaded, "event", lambda c: fetch_event(c, event_id))
    if found is None:
        hint = "Slack never delivered it, or it is older than the events that slack.event keeps."
        if parse_permalink(event_id) is not None:
            hint = "This is the link of a message. To see its events: tiger-slack why LINK"
        raise NoSuchEvent(f"The audit trail has no event {visible(event_id)}.", hint=hint)
    if as_json:
        echo_json(found)
    else:
        click.echo("\n".join(_detail_lines(found)))


async def _print_pages(
    connection: Connection, chosen: EventFilter, limit: int, *, as_json: bool
) -> int:
    """Print the newest events, at most `limit`, and return how many they are."""
    shown, before, has_unrouted = 0, None, False
    while shown < limit:
        most = min(limit - shown, _PAGE)
        page = await fetch_page(connection, chosen, before=before, most=most)
        await _print(connection, page.rows, as_json=as_json)
        has_unrouted |= any(row.outcome == Outcome.UNROUTED for row in page.rows)
        shown, before = shown + len(page.rows), page.next
        if before is None:
            break
    if shown and not as_json:
        click.echo(_summary(shown, before), err=True)
        if has_unrouted:
            click.echo(f"An unrouted event is {UNROUTED}.", err=True)
    return shown


def _summary(shown: int, before: EventPosition | None) -> str:
    if before is not None:
        newest = (
            "This is the newest event" if shown == 1 else f"These are the newest {shown:,} events"
        )
        return f"{newest}; --limit shows more."
    return f"{amount(shown, 'event')}."


async def _print(connection: Connection, rows: Sequence[EventRow], *, as_json: bool) -> None:
    """Print the events: with their texts as Slack shows them, or as JSON with the texts that Slack sent."""
    for row in rows if as_json else await readable_rows(connection, rows):
        if as_json:
            echo_json(row)
        else:
            click.echo("\n".join(row_lines(row)))


def row_lines(row: EventRow) -> Iterator[str]:
    """The event in two lines."""
    kind = cut(event_kind(row.type, row.subtype), 23)
    where = format_channel(row.channel_id, row.channel_name, 22)
    yield f"{format_time(row.event_ts)} {row.outcome:<9} {kind:<23} {where}".rstrip()
    detail = f"rule {row.discard_id}, " if row.discard_id is not None else ""
    detail += f"{cut(format_error(row.error), 40)}, " if row.error else ""
    detail += "replayed, " if row.replays else ""
    head = f"  {cut(row.event_id, 20)}  {format_user(row.user_id, row.user_name, 24)}  {detail}"
    text = cut(row.text, max(79 - len(head), 8)) if row.text else ""
    yield (head + text).rstrip(" ,")


def _detail_lines(event: EventDetail) -> Iterator[str]:
    for line in detail_lines(event):
        name = line.name
        for row in lines(line.text, _WIDTH - _NAME_WIDTH, _MOST_LINES, at_words=True):
            yield f"{name:<{_NAME_WIDTH}}{row}"
            name = ""
    yield "payload"
    yield from (f"  {visible(line)}" for line in event.payload.splitlines())
