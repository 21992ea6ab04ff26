"""What is known about a message as lines of text, for `tiger-slack why` and the console."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from tiger_slack_tui.audit.why import Effect, HistoryEvent, MessageHistory, Verdict
from tiger_slack_tui.audit.words import format_channel, format_error, format_time, format_user
from tiger_slack_tui.base.text import amount, cut, lines, visible
from tiger_slack_tui.base.times import duration
from tiger_slack_tui.slack.ts import slack_ts
from tiger_slack_tui.store.message_history import CoveringGap, MessageOfSecond, StoredMessage

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
_MOST_OF_ERROR = 10
"""The most lines of PostgreSQL's message about an event that failed."""


def why_lines(found: MessageHistory) -> Iterator[str]:
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


def second_lines(
    channel: str, messages: Sequence[MessageOfSecond], command: str = "why"
) -> Iterator[str]:
    """The messages of one second, and the command line that asks for one of them."""
    yield f"{amount(len(messages), 'message')} of that second:"
    for message in messages:
        head = f"  {message.slack_ts}  {format_user(message.user_id, message.user_name, 24)}  "
        yield head + cut(message.text or "(not stored)", max(79 - len(head), 8))
    named = shlex.quote(visible(channel))  # a # begins a comment of the shell
    yield f"→ for one of them: tiger-slack {command} {named} {messages[0].slack_ts}"


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
        for row in lines(event.error_message or "", 75, _MOST_OF_ERROR, at_words=True):
            yield f"    {row}"
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
