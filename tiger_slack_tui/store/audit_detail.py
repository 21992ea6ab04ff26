"""Reads one event of the audit trail, and the row that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString, NamedTuple

from tiger_slack_tui.base.ids import ChannelId, EventId, SlackTs, TeamId, UserId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_row, fetch_value
from tiger_slack_tui.store.names import PERSON_NAME
from tiger_slack_tui.store.readable_messages import known_span

# slack.event is partitioned by event_ts, which slack.delivery knows.
_EVENT: LiteralString = f"""
select e.id, e.event_id, e.event_ts, e.received_at, e.type, e.subtype, e.outcome, e.discard_id, e.team_id
, e.channel_id, e.user_id, e.message_ts, slack.to_ts(e.message_ts) as slack_ts, e.event::text as event, e.error
, e.replays, d.deliveries, d.last_received_at, slack.message_content(e.event)::text as message
, c.channel_name, {PERSON_NAME} as user_name
from slack.delivery d
join slack.event e on e.event_ts = d.event_ts and e.event_id = d.event_id
left join slack.channel c on c.id = e.channel_id
left join slack."user" u on u.id = e.user_id
where d.event_id = %s
"""  # noqa: S608 our own text
_MESSAGE: LiteralString = """
select m.event_id = %(event_id)s as is_own, m.event_ts
from slack.message m
where m.channel_id = %(channel_id)s
and m.ts = slack.to_timestamptz(%(slack_ts)s)
and m.ts between %(first)s::timestamptz and %(last)s::timestamptz
"""
_TOMBSTONE: LiteralString = """
select t.deleted_at from slack.tombstone t
where t.channel_id = %(channel_id)s
and t.ts = slack.to_timestamptz(%(slack_ts)s)
"""
_REACTION: LiteralString = """
select r.event_id = %(event_id)s as is_own, r.event_ts
from slack.reaction r
where r.channel_id = %(channel_id)s
and r.ts = slack.to_timestamptz(%(slack_ts)s)
and r.user_id = %(user_id)s
and r.reaction = %(reaction)s
"""
_EXISTS: dict[str, LiteralString] = {
    "user": 'select exists (select from slack."user" u where u.id = %s)',
    "channel": "select exists (select from slack.channel c where c.id = %s)",
}


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of slack.event with its row of slack.delivery. `event` and `message` were written by people."""

    id: int
    event_id: EventId
    event_ts: datetime
    received_at: datetime
    type: str | None
    subtype: str | None
    outcome: str
    discard_id: int | None
    team_id: TeamId | None
    channel_id: ChannelId | None
    user_id: UserId | None
    message_ts: datetime | None
    slack_ts: SlackTs | None
    """`message_ts` as Slack's text."""
    event: str
    """JSON."""
    error: dict[str, Any] | None
    replays: list[dict[str, Any]] | None
    deliveries: int
    last_received_at: datetime
    message: str
    """The message in the event, as rules see it. JSON."""
    channel_name: str | None
    user_name: str | None


class Content(NamedTuple):
    """The content of a message's or a reaction's row: whether it came from the event asked about, and its time."""

    is_own: bool
    event_ts: datetime | None


async def fetch_stored_event(connection: Connection, event_id: EventId) -> StoredEvent | None:
    """The event; None if it was never delivered, or was deleted because of its age."""
    return await fetch_row(connection, StoredEvent, _EVENT, (event_id,))


async def message_content(
    connection: Connection, channel_id: ChannelId, slack_ts: SlackTs, *, event_id: EventId
) -> Content | None:
    """The content of the message's row; None if there is no row."""
    values = {"channel_id": channel_id, "slack_ts": slack_ts, "event_id": event_id}
    return await _content(connection, _MESSAGE, values | known_span(slack_ts))


async def reaction_content(
    connection: Connection,
    channel_id: ChannelId,
    slack_ts: SlackTs,
    user_id: UserId,
    reaction: str,
    *,
    event_id: EventId,
) -> Content | None:
    """The state of the reaction's row; None if there is no row."""
    values = {
        "channel_id": channel_id,
        "slack_ts": slack_ts,
        "user_id": user_id,
        "reaction": reaction,
        "event_id": event_id,
    }
    return await _content(connection, _REACTION, values)


async def deletion_time(
    connection: Connection, channel_id: ChannelId, slack_ts: SlackTs
) -> datetime | None:
    """When the message was deleted; None if it was not."""
    values = {"channel_id": channel_id, "slack_ts": slack_ts}
    found: datetime | None = await fetch_value(connection, _TOMBSTONE, values, prepare=False)
    return found


async def has_row(connection: Connection, table: Literal["user", "channel"], id_: str) -> bool:
    """Whether slack."user" or slack.channel has a row of this id."""
    return bool(await fetch_value(connection, _EXISTS[table], (id_,), prepare=False))


async def _content(
    connection: Connection, query: LiteralString, values: dict[str, str]
) -> Content | None:
    return await fetch_row(connection, Content, query, values)
