"""The effects and the outcome of each kind of event."""

from typing import Any

import pytest

from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.slack.events import (
    Envelope,
    EventEffect,
    Route,
    parse_envelope,
    route,
)

TS = "1700000000.000100"
CHANNEL = {"id": "C1", "name": "general", "created": 1}


def routed(event: dict[str, Any]) -> Route:
    frame = {"envelope_id": "e", "payload": {"event_id": "Ev1", "event": event}}
    envelope = parse_envelope(frame, received_at=0)
    assert envelope is not None
    return route(envelope)


def message(**fields: Any) -> dict[str, Any]:
    return {"type": "message", "channel": "C1", "ts": TS, "user": "U1", "text": "hi"} | fields


@pytest.mark.parametrize(
    "subtype",
    [
        None,
        "bot_message",
        "file_share",
        "me_message",
        "thread_broadcast",
        "channel_join",
        "new_one",
    ],
)
def test_messages_of_every_subtype_are_stored(subtype: str | None) -> None:
    result = routed(message(subtype=subtype))
    assert result == Route(
        "message", subtype, (EventEffect.MESSAGE,), Outcome.STORED, "C1", "U1", TS
    )


@pytest.mark.parametrize(
    "subtype", ["channel_topic", "channel_purpose", "channel_name", "group_topic"]
)
def test_messages_about_their_channel_change_it_too(subtype: str) -> None:
    assert routed(message(subtype=subtype)).effects == (EventEffect.MESSAGE, EventEffect.CHANNEL)


def test_a_change_aims_at_the_nested_message() -> None:
    event = message(
        subtype="message_changed", ts="2.0", message={"ts": TS, "user": "U2", "text": "x"}
    )
    result = routed(event)
    assert (result.effects, result.message_ts, result.user_id) == ((EventEffect.MESSAGE,), TS, "U2")


@pytest.mark.parametrize(
    "event",
    [
        message(subtype="message_deleted", deleted_ts=TS, ts="2.0"),
        message(subtype="message_changed", ts="2.0", message={"ts": TS, "subtype": "tombstone"}),
    ],
)
def test_deletions(event: dict[str, Any]) -> None:
    result = routed(event)
    assert (result.effects, result.channel_id, result.message_ts) == (
        (EventEffect.DELETION,),
        "C1",
        TS,
    )


@pytest.mark.parametrize(
    "event",
    [
        message(subtype="message_replied", message={"ts": TS}),
        {"type": "message", "channel": "C1", "ts": "2.0", "message": {"ts": TS, "reply_count": 1}},
        {"type": "app_mention", "channel": "C1", "ts": TS, "text": "hi", "user": "U1"},
        {"type": "member_joined_channel", "channel": "C1", "user": "U1"},
        {"type": "reaction_added", "user": "U1", "item": {"type": "file", "file": "F1"}},
        {"type": "reaction_added", "user": "U1"},
        {"type": "tokens_revoked"},
    ],
)
def test_audit_only(event: dict[str, Any]) -> None:
    result = routed(event)
    assert (result.effects, result.outcome) == ((), Outcome.AUDIT)


@pytest.mark.parametrize("type_", ["reaction_added", "reaction_removed"])
def test_reactions(type_: str) -> None:
    item = {"type": "message", "channel": "C1", "ts": TS}
    result = routed({"type": type_, "user": "U1", "reaction": "x", "item": item})
    assert result == Route(type_, None, (EventEffect.REACTION,), Outcome.STORED, "C1", "U1", TS)


@pytest.mark.parametrize("type_", ["user_change", "team_join", "user_profile_changed"])
def test_users(type_: str) -> None:
    result = routed({"type": type_, "user": {"id": "U1"}})
    assert (result.effects, result.user_id) == ((EventEffect.USER,), "U1")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "channel_created", "channel": CHANNEL},
        {"type": "channel_rename", "channel": CHANNEL},
        {"type": "group_rename", "channel": CHANNEL},
        {"type": "channel_archive", "channel": "C1", "user": "U1"},
        {"type": "group_unarchive", "channel": "C1"},
        {"type": "channel_deleted", "channel": "C1"},
        {"type": "channel_left", "channel": "C1"},
        {"type": "channel_shared", "channel": "C1"},
        {"type": "channel_id_changed", "old_channel_id": "C1", "new_channel_id": "C2"},
    ],
)
def test_channels(event: dict[str, Any]) -> None:
    result = routed(event)
    assert (result.effects, result.channel_id) == ((EventEffect.CHANNEL,), "C1")


@pytest.mark.parametrize("event", [{"type": "emoji_changed"}, {}, {"type": 5}])
def test_unknown_types_are_unrouted(event: dict[str, Any]) -> None:
    result = routed(event)
    assert (result.effects, result.outcome) == ((), Outcome.UNROUTED)


def envelope(frame: dict[str, Any]) -> Envelope:
    result = parse_envelope({"envelope_id": "e1"} | frame, received_at=12.5)
    assert result is not None
    return result


def test_an_event_is_known_by_its_event_id_alone() -> None:
    payload = {"event_id": "Ev1", "event_time": 5, "team_id": "T1", "event": {"type": "x"}}
    result = envelope({"retry_attempt": 2, "payload": payload})
    assert result == Envelope("e1", "Ev1", "5", "T1", {"type": "x"}, 12.5)


def test_the_inner_time_counts_before_that_of_the_delivery() -> None:
    payload = {"event_id": "Ev1", "event_time": 5, "event": {"event_ts": TS}}
    assert envelope({"payload": payload}).event_ts == TS
    payload["event"] = {"event_ts": "never"}
    assert envelope({"payload": payload}).event_ts == "5"
    del payload["event_time"]
    assert envelope({"payload": payload}).event_ts == "12.500000"


def test_without_an_event_id_the_content_identifies() -> None:
    limited = {"type": "app_rate_limited", "token": "secret", "minute_rate_limited": 60}
    first = envelope({"payload": limited, "retry_attempt": 0})
    again = envelope({"payload": limited, "retry_attempt": 1, "envelope_id": "e2"})
    assert first.event_id == again.event_id
    assert first.event_id.startswith("sha256:")
    assert first.event_id != envelope({"payload": limited | {"minute_rate_limited": 120}}).event_id
    assert (first.event_ts, first.problem) == ("60", None)
    assert "token" not in first.event
    assert route(first).outcome is Outcome.AUDIT


@pytest.mark.parametrize(
    "payload", [None, [], "x", {}, {"event": None}, {"event": ["x"], "type": "event_callback"}]
)
def test_a_malformed_envelope_is_kept_as_a_failure(payload: object) -> None:
    result = envelope({"payload": payload, "type": "events_api"})
    assert result.problem is not None
    assert route(result).outcome is Outcome.FAILED


def test_what_cannot_be_acknowledged_is_no_envelope() -> None:
    assert parse_envelope({"type": "events_api"}, received_at=0) is None
    assert parse_envelope({"envelope_id": 5}, received_at=0) is None
