"""`tiger-slack why`: explains why a message is stored, or why it is not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from tiger_slack_tui.audit.why import (
    Effect,
    HistoryEvent,
    MessageHistory,
    Verdict,
    read_history,
)
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import amount, cut, visible
from tiger_slack_tui.base.times import duration
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.events import show_event
from tiger_slack_tui.cli.output import (
    echo_json,
    format_channel,
    format_error,
    format_time,
    format_user,
)
from tiger_slack_tui.cli.queries import run_query
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.ts import read_permalink, read_ts, slack_ts
from tiger_slack_tui.store.message_history import (
    CoveringGap,
    MessageOfSecond,
    StoredMessage,
    messages_of_second,
)
from tiger_slack_tui.store.names import find_channel

_VERDICTS = {
    Verdict.STORED: "It is stored.",
    Verdict.DELETED: "It was deleted in Slack, {deleted_at}.",
    Verdict.LOST_ROW: "It was stored. Its row is gone, but Slack reported no deletion.",
    Verdict.FAILED: "It is not stored: the database refused it.",
    Verdict.DISCARDED: "It is not stored: a rule dropped it.",
    Verdict.SPOOLED: "It is not stored yet: it waits in this machine's spool.",
    Verdict.AUDIT_ONLY: "It is not stored: there are events about it, but none with its content.",
    Verdict.BEFORE_TRAIL: "It is not stored. The audit trail begins later, {trail_since}.",
    Verdict.NEVER_DELIVERED: "Slack never delivered it.",
}
_DID = {
    Effect.CONTENT: "stored; the row has its content",
    Effect.OLDER: "stored; newer content exists",
    Effect.DELETED_SINCE: "stored; deleted later",
    Effect.DELETED: "deleted the message",
    Effect.REACTION: "stored",
    Effect.FAILED: "failed",
    Effect.NOTHING: "kept in the audit trail only",
    Effect.LOST: "stored; its row is gone",
}


_EVENT_ID = re.compile(r"Ev[A-Z0-9]+|sha256:[0-9a-f]+")


class NotKnown(TigerSlackError):
    """Nothing is known about the message."""


@click.command()
@click.argument("channel", metavar="CHANNEL|PERMALINK|EVENT_ID")
@click.argument("ts", required=False)
@options.as_json
@plain_errors
def why(channel: str, ts: str | None, as_json: bool) -> None:
    """Explain why a message is stored, or why it is not.

    Name the message by CHANNEL (id or name) and TS, or by its link in Slack (PERMALINK). A TS of whole seconds lists
    the messages of that second. With an EVENT_ID, the command shows the event.

    Exit code 1: nothing is known about the message.
    """
    if ts is None and _EVENT_ID.fullmatch(channel):
        show_event(settings.load(), channel, as_json=as_json)
        return
    linked = read_permalink(channel) if ts is None else None
    exact = linked[1] if linked else read_ts(ts or "")
    if exact is None:
        raise click.UsageError(
            "Name the message by CHANNEL and TS (1700000000.000100), or by its link in Slack."
        )
    is_second = not linked and "." not in (ts or "")
    channel = linked[0] if linked else channel
    _explain(settings.load(), channel, exact, is_second=is_second, as_json=as_json)


def _explain(loaded: Settings, channel: str, ts: str, *, is_second: bool, as_json: bool) -> None:
    """Print the history of the message, or the messages of the second if there are several.

    Raises NotKnown, after it printed what it found.
    """
    spool = loaded.home / "spool"

    async def find(connection: Connection) -> MessageHistory | list[MessageOfSecond]:
        channel_id = await find_channel(connection, channel)
        exact = ts
        if is_second:
            messages = await messages_of_second(connection, channel_id, ts)
            if len(messages) > 1:
                return messages
            exact = messages[0].slack_ts if messages else ts
        return await read_history(connection, channel_id, exact, spool=spool)

    found = run_query(loaded, "why", find)
    if isinstance(found, list):
        _show_second(channel, found, as_json=as_json)
        return
    if as_json:
        echo_json(found)
    else:
        click.echo("\n".join(lines(found)))
    if found.verdict in (Verdict.NEVER_DELIVERED, Verdict.BEFORE_TRAIL):
        raise NotKnown("Nothing is known about this message.")


def _show_second(channel: str, messages: list[MessageOfSecond], *, as_json: bool) -> None:
    """Print the messages of a second."""
    if as_json:
        echo_json({"messages": messages})
        return
    click.echo(f"{amount(len(messages), 'message')} of that second:")
    for message in messages:
        who = format_user(message.user_id, message.user_name, 24)
        head = f"  {message.slack_ts}  {who}  "
        click.echo(head + cut(message.text or "(not stored)", max(79 - len(head), 8)))
    click.echo(f"→ to explain one: tiger-slack why {visible(channel)} {messages[0].slack_ts}")


def lines(found: MessageHistory) -> Iterator[str]:
    """The history as text: the verdict, what it follows from, and what the operator can do."""
    where = format_channel(found.channel_id, found.channel_name)
    yield f"{where}  {found.slack_ts}  {format_time(found.ts)}"
    if found.verdict is Verdict.BEFORE_TRAIL and found.trail_since is None:
        yield "It is not stored. The audit trail is empty."
    else:
        yield _VERDICTS[found.verdict].format(
            deleted_at=format_time(found.deleted_at), trail_since=format_time(found.trail_since)
        )
    if found.message:
        yield from _message_lines(found.message)
    if found.import_file:
        file = found.import_file
        yield f"  an import read it from {visible(file.path)}"
        yield f"    of {visible(file.source)}, started {format_time(file.started_at)}"
    for event in found.events:
        yield from _event_lines(event)
    for rule in found.rules:
        state = "removed" if rule.is_removed else "on" if rule.is_on else "off"
        note = f" ({visible(rule.note)})" if rule.note else ""
        yield f"rule {rule.id}, {state}{note}: {visible(rule.readable)}"
    for spooled in found.spooled:
        kind = "/".join(part for part in (spooled.type, spooled.subtype) if part)
        yield f"in the spool: {visible(spooled.event_id)}  {visible(kind)}"
    if found.gap:
        yield from _gap_lines(found.gap)
    yield from _hints(found)


def _message_lines(message: StoredMessage) -> Iterator[str]:
    who = format_user(message.user_id, message.user_name)
    edited = ", edited" if message.is_edited else ""
    reactions = f", {amount(message.reactions, 'reaction')}" if message.reactions else ""
    reply = f", reply to {slack_ts(message.thread_ts)}" if message.thread_ts else ""
    yield f"  by {who}{edited}{reactions}{reply}"
    yield f"  {cut(message.text or '(no text)', 77)}"
    if message.is_live:
        yield f"  content of event {visible(message.event_id or '')}, {format_time(message.event_ts)}"
    elif message.is_imported:
        yield "  content from Slack's history (an export or a backfill), not from an event"
    else:
        yield "  content from a call of slack.insert_message()"


def _event_lines(event: HistoryEvent) -> Iterator[str]:
    kind = "/".join(part for part in (event.type, event.subtype) if part) or "no type"
    did = (
        f"discarded by rule {event.discard_id}"
        if event.did is Effect.DISCARDED
        else _DID[event.did]
    )
    yield f"{format_time(event.event_ts)}  {cut(kind, 23):<23} {did}"
    times = f", {event.deliveries} deliveries" if (event.deliveries or 1) > 1 else ""
    yield f"    {cut(event.event_id, 24)}  received {duration(event.lateness)} later{times}"
    if event.did is Effect.REACTION:
        yield f"    {cut(event.text or '-', 40)} by {format_user(event.user_id, event.user_name)}"
    if event.error:
        yield f"    {cut(format_error(event.error), 75)}"
        yield f"    {cut(event.error_message or '', 75)}"
    for replay in event.replays:
        rule = f" by rule {replay.discard_id}" if replay.discard_id is not None else ""
        yield f"    replayed {format_time(replay.at)}; before: {replay.outcome}{rule}"


def _gap_lines(gap: CoveringGap) -> Iterator[str]:
    until = format_time(gap.ended_at) if gap.ended_at else "now"
    state = f"closed {format_time(gap.closed_at)}" if gap.closed_at else "still open"
    yield f"gap {gap.id}, {visible(gap.reason)}: {state}"
    yield f"    {format_time(gap.started_at)} to {until}"


def _hints(found: MessageHistory) -> Iterator[str]:
    """What the operator can do."""
    discarded = {event.discard_id for event in found.events if event.did is Effect.DISCARDED}
    on = {rule.id for rule in found.rules if rule.is_on}
    for rule_id in sorted(id_ for id_ in discarded if id_ is not None):
        if rule_id in on:
            yield f"→ to store it, first: tiger-slack discard remove {rule_id}"
        yield f"→ to store it: tiger-slack replay --discarded-by {rule_id}"
    if found.verdict is Verdict.FAILED:
        failed = " ".join(e.event_id for e in found.events if e.did is Effect.FAILED)
        yield f"→ to store it, fix the error, then: tiger-slack replay {visible(failed)}"
    if found.verdict is Verdict.NEVER_DELIVERED:
        if found.gap and not found.gap.closed_at:
            yield f"→ to look for it in Slack's history: tiger-slack backfill --gap {found.gap.id}"
        elif found.gap is None:
            yield "No gap covers its time. It may be in the spool of another machine."
        if found.is_member is False:
            yield "→ The app is not a member of the channel. To receive its messages, invite it."
        elif found.channel_name is None:
            yield "The channel is unknown. Check the id, and whether the app is a member."
