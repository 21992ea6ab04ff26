"""`tiger-slack events` and `tiger-slack event`: the audit trail as a list, and one event whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from tiger_slack_tui.audit.detail import EndRow, EventDetail, read_event
from tiger_slack_tui.audit.events import EventFilter, EventRow, Position, follow, read_page
from tiger_slack_tui.audit.names import find_channel, find_user
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import amount, cut, visible
from tiger_slack_tui.base.times import read_time
from tiger_slack_tui.cli.questions import (
    ask,
    echo_json,
    shown_channel,
    shown_duration,
    shown_time,
    shown_user,
)
from tiger_slack_tui.postgres.connection import Connection

_PAGE = 200
_FOLLOWED = 10
"""Events that are shown before those that follow."""


class NoSuchEvent(TigerSlackError):
    """The audit trail does not have the event."""


@dataclass(frozen=True, slots=True)
class EventsWanted:
    """The filters of the command line; channel and user by id or name."""

    outcome: str | None
    type: str | None
    channel: str | None
    user: str | None
    rule: int | None
    since: str | None


def show_events(
    settings: Settings, wanted: EventsWanted, *, limit: int, follows: bool, as_json: bool
) -> None:
    """Print the newest events that are wanted; with `follows` go on with those that come, until interrupted."""
    since = None
    if wanted.since is not None:
        since = read_time(wanted.since, datetime.now(UTC), "--since")

    async def work(connection: Connection) -> None:
        chosen = await _filter(connection, wanted, since)
        if follows:
            page = await read_page(connection, chosen, most=min(limit, _FOLLOWED))
            _print(page.rows[::-1], as_json=as_json)
            async for rows in follow(connection, chosen):
                _print(rows, as_json=as_json)
        else:
            await _print_pages(connection, chosen, limit, as_json=as_json)

    ask(settings, "events", work)


def show_event(settings: Settings, event_id: str, *, as_json: bool) -> None:
    """Print one event. Raises NoSuchEvent."""
    if not event_id:
        raise click.UsageError("The id of the event is empty.")
    found = ask(settings, "event", lambda c: read_event(c, event_id))
    if found is None:
        raise NoSuchEvent(
            f"The audit trail has no event {visible(event_id)}.",
            hint="It was never delivered, or is older than slack.event is kept.",
        )
    if as_json:
        echo_json(found)
    else:
        click.echo("\n".join(detail_lines(found)))


async def _filter(
    connection: Connection, wanted: EventsWanted, since: datetime | None
) -> EventFilter:
    async def known(
        find: Callable[[Connection, str], Awaitable[str]], name: str | None
    ) -> str | None:
        return None if name is None else await find(connection, name)

    return EventFilter(
        outcome=wanted.outcome,
        type=wanted.type,
        channel_id=await known(find_channel, wanted.channel),
        user_id=await known(find_user, wanted.user),
        rule=wanted.rule,
        since=since,
    )


async def _print_pages(
    connection: Connection, chosen: EventFilter, limit: int, *, as_json: bool
) -> None:
    shown, before = 0, None
    while shown < limit:
        most = min(limit - shown, _PAGE)
        page = await read_page(connection, chosen, before=before, most=most)
        _print(page.rows, as_json=as_json)
        shown, before = shown + len(page.rows), page.next
        if before is None:
            break
    if not as_json:
        click.echo(_ending(shown, before), err=True)


def _ending(shown: int, before: Position | None) -> str:
    if before is not None:
        return f"The newest {shown:,}; --limit shows more."
    return f"{amount(shown, 'event')}." if shown else "No such events."


def _print(rows: Sequence[EventRow], *, as_json: bool) -> None:
    for row in rows:
        if as_json:
            echo_json(row)
        else:
            click.echo("\n".join(row_lines(row)))


def row_lines(row: EventRow) -> Iterator[str]:
    kind = cut("/".join(part for part in (row.type, row.subtype) if part) or "no type", 26)
    where = shown_channel(row.channel_id, row.channel_name, 20)
    yield f"{shown_time(row.event_ts)}  {row.outcome:<9}  {kind:<26} {where}".rstrip()
    detail = f"rule {row.discard_id}, " if row.discard_id is not None else ""
    detail += f"error {cut(row.error, 30)}, " if row.error else ""
    detail += "replayed, " if row.replays else ""
    head = f"  {cut(row.event_id, 24)}  {shown_user(row.user_id, row.user_name, 16)}  {detail}"
    text = cut(row.text, max(79 - len(head), 8)) if row.text else ""
    yield (head + text).rstrip(" ,")


def detail_lines(event: EventDetail) -> Iterator[str]:
    kind = "/".join(part for part in (event.type, event.subtype) if part) or "without a type"
    yield f"event     {visible(event.event_id)}  {visible(kind)}"
    yield f"happened  {shown_time(event.event_ts)}"
    late = shown_duration(max(event.lateness, event.lateness * 0))
    yield f"received  {shown_time(event.received_at)}, {late} later"
    if event.deliveries > 1:
        last = shown_time(event.last_received_at)
        yield f"          {event.deliveries} times, last {last}"
    about = (
        ("workspace", event.team_id),
        ("channel", event.channel_id),
        ("user", event.user_id),
    )
    for name, value in about:
        if value:
            yield f"{name:<9} {visible(value)}"
    yield f"outcome   {event.outcome}"
    yield from _reason_lines(event)
    for replay in event.replays:
        why = f" by rule {replay.discard_id}" if replay.discard_id is not None else ""
        yield f"replayed  {shown_time(replay.at)}; it was {replay.outcome}{why} until then"
    for row in event.rows:
        yield f"row       {_row_state(row)}"
    yield "payload"
    payload = orjson.dumps(event.event, option=orjson.OPT_INDENT_2).decode()
    yield from (f"  {visible(line)}" for line in payload.splitlines())


def _reason_lines(event: EventDetail) -> Iterator[str]:
    if event.rule_id is not None and event.rule is None:
        yield f"rule      {event.rule_id}, of which nothing was kept"
    if event.rule is not None:
        state = ", removed since" if event.rule.is_removed else "" if event.rule.is_on else ", off"
        note = f" ({visible(event.rule.note)})" if event.rule.note else ""
        yield f"rule      {event.rule.id}{state}{note}"
        yield f"          {visible(event.rule.readable)}"
        for match in event.matched:
            found = ", ".join(orjson.dumps(value).decode() for value in match.found)
            yield f"  matched {visible(match.condition)}"
            yield f"          there: {cut(found or 'nothing', 60)}"
    if event.error is not None:
        code = event.error.get("sqlstate") or ""
        yield f"error     {visible(str(event.error.get('class')))} {code}".rstrip()
        yield f"          {visible(str(event.error.get('message')))}"
        diagnostics: dict[str, Any] = event.error.get("diagnostics") or {}
        for name, value in diagnostics.items():
            lines = str(value).splitlines() or [""]
            yield f"  {name}: {visible(lines[0])}"
            yield from (f"      {visible(line)}" for line in lines[1:])


def _row_state(row: EndRow) -> str:
    key = " ".join(visible(part) for part in row.key)
    states = {
        "content": "shows what this event says",
        "newer": f"shows newer content, of {shown_time(row.at)}",
        "deleted": f"deleted {shown_time(row.at)}",
        "missing": "is not there",
        "merged": "is there; it merges what several events say",
    }
    return f"slack.{row.table} {key}: {states[row.state]}"
