"""`tiger-slack why`: why a message is in the table, or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from tiger_slack_tui.audit.names import find_channel
from tiger_slack_tui.audit.why import (
    Did,
    Gap,
    HistoryEvent,
    MessageHistory,
    StoredMessage,
    Verdict,
    read_history,
)
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import cut, visible
from tiger_slack_tui.cli.questions import (
    ask,
    echo_json,
    shown_channel,
    shown_duration,
    shown_time,
    shown_user,
)
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.ts import read_permalink, read_ts, slack_ts

_VERDICTS = {
    Verdict.STORED: "It is stored.",
    Verdict.DELETED: "It was deleted in Slack, {deleted_at}.",
    Verdict.LOST_ROW: "It was stored, but somebody deleted its row: Slack told of no deletion.",
    Verdict.FAILED: "It is not stored: the database refused it.",
    Verdict.DISCARDED: "It is not stored: a rule discarded it.",
    Verdict.SPOOLED: "It is not stored yet: it waits in this machine's spool.",
    Verdict.AUDIT_ONLY: "It is not stored: events came about it, but never the message itself.",
    Verdict.BEFORE_TRAIL: "It is not stored, and the audit trail begins later, {trail_since}.",
    Verdict.NEVER_DELIVERED: "It was never delivered.",
}
_DID = {
    Did.CONTENT: "is what the row shows",
    Did.OLDER: "stored; there is a newer content",
    Did.DELETED_SINCE: "stored; deleted since",
    Did.DELETED: "deleted the message",
    Did.REACTION: "stored",
    Did.FAILED: "failed",
    Did.NOTHING: "kept in the audit trail only",
    Did.LOST: "stored; the row is gone",
}


class NotKnown(TigerSlackError):
    """Nothing is known of the message."""


def show(settings: Settings, channel: str, ts: str | None, *, as_json: bool) -> None:
    """Print the history of a message, given by channel and ts or by permalink.

    Raises NotKnown, after printing what is known, where the message never came.
    """
    linked = read_permalink(channel) if ts is None else None
    exact = linked[1] if linked else read_ts(ts or "")
    if exact is None:
        raise click.UsageError(
            "Name the message by CHANNEL and TS (1700000000.000100), or by its link in Slack."
        )
    found = ask(
        settings,
        "why",
        lambda c: _history(c, linked[0] if linked else channel, exact, settings.home / "spool"),
    )
    if as_json:
        echo_json(found)
    else:
        click.echo("\n".join(lines(found)))
    if found.verdict in (Verdict.NEVER_DELIVERED, Verdict.BEFORE_TRAIL):
        raise NotKnown("Nothing came about this message.")


async def _history(connection: Connection, channel: str, ts: str, spool: Path) -> MessageHistory:
    channel_id = await find_channel(connection, channel)
    return await read_history(connection, channel_id, ts, spool=spool)


def lines(found: MessageHistory) -> Iterator[str]:
    where = shown_channel(found.channel_id, found.channel_name)
    yield f"{where}  {found.slack_ts}  {shown_time(found.ts)}"
    if found.verdict is Verdict.BEFORE_TRAIL and found.trail_since is None:
        yield "It is not stored, and the audit trail is empty."
    else:
        yield _VERDICTS[found.verdict].format(
            deleted_at=shown_time(found.deleted_at), trail_since=shown_time(found.trail_since)
        )
    if found.message:
        yield from _message_lines(found.message)
    if found.import_file:
        file = found.import_file
        yield f"  an export holds it: {visible(file.path)}"
        yield f"    {visible(file.source)}, imported {shown_time(file.started_at)}"
    for event in found.events:
        yield from _event_lines(event)
    for rule in found.rules:
        state = "removed since" if rule.is_removed else "on" if rule.is_on else "off"
        note = f" ({visible(rule.note)})" if rule.note else ""
        yield f"rule {rule.id}, {state}{note}: {visible(rule.readable)}"
    for spooled in found.spooled:
        kind = "/".join(part for part in (spooled.type, spooled.subtype) if part)
        yield f"in the spool: {visible(spooled.event_id)}  {visible(kind)}"
    if found.gap:
        yield _gap_line(found.gap)
    yield from _hints(found)


def _message_lines(message: StoredMessage) -> Iterator[str]:
    who = shown_user(message.user_id, message.user_name)
    edited = ", edited" if message.is_edited else ""
    reactions = f", {message.reactions} reactions" if message.reactions else ""
    reply = f", reply to {slack_ts(message.thread_ts)}" if message.thread_ts else ""
    yield f"  by {who}{edited}{reactions}{reply}"
    yield f"  {cut(message.text or '(no text)', 77)}"
    if message.is_live:
        yield f"  content of event {visible(message.event_id or '')}, {shown_time(message.event_ts)}"
    elif message.is_imported:
        yield "  content from Slack's history (an export or a backfill), not from an event"
    else:
        yield "  content from a call of slack.insert_message()"


def _event_lines(event: HistoryEvent) -> Iterator[str]:
    kind = "/".join(part for part in (event.type, event.subtype) if part) or "no type"
    did = f"discarded by rule {event.discard_id}" if event.did is Did.DISCARDED else _DID[event.did]
    yield f"{shown_time(event.event_ts)}  {cut(kind, 26):<26} {did}"
    late = shown_duration(max(event.lateness, event.lateness * 0))
    times = f", {event.deliveries} deliveries" if (event.deliveries or 1) > 1 else ""
    yield f"    {cut(event.event_id, 24)}  received {late} later{times}"
    if event.did is Did.REACTION:
        yield f"    {cut(event.text or '-', 40)} by {shown_user(event.user_id, event.user_name)}"
    if event.error:
        yield f"    {visible(event.error)}: {cut(event.error_message or '', 66)}"
    for replay in event.replays:
        why = f" by rule {replay.discard_id}" if replay.discard_id is not None else ""
        yield f"    replayed {shown_time(replay.at)}; it was {replay.outcome}{why} until then"


def _gap_line(gap: Gap) -> str:
    until = shown_time(gap.ended_at) if gap.ended_at else "now"
    state = f"closed {shown_time(gap.closed_at)}" if gap.closed_at else "not closed yet"
    return f"gap {gap.id}: {visible(gap.reason)}, {shown_time(gap.started_at)} to {until}, {state}"


def _hints(found: MessageHistory) -> Iterator[str]:
    """What the operator can do."""
    discarded = {event.discard_id for event in found.events if event.did is Did.DISCARDED}
    on = {rule.id for rule in found.rules if rule.is_on}
    for rule_id in sorted(id_ for id_ in discarded if id_ is not None):
        if rule_id in on:
            yield f"→ to store it, first: tiger-slack discard remove {rule_id}"
        yield f"→ to store it: tiger-slack replay --discarded-by {rule_id}"
    if found.verdict is Verdict.FAILED:
        failed = " ".join(e.event_id for e in found.events if e.did is Did.FAILED)
        yield f"→ once the reason is fixed: tiger-slack replay {visible(failed)}"
    if found.verdict is Verdict.NEVER_DELIVERED:
        if found.gap and not found.gap.closed_at:
            yield f"→ Slack's history may have it: tiger-slack backfill --gap {found.gap.id}"
        elif found.gap is None:
            yield "No gap covers its time. It may wait in the spool of another machine."
        if found.is_member is False:
            yield "→ The app is no member of the channel: invite it, or nothing comes from there."
        elif found.channel_name is None:
            yield "The channel is not known: is the id right, and is the app a member?"
