"""The tool `why`: what became of a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field

from tiger_slack_tui.audit.why import (
    MessageTrail,
    TrailEvent,
    Verdict,
    fetch_message_trail,
)
from tiger_slack_tui.mcp.answers import Answer, AnswerModel, Time, fitting, noted
from tiger_slack_tui.mcp.call import Call
from tiger_slack_tui.mcp.quoting import quote_name, quote_source
from tiger_slack_tui.mcp.tools.directory import GapInfo, gap_info
from tiger_slack_tui.mcp.tools.parameters import MessageChannel, MessageTs
from tiger_slack_tui.store.readable_messages import plain_names

_MOST_TEXT = 500
_EVENTS_BUDGET = 30_000
"""Characters of the events in an answer."""
_EXPLANATIONS = {
    Verdict.STORED: "It is stored.",
    Verdict.DELETED: "It was deleted in Slack.",
    Verdict.LOST_ROW: "It was stored. Its row is gone, but Slack reported no deletion.",
    Verdict.FAILED: "It is not stored: the database refused it.",
    Verdict.DISCARDED: "It is not stored: a rule of the operators discarded it.",
    Verdict.SPOOLED: "It is not stored yet: it waits on the disk of the machine that received it.",
    Verdict.AUDIT_ONLY: "It is not stored: there are events about it, but none with its content.",
    Verdict.BEFORE_TRAIL: "It is not stored, and it is older than the audit trail of events.",
    Verdict.NEVER_DELIVERED: "It is not stored: Slack never delivered an event about it.",
}


class MessageEventInfo(AnswerModel):
    """An event of Slack about the message."""

    event_id: str
    type: str | None = None
    subtype: str | None = None
    happened_at: Time
    received_at: Time
    effect: str = Field(description="What the event did to the message.")
    rule_id: int | None = Field(default=None, description="The rule that discarded it.")
    error: str | None = Field(
        default=None, description="SQLSTATE or class of the error, if it failed."
    )


class MessageAtSecond(AnswerModel):
    """One of several messages of a second."""

    ts: str
    user_id: str | None = None
    user: str | None = None
    quoted_text: str | None = Field(
        default=None, description="Absent if the message is not stored."
    )


class Why(Answer):
    """What is known about a message; only `messages_of_second` if its ts fits none or several."""

    channel_id: str
    channel: str | None = None
    ts: str
    verdict: str | None = None
    explanation: str | None = None
    quoted_text: str | None = Field(
        default=None, description="The beginning of the text as Slack sent it."
    )
    user_id: str | None = None
    user: str | None = None
    deleted_at: Time | None = None
    is_member: bool | None = Field(
        default=None,
        description="Whether the app is in the channel: only then Slack sends its messages.",
    )
    complete_since: Time | None = Field(
        default=None,
        description="Since when the channel is complete; absent if unknown. Older messages may be missing.",
    )
    complete_until: Time | None = Field(
        default=None, description="Until when the channel is complete; absent if until now."
    )
    events: list[MessageEventInfo] = Field(default=[])
    import_file: str | None = Field(
        default=None, description="The file of an export that contains it."
    )
    gap: GapInfo | None = Field(default=None, description="A time without events that covers it.")
    messages_of_second: list[MessageAtSecond] | None = Field(
        default=None,
        description="The messages of the second, if ts fits none or several. Ask again with one's ts.",
    )


async def why(call: Call, channel: MessageChannel, ts: MessageTs = None) -> Why:
    """Explain what became of a message: why it is stored, deleted, discarded, or missing."""
    channel_id, named = await call.message(channel, ts)
    found = await replace(named, channel=channel_id).find(call.connection, call.spooled)
    if isinstance(found, list):
        return Why(
            channel_id=channel_id,
            channel=quote_name(
                (await plain_names(call.connection, [channel_id], call.visible)).get(channel_id)
            ),
            ts=named.ts,
            messages_of_second=[
                MessageAtSecond(
                    ts=each.slack_ts,
                    user_id=each.user_id,
                    user=quote_name(each.user_name),
                    quoted_text=None if each.text is None else quote_source(each.text),
                )
                for each in found
            ],
        )
    trail = await fetch_message_trail(
        call.connection, *found, spooled=call.spooled, visible=call.visible
    )
    user_id = trail.message.user_id if trail.message else None
    names = await plain_names(call.connection, {channel_id, user_id or ""}, call.visible)
    return _why(trail, names)


def _why(found: MessageTrail, names: Mapping[str, str]) -> Why:
    message = found.message
    events, all_fit = fitting(map(_event, found.events), _EVENTS_BUDGET)
    return Why(
        notes=noted(None if all_fit else "Truncated: there are more events about the message."),
        channel_id=found.channel_id,
        channel=quote_name(names.get(found.channel_id)),
        ts=found.slack_ts,
        verdict=found.verdict,
        explanation=_EXPLANATIONS[found.verdict],
        quoted_text=quote_source(message.text)[:_MOST_TEXT] if message and message.text else None,
        user_id=message.user_id if message else None,
        user=quote_name(names.get(message.user_id or "")) if message else None,
        deleted_at=found.deleted_at,
        is_member=found.is_member,
        complete_since=found.complete_since,
        complete_until=found.complete_until,
        events=events,
        import_file=found.import_file.path if found.import_file else None,
        gap=gap_info(found.gap) if found.gap else None,
    )


def _event(event: TrailEvent) -> MessageEventInfo:
    return MessageEventInfo(
        event_id=event.event_id,
        type=event.type,
        subtype=event.subtype,
        happened_at=event.event_ts,
        received_at=event.received_at,
        effect=event.did,
        rule_id=event.discard_id,
        error=event.error,
    )
