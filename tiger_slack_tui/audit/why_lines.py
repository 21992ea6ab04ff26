"""What is known about a message as lines of at most 80 columns, for `tiger-slack why` and the console.

Only a command to copy can be longer.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from tiger_slack_tui.audit.detail_lines import replay_words, rule_words
from tiger_slack_tui.audit.reference import MessageReference
from tiger_slack_tui.audit.rule_names import with_names
from tiger_slack_tui.audit.why import Effect, MessageTrail, TrailEvent, Verdict
from tiger_slack_tui.audit.words import (
    event_kind,
    format_channel,
    format_error,
    format_time,
    format_user,
    receipt,
)
from tiger_slack_tui.base.text import amount, cut, lines, visible
from tiger_slack_tui.slack.ts import slack_ts
from tiger_slack_tui.store.gaps import BY_HAND, JOINED
from tiger_slack_tui.store.message_trail import CoveringGap, MessageOfSecond, StoredMessage

_VERDICTS = {
    Verdict.STORED: "It is stored.",
    Verdict.DELETED: "It was deleted in Slack, {deleted_at}.",
    Verdict.LOST_ROW: "It was stored. Its row is gone, but Slack reported no deletion.",
    Verdict.FAILED: "It is not stored: the database refused it.",
    Verdict.DISCARDED: "It is not stored: a rule discarded it.",
    Verdict.SPOOLED: "It is not stored yet: it waits in this machine's spool.",
    Verdict.AUDIT_ONLY: "It is not stored: there are events about it, but none with its content.",
    Verdict.BEFORE_TRAIL: "It is not stored. The audit trail begins later, {trail_since}.",
    Verdict.NEVER_DELIVERED: "Slack never delivered it.",
}
_OF_SECOND = {
    Verdict.BEFORE_TRAIL: "No message of that second is stored. The audit trail begins later, {trail_since}.",
    Verdict.NEVER_DELIVERED: "Slack delivered no message of that second.",
}
"""Where only the second was asked for, and it has no message."""
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
_ASKED_BY = {JOINED: "of before the app joined", BY_HAND: "which an operator asked for"}
"""The histories by their reasons."""
_MOST_OF_ERROR = 10
"""The most lines of PostgreSQL's message about an event that failed."""
_WIDTH = 79
_MOST_LINES = 20
"""The most lines of a condition or a path."""


def why_lines(found: MessageTrail) -> Iterator[str]:
    """The trail as text: the verdict, what it follows from, and what the operator can do."""
    where = format_channel(found.channel_id, found.channel_name)
    ts = found.slack_ts.partition(".")[0] if found.is_second else found.slack_ts
    yield f"{where}  {ts}  {format_time(found.ts)}"
    yield from _wrapped(_verdict(found))
    if found.message:
        yield from _message_lines(found.message)
    if found.import_file:
        file = found.import_file
        yield from _wrapped(f"an import read it from {file.path}", 2)
        yield from _wrapped(f"of {file.source}, started {format_time(file.started_at)}", 4)
    for event in found.events:
        yield from _event_lines(event)
    for rule in found.rules:
        yield from _wrapped(f"rule {rule_words(rule)}:")
        yield from _wrapped(with_names(rule.readable, found.names), 4)
    for spooled in found.spooled:
        kind = event_kind(spooled.type, spooled.subtype)
        yield from _wrapped(f"in the spool: {spooled.event_id}  {kind}")
    if found.gap:
        yield from _gap_lines(found.gap)
    if found.backfill and not found.message:
        yield from _history_lines(found.backfill, found.running_backfill)
    yield from _hints(found)


def second_lines(
    wanted: MessageReference, messages: Sequence[MessageOfSecond], command: str = "why"
) -> Iterator[str]:
    """The messages of one second, and the command line that asks for one of them."""
    if wanted.is_second:
        yield f"{amount(len(messages), 'message')} of that second:"
    else:
        yield f"No message has the ts {wanted.ts}. The same second has:"
    for message in messages:
        head = f"  {message.slack_ts}  {format_user(message.user_id, message.user_name, 24)}  "
        yield head + cut(message.text or "(not stored)", max(_WIDTH - len(head), 8))
    named = shlex.quote(visible(wanted.channel))  # a # begins a comment of the shell
    yield f"→ for one of them: tiger-slack {command} {named} {messages[0].slack_ts}"


def _verdict(found: MessageTrail) -> str:
    if found.verdict is Verdict.BEFORE_TRAIL and found.trail_since is None:
        return "It is not stored. The audit trail is empty."
    texts = _VERDICTS | (_OF_SECOND if found.is_second else {})
    return texts[found.verdict].format(
        deleted_at=format_time(found.deleted_at), trail_since=format_time(found.trail_since)
    )


def _wrapped(text: str, indent: int = 0) -> Iterator[str]:
    """The text in lines that begin with `indent` blanks, broken after words."""
    for row in lines(text, _WIDTH - indent, _MOST_LINES, at_words=True):
        yield " " * indent + row


def _message_lines(message: StoredMessage) -> Iterator[str]:
    who = format_user(message.user_id, message.user_name)
    edited = ", edited" if message.is_edited else ""
    reactions = f", {amount(message.reactions, 'reaction')}" if message.reactions else ""
    reply = f", reply to {slack_ts(message.thread_ts)}" if message.thread_ts else ""
    yield f"  by {who}{edited}{reactions}{reply}"
    yield f"  {cut(message.text or '(no text)', _WIDTH - 2)}"
    if message.is_live:
        content = f"content of event {message.event_id}, {format_time(message.event_ts)}"
    elif message.is_imported:
        content = "content from Slack's history (an export or a backfill), not from an event"
    else:
        content = "content from a call of slack.insert_message()"
    yield from _wrapped(content, 2)


def _event_lines(event: TrailEvent) -> Iterator[str]:
    kind = event_kind(event.type, event.subtype)
    did = (
        f"discarded by rule {event.discard_id}"
        if event.did is Effect.DISCARDED
        else _DID[event.did]
    )
    yield f"{format_time(event.event_ts)}  {cut(kind, 23):<23} {did}"
    times = f", {event.deliveries} deliveries" if (event.deliveries or 1) > 1 else ""
    yield f"    {cut(event.event_id, 24)}  {receipt(event.event_ts, event.received_at)}{times}"
    if event.did is Effect.REACTION:
        yield f"    {cut(event.text or '-', 40)} by {format_user(event.user_id, event.user_name)}"
    if event.error:
        yield f"    {cut(format_error(event.error), 75)}"
        for row in lines(event.error_message or "", 75, _MOST_OF_ERROR, at_words=True):
            yield f"    {row}"
    for replay in event.replays:
        yield f"    replayed {replay_words(replay)}"


def _gap_lines(gap: CoveringGap) -> Iterator[str]:
    until = format_time(gap.ended_at) if gap.ended_at else "now"
    state = f"closed {format_time(gap.closed_at)}" if gap.closed_at else "still open"
    yield f"{gap.title}, {visible(gap.reason)}: {state}"
    yield f"    {format_time(gap.started_at)} to {until}"


def _history_lines(history: CoveringGap, running: str | None) -> Iterator[str]:
    """A history that covers its time, and what came of its backfill."""
    closed = history.closed_at
    if closed:
        state = f"{'given up' if history.is_given_up else 'read'} {format_time(closed)}"
    else:
        state = "being read" if running and not history.error else "not finished"
    is_whole = history.started_at.timestamp() <= 0
    begin = "the beginning" if is_whole else format_time(history.started_at)
    yield f"{history.title}, {_ASKED_BY[history.reason]}: {state}"
    yield f"    {begin} to {format_time(history.ended_at)}"
    if closed and not history.is_given_up:
        return
    if history.error:
        yield from _wrapped(f"ended {format_time(history.tried_at)}: {history.error}", 4)
    elif running:
        yield from _wrapped(running, 4)
    elif history.reason == JOINED:
        yield "    it waits for the job backfill"
    else:
        yield "    its backfill was killed, or waits for an instance"


def _completeness(found: MessageTrail) -> Iterator[str]:
    """Whether the channel is complete at the message's time."""
    since, until = found.complete_since, found.complete_until
    if since is None:
        yield "It is not known for which time the channel is complete."
    elif found.ts < since:
        yield f"The channel is not complete before {format_time(since)}."
    elif until is not None and found.ts >= until:
        yield f"The channel is not complete after {format_time(until)}."
    else:
        yield from _wrapped(
            "The channel is complete at its time: when it was read, Slack's history did not have the message."
        )


def _hints(found: MessageTrail) -> Iterator[str]:
    """What the operator can do."""
    discarded = {event.discard_id for event in found.events if event.did is Effect.DISCARDED}
    on = {rule.id for rule in found.rules if rule.is_on}
    for rule_id in sorted(id_ for id_ in discarded if id_ is not None):
        do = "to apply what it discarded" if found.message else "to store it"
        if rule_id in on:
            yield f"→ {do}, first: tiger-slack discard off {rule_id}"
        yield f"→ {do}: tiger-slack replay --discarded-by {rule_id}"
    if found.verdict is Verdict.FAILED:
        failed = " ".join(e.event_id for e in found.events if e.did is Effect.FAILED)
        yield f"→ to store it, fix the error, then: tiger-slack replay {visible(failed)}"
    if found.verdict in (Verdict.NEVER_DELIVERED, Verdict.BEFORE_TRAIL):
        history = found.backfill
        if found.gap and not found.gap.closed_at:
            yield f"→ to look for it in Slack's history: tiger-slack backfill --{found.gap.title}"
        elif history and not history.closed_at and found.running_backfill and not history.error:
            yield "The history is being read now. Ask again later."
        elif history and not history.closed_at:
            yield f"→ to read the rest of the history: tiger-slack backfill --{history.title}"
        elif found.gap is None and found.verdict is Verdict.NEVER_DELIVERED:
            yield "No gap covers its time. It may be in the spool of another machine."
        yield from _completeness(found)
        if found.is_member is False:
            yield "→ The app is not a member of the channel. To receive its messages, invite it."
        elif found.channel_name is None:
            yield "The channel is unknown. Check the id, and whether the app is a member."
