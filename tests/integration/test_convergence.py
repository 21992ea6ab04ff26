"""Any order and any repetition of the same events, in any batches, ends in the same tables."""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from tests.support import SCALE, wrong_documents
from tiger_slack_tui.ingest.record import encode_record
from tiger_slack_tui.slack.events import parse_envelope, route

pytestmark = pytest.mark.slow

channels = st.sampled_from(["C1", "C2"])
users = st.sampled_from(["U1", "U2"])
times = st.integers(1, 6).map(lambda n: f"170000000{n}.000100")
texts = st.sampled_from(["a", "b", "c"])
maybe = st.none() | texts

message = st.fixed_dictionaries(
    {"type": st.just("message"), "user": users, "text": texts, "ts": times},
    optional={"thread_ts": times, "subtype": st.sampled_from(["bot_message", "file_share"])},
)


def _post(channel: str, content: dict[str, Any]) -> dict[str, Any]:
    return content | {"channel": channel, "event_ts": content["ts"], "channel_type": "channel"}


def _change(channel: str, content: dict[str, Any], at: str) -> dict[str, Any]:
    change = {"type": "message", "subtype": "message_changed", "message": content}
    return change | {"channel": channel, "ts": at, "event_ts": at, "channel_type": "channel"}


def _delete(channel: str, ts: str, at: str) -> dict[str, Any]:
    deletion = {"type": "message", "subtype": "message_deleted", "deleted_ts": ts}
    return deletion | {"channel": channel, "ts": at, "event_ts": at}


def _react(kind: str, channel: str, ts: str, user: str, name: str, at: str) -> dict[str, Any]:
    item = {"type": "message", "channel": channel, "ts": ts}
    return {"type": kind, "item": item, "user": user, "reaction": name, "event_ts": at}


def _topic(channel: str, topic: str, at: str) -> dict[str, Any]:
    post = {"type": "message", "subtype": "channel_topic", "topic": topic, "text": topic}
    return post | {"channel": channel, "ts": at, "event_ts": at}


user_event = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["user_change", "team_join", "user_profile_changed"]),
        "event_ts": times,
        "user": st.fixed_dictionaries(
            {"id": users},
            optional={
                "name": maybe,
                "updated": st.integers(1, 4),
                "tz": maybe,
                "deleted": st.booleans() | st.none(),
                "tz_offset": st.integers(-3, 3),
                "profile": st.fixed_dictionaries(
                    {}, optional={"email": maybe, "display_name": maybe}
                ),
            },
        ),
    }
)
channel_object = st.fixed_dictionaries(
    {"id": channels},
    optional={
        "name": texts,
        "created": st.integers(1, 4),
        "updated": st.integers(1, 4),
        "is_archived": st.booleans(),
        "topic": st.fixed_dictionaries({"value": texts, "last_set": st.integers(1, 6)}),
    },
)
channel_event = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["channel_created", "channel_rename", "group_rename"]),
        "channel": channel_object,
        "event_ts": times,
    }
) | st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "channel_archive",
                "channel_unarchive",
                "channel_deleted",
                "channel_left",
                "channel_shared",
            ]
        ),
        "channel": channels,
        "event_ts": times,
    }
)
event = st.one_of(
    st.builds(_post, channels, message),
    st.builds(_post, channels, message),
    st.builds(_change, channels, message, times),
    st.builds(
        _change, channels, message.map(lambda content: content | {"subtype": "tombstone"}), times
    ),
    st.builds(_delete, channels, times, times),
    st.builds(
        _react,
        st.sampled_from(["reaction_added", "reaction_removed"]),
        channels,
        times,
        users,
        texts,
        times,
    ),
    st.builds(_topic, channels, texts, times),
    user_event,
    channel_event,
)

STATE = {
    "message": "select * from slack.message order by channel_id, ts",
    "message_search": "select * from slack.message_search order by channel_id, ts",
    "reaction": "select * from slack.reaction order by channel_id, ts, user_id, reaction",
    "tombstone": "select * from slack.tombstone order by channel_id, ts",
    "user": 'select * from slack."user" order by id',
    "channel": "select * from slack.channel order by id",
    "event": "select event_id, event_ts, type, subtype, event, error, outcome from slack.event order by event_id",
}


def _record(event_id: str, content: dict[str, Any]) -> bytes:
    frame = {"envelope_id": "x", "payload": {"event_id": event_id, "event": content}}
    envelope = parse_envelope(frame, received_at=0)
    assert envelope is not None
    return encode_record(envelope, route(envelope))


def clear(connection: psycopg.Connection[Any]) -> None:
    """Empty the tables; of a few rows `delete` is far quicker than `truncate`, which makes new files."""
    with connection.transaction():
        for table in (*STATE, "delivery"):
            name = '"user"' if table == "user" else table
            connection.execute(f"delete from slack.{name}".encode())  # noqa: S608 our own names


def _state(connection: psycopg.Connection[Any], batches: list[list[bytes]]) -> dict[str, Any]:
    """What the tables hold after these batches."""
    clear(connection)
    for batch in batches:
        text = (b"[" + b",".join(batch) + b"]").decode()
        connection.execute("select slack.ingest(%s::jsonb)", (text,))
    assert wrong_documents(connection) == []
    with connection.cursor(row_factory=dict_row) as cursor:
        return {table: cursor.execute(query).fetchall() for table, query in STATE.items()}


@settings(
    max_examples=40 * SCALE,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(event, min_size=1, max_size=12), st.data())
def test_same_tables_from_any_order(
    database: psycopg.Connection[Any], events: list[dict[str, Any]], data: st.DataObject
) -> None:
    records = [_record(f"Ev{n:02d}", content) for n, content in enumerate(events)]
    again = data.draw(st.lists(st.sampled_from(records), max_size=6), label="delivered again")
    order = data.draw(st.permutations(records + again), label="order")
    size = data.draw(st.integers(1, 6), label="batch size")
    batches = [order[at : at + size] for at in range(0, len(order), size)]
    in_turn = _state(database, [[record] for record in records])
    assert _state(database, batches) == in_turn
    assert len(in_turn["event"]) == len(records)
