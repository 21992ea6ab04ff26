"""Reads Slack's envelopes and the events in them, and routes each event: which tables it changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import orjson

from tiger_slack_tui.base.ids import ChannelId, EnvelopeId, EventId, SlackTs, TeamId, UserId
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.slack.ts import number_text, parse_ts

Id = TypeVar("Id")

LONGEST_ID = 200
"""Most characters of an id. Slack's have about a dozen, and PostgreSQL's index entry has at most 2,700 bytes."""


class EventEffect(StrEnum):
    """What an event changes."""

    MESSAGE = "message"
    DELETION = "deletion"
    REACTION = "reaction"
    USER = "user"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A frame that needs an ack. `event` is the inner event. `event_id` identifies it in every delivery."""

    envelope_id: EnvelopeId
    event_id: EventId
    event_ts: SlackTs
    """When it happened, as Slack's ts; if the event has none, event_time or the time of receipt."""
    team_id: TeamId | None
    event: Mapping[str, Any]
    received_at: float
    """Seconds since 1970, by this machine's clock, corrected by Slack's."""
    problem: str | None = None
    """Why the frame is not an event; then `event` is the whole frame."""
    own_users: frozenset[UserId] = frozenset()
    """The ids of the app's bot user, of which Slack delivers the event."""


@dataclass(frozen=True, slots=True)
class Route:
    """The subject of an event, and the changes that follow from it."""

    type: str | None
    subtype: str | None
    effects: tuple[EventEffect, ...]
    outcome: Outcome
    channel_id: ChannelId | None = None
    user_id: UserId | None = None
    message_ts: SlackTs | None = None


def parse_envelope(frame: Mapping[str, Any], *, received_at: float) -> Envelope | None:
    """The event in a decoded events_api frame; None if the frame has no envelope_id to acknowledge.

    Never raises. A frame that is not an event becomes an Envelope with a `problem`.
    """
    envelope_id = _id(EnvelopeId, frame.get("envelope_id"))
    if not envelope_id:
        return None
    payload = frame.get("payload")
    if not isinstance(payload, dict):
        payload, event, problem = {}, dict(frame), "the envelope has no payload"
        event.pop("envelope_id")  # changes with each delivery
        event.pop("retry_attempt", None)
        event.pop("retry_reason", None)
    elif isinstance(payload.get("event"), dict):
        event, problem = payload["event"], None
    else:  # app_rate_limited has no inner event; `token` is a secret of the app
        event = {key: value for key, value in payload.items() if key != "token"}
        is_event = payload.get("type") not in (None, "event_callback")
        problem = None if is_event else "the payload has no event"
    return Envelope(
        envelope_id=envelope_id,
        event_id=_identity(payload.get("event_id"), event),
        event_ts=_time(event, payload) or SlackTs(f"{received_at:.6f}"),
        team_id=_id(TeamId, payload.get("team_id")),
        event=event,
        received_at=received_at,
        problem=problem,
        own_users=frozenset(_own_users(payload.get("authorizations"))),
    )


def route(envelope: Envelope) -> Route:
    """Find what the event concerns and changes. Never raises; a field of a wrong type counts as missing."""
    event = envelope.event
    type_, subtype = _name(event.get("type")), _name(event.get("subtype"))
    if envelope.problem is not None:
        return Route(type_, subtype, (), Outcome.FAILED)
    if type_ == "message":
        return _route_message(event, subtype)
    if type_ in _REACTION_EVENTS:
        return _route_reaction(event, type_)
    outcome = Outcome.AUDIT if type_ in _AUDIT_ONLY else Outcome.UNROUTED
    effects: tuple[EventEffect, ...] = ()
    if type_ in _USER_EVENTS:
        effects, outcome = (EventEffect.USER,), Outcome.STORED
    elif type_ in _CHANNEL_EVENTS or (
        type_ in _MEMBER_EVENTS and _user(event) in envelope.own_users
    ):
        effects, outcome = (EventEffect.CHANNEL,), Outcome.STORED
    return Route(type_, subtype, effects, outcome, _channel(event), _user(event))


_USER_EVENTS = frozenset({"user_change", "team_join", "user_profile_changed"})
_CHANNEL_EVENTS = frozenset(
    {
        "channel_created",
        "channel_rename",
        "channel_archive",
        "channel_unarchive",
        "channel_deleted",
        "channel_left",
        "channel_shared",
        "channel_unshared",
        "channel_id_changed",
        "group_rename",
        "group_archive",
        "group_unarchive",
        "group_deleted",
        "group_left",
    }
)
# System messages about a change of their channel.
CHANNEL_SUBTYPES = frozenset(
    f"{kind}_{what}" for kind in ("channel", "group") for what in ("topic", "purpose", "name")
) | {"channel_convert_to_private", "channel_convert_to_public"}
_MEMBER_EVENTS = frozenset({"member_joined_channel", "member_left_channel"})
"""They change a channel if they are about the app itself."""
_AUDIT_ONLY = _MEMBER_EVENTS | {
    "app_mention",
    "app_rate_limited",
    "app_uninstalled",
    "tokens_revoked",
}
_REACTION_EVENTS = frozenset({"reaction_added", "reaction_removed"})
KNOWN_TYPES = _USER_EVENTS | _CHANNEL_EVENTS | _AUDIT_ONLY | _REACTION_EVENTS | {"message"}
"""The types of events that this version processes, or knowingly keeps in the audit trail only."""


def _route_message(event: Mapping[str, Any], subtype: str | None) -> Route:
    channel = _channel(event)
    nested = event.get("message")
    if subtype == "message_changed":
        if not isinstance(nested, dict):
            return Route("message", subtype, (EventEffect.MESSAGE,), Outcome.STORED, channel)
        gone = nested.get("subtype") == "tombstone"  # a deleted parent whose thread still exists
        effect = EventEffect.DELETION if gone else EventEffect.MESSAGE
        target, user = _ts(nested.get("ts")), _id(UserId, nested.get("user"))
        return Route("message", subtype, (effect,), Outcome.STORED, channel, user, target)
    if subtype == "message_deleted":
        target = _ts(event.get("deleted_ts"))
        return Route(
            "message", subtype, (EventEffect.DELETION,), Outcome.STORED, channel, None, target
        )
    target = _ts(event.get("ts"))
    replied = subtype is None and isinstance(nested, dict) and "text" not in event
    if subtype == "message_replied" or replied:
        return Route("message", subtype, (), Outcome.AUDIT, channel, None, target)
    effects: tuple[EventEffect, ...] = (EventEffect.MESSAGE,)
    if subtype in CHANNEL_SUBTYPES:
        effects = (EventEffect.MESSAGE, EventEffect.CHANNEL)
    return Route("message", subtype, effects, Outcome.STORED, channel, _user(event), target)


def _route_reaction(event: Mapping[str, Any], type_: str) -> Route:
    item = event.get("item")
    user = _id(UserId, event.get("user"))
    if not isinstance(item, dict) or item.get("type") != "message":
        return Route(type_, None, (), Outcome.AUDIT, None, user)
    channel, target = _id(ChannelId, item.get("channel")), _ts(item.get("ts"))
    return Route(type_, None, (EventEffect.REACTION,), Outcome.STORED, channel, user, target)


def _channel(event: Mapping[str, Any]) -> ChannelId | None:
    channel = event.get("channel", event.get("old_channel_id"))
    return _id(ChannelId, channel.get("id") if isinstance(channel, dict) else channel)


def _user(event: Mapping[str, Any]) -> UserId | None:
    user = event.get("user")
    return _id(UserId, user.get("id") if isinstance(user, dict) else user)


def _own_users(authorizations: object) -> Iterator[UserId]:
    """The bot users of a payload's `authorizations`: https://docs.slack.dev/apis/events-api/#authorizations"""
    for each in authorizations if isinstance(authorizations, list) else ():
        if isinstance(each, dict) and each.get("is_bot") is True:
            user = _id(UserId, each.get("user_id"))
            if user:
                yield user


def _identity(event_id: object, event: Mapping[str, Any]) -> EventId:
    """Slack's event_id, or a digest of the content if there is none (app_rate_limited, malformed frames)."""
    if isinstance(event_id, str) and 0 < len(event_id) <= LONGEST_ID:
        return EventId(event_id)
    canonical = orjson.dumps([event_id, event], option=orjson.OPT_SORT_KEYS)
    return EventId(f"sha256:{hashlib.sha256(canonical).hexdigest()}")


def _time(event: Mapping[str, Any], payload: Mapping[str, Any]) -> SlackTs | None:
    for time in (
        event.get("event_ts"),
        payload.get("event_time"),
        event.get("minute_rate_limited"),
    ):
        if parse_ts(time) is not None:
            return SlackTs(number_text(time))
    return None


def _name(value: object) -> str | None:
    """An id or a type. It is indexed, so a value that is too long for an index counts as missing."""
    return value if isinstance(value, str) and len(value) <= LONGEST_ID else None


def _id(kind: Callable[[str], Id], value: object) -> Id | None:
    name = _name(value)
    return None if name is None else kind(name)


def _ts(value: object) -> SlackTs | None:
    return SlackTs(value) if isinstance(value, str) else None
