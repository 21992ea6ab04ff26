"""Reads the trail of one message, which is all that the database knows about it: its row, events, file and gap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypeVar

from tiger_slack_tui.base.ids import ChannelId, EventId, SlackTs, UserId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_row, fetch_rows, fetch_value
from tiger_slack_tui.store.gaps import row_title
from tiger_slack_tui.store.history import KNOWN_UNTIL
from tiger_slack_tui.store.names import PERSON_NAME
from tiger_slack_tui.store.readable_messages import known_span
from tiger_slack_tui.store.visible_channels import VisibleChannels, visible_parameter

T = TypeVar("T")

_EVENTS: LiteralString = f"""
select e.event_id, e.event_ts, e.received_at, d.deliveries, e.type, e.subtype, e.outcome, e.discard_id, e.user_id
, {PERSON_NAME} as user_name, coalesce(e.error ->> 'sqlstate', e.error ->> 'class') as error
, e.error ->> 'message' as error_message
, left(coalesce(e.event -> 'message' ->> 'text', e.event ->> 'text', e.event ->> 'reaction'), 200) as text
, e.event -> 'message' ->> 'subtype' is not distinct from 'tombstone' as is_tombstone
, e.replays
from slack.event e
left join slack.delivery d on d.event_id = e.event_id
left join slack."user" u on u.id = e.user_id
where e.message_ts = slack.to_timestamptz(%(ts)s)
and e.channel_id = %(channel_id)s
order by e.event_ts, e.id
"""  # noqa: S608 our own text
_MESSAGE: LiteralString = f"""
select m.event_id, m.event_ts, m.user_id, {PERSON_NAME} as user_name, m.subtype, m.text, m.thread_ts
, m.updated_at is not null or m.edited is not null as is_edited
, coalesce(jsonb_array_length(m.reactions), 0) as reactions
from slack.message m
left join slack."user" u on u.id = m.user_id
where m.channel_id = %(channel_id)s
and m.ts = slack.to_timestamptz(%(ts)s)
and m.ts between %(first)s::timestamptz and %(last)s::timestamptz
"""  # noqa: S608 our own text
_FACTS: LiteralString = f"""
select c.channel_name, c.is_member, c.complete_since, {KNOWN_UNTIL} as complete_until, v.ts, t.deleted_at
, o.event_ts as trail_since
, coalesce(v.ts < o.event_ts, true) as is_before_trail
from (values (%(channel_id)s::text, slack.to_timestamptz(%(ts)s))) v (channel_id, ts)
left join slack.channel c on c.id = v.channel_id
left join slack.tombstone t on t.channel_id = v.channel_id and t.ts = v.ts
left join
( select e.event_ts
  from slack.event e
  where e.channel_id is null
  or slack.is_visible(e.channel_id, %(visible)s::text[])
  order by e.event_ts, e.id
  limit 1
) o on true
"""  # noqa: S608 only constants
_FILE: LiteralString = """
select f.path, i.source, i.started_at
from slack.import_content n
join slack.import_file f on f.channel_id = n.channel_id and f.size = n.size and f.crc = n.crc
join slack.import i on i.id = f.import_id
where n.channel_id = %(channel_id)s
and slack.to_timestamptz(%(ts)s) between n.first_ts and n.last_ts
and slack.to_timestamptz(%(ts)s) = any (n.times)
order by i.id
limit 1
"""
_HAS_GAPS: LiteralString = "select to_regclass('slack.gap') is not null"
_GAP: LiteralString = """
select g.id, g.reason, g.started_at, g.ended_at, g.channel_id, g.closed_at, g.tried_at, g.error
, not slack.is_loss(g) and g.channel_id is not null and coalesce(g.account ->> 'channels' = '0', false) as is_given_up
from slack.gap g
where slack.is_loss(g) <> %(by_hand)s::bool
and g.started_at <= slack.to_timestamptz(%(ts)s)
and (g.ended_at is null or g.ended_at >= slack.to_timestamptz(%(ts)s))
and (g.channel_id is null or g.channel_id = %(channel_id)s)
order by g.channel_id nulls last, g.id desc
limit 1
"""
_IS_KNOWN: LiteralString = """
select exists
( select from slack.message m
  where m.channel_id = %(channel_id)s
  and m.ts = slack.to_timestamptz(%(ts)s)
  and m.ts between %(first)s::timestamptz and %(last)s::timestamptz
)
or exists
( select from slack.event e
  where e.channel_id = %(channel_id)s
  and e.message_ts = slack.to_timestamptz(%(ts)s)
)
or exists
( select from slack.tombstone t
  where t.channel_id = %(channel_id)s
  and t.ts = slack.to_timestamptz(%(ts)s)
)
"""
_OF_SECOND: LiteralString = f"""
with known as
( select m.ts from slack.message m
  where m.channel_id = %(channel_id)s
  and m.ts >= slack.to_timestamptz(%(ts)s)
  and m.ts < slack.to_timestamptz(%(end)s)
  and m.ts between %(first)s::timestamptz and %(last)s::timestamptz
  union
  select e.message_ts from slack.event e
  where e.channel_id = %(channel_id)s
  and e.message_ts >= slack.to_timestamptz(%(ts)s)
  and e.message_ts < slack.to_timestamptz(%(end)s)
  union
  select t.ts from slack.tombstone t
  where t.channel_id = %(channel_id)s
  and t.ts >= slack.to_timestamptz(%(ts)s)
  and t.ts < slack.to_timestamptz(%(end)s)
)
select slack.to_ts(k.ts) as slack_ts, m.user_id, {PERSON_NAME} as user_name, left(m.text, 200) as text
from known k
left join slack.message m on m.channel_id = %(channel_id)s and m.ts = k.ts
  and m.ts between %(first)s::timestamptz and %(last)s::timestamptz
left join slack."user" u on u.id = m.user_id
order by k.ts
limit 100
"""  # noqa: S608 our own text


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A row of slack.message. `text` was written by people."""

    event_id: EventId | None
    event_ts: datetime | None
    user_id: UserId | None
    user_name: str | None
    subtype: str | None
    text: str | None
    thread_ts: datetime | None
    is_edited: bool
    reactions: int

    @property
    def is_imported(self) -> bool:
        """Whether the content comes from history: from an export, or from Slack's API for a gap."""
        return self.event_id is not None and self.event_id.startswith("0")

    @property
    def is_live(self) -> bool:
        """Whether the content comes from an event."""
        return bool(self.event_id) and not self.is_imported


@dataclass(frozen=True, slots=True)
class MessageOfSecond:
    """A message that is stored or deleted, or that an event is about.

    `text` was written by people; None if it is not stored.
    """

    slack_ts: SlackTs
    user_id: UserId | None
    user_name: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """An event about the message. `text` is the beginning of the message's text, or the name of a reaction."""

    event_id: EventId
    event_ts: datetime
    received_at: datetime
    deliveries: int | None
    type: str | None
    subtype: str | None
    outcome: str
    discard_id: int | None
    user_id: UserId | None
    user_name: str | None
    error: str | None
    error_message: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class MessageEventRow(MessageEvent):
    """The event with what decides what it did. `replays` is slack.event.replays."""

    is_tombstone: bool
    """Whether it replaces the message by Slack's note that it was deleted."""
    replays: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What is known about a message whether it is stored or not."""

    channel_name: str | None
    is_member: bool | None
    """Whether the app is a member of the channel; None if that is not known."""
    complete_since: datetime | None
    """Since when the channel is complete; None if that is not known."""
    complete_until: datetime | None
    """Until when; None if until now, or if nothing is known."""
    ts: datetime
    deleted_at: datetime | None
    trail_since: datetime | None
    """When the oldest event of the audit trail happened; None if there are no events."""
    is_before_trail: bool
    """Whether the message is older than that event, or there are no events."""


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """The file of an export that contains the message."""

    path: str
    source: str
    started_at: datetime
    """When the import began."""


@dataclass(frozen=True, slots=True)
class CoveringGap:
    """A row of slack.gap that covers the message's time: a gap, or a history that is or was to be read."""

    id: int
    reason: str
    started_at: datetime
    ended_at: datetime | None
    """None while it goes on."""
    channel_id: ChannelId | None
    """The only channel that it concerns; None for all channels."""
    closed_at: datetime | None
    """When a backfill closed it."""
    tried_at: datetime | None
    """When a backfill of it last came to its end, or was stopped."""
    error: str | None
    """Why that did not close it."""
    is_given_up: bool
    """Whether it is closed, and as `Gap.is_given_up` says."""

    @property
    def title(self) -> str:
        """As `Gap.title`."""
        return row_title(self.id, self.reason)


async def stored_message(
    connection: Connection, channel_id: ChannelId, ts: SlackTs
) -> StoredMessage | None:
    """The message's row. `ts` is Slack's text, here and below."""
    return await fetch_row(connection, StoredMessage, _MESSAGE, _values(channel_id, ts))


async def is_message_known(connection: Connection, channel_id: ChannelId, ts: SlackTs) -> bool:
    """Whether the message is stored or was deleted, or an event is about it."""
    cursor = await connection.execute(_IS_KNOWN, _values(channel_id, ts), prepare=False)
    return bool((await cursor.fetchone() or [False])[0])


async def messages_of_second(
    connection: Connection, channel_id: ChannelId, ts: SlackTs
) -> list[MessageOfSecond]:
    """The messages of the second of `ts`, a ts: stored, deleted, or only known from events; at most 100."""
    second = int(ts.partition(".")[0])
    values = _values(channel_id, SlackTs(str(second))) | {"end": str(second + 1)}
    return await fetch_rows(connection, MessageOfSecond, _OF_SECOND, values)


async def message_facts(
    connection: Connection,
    channel_id: ChannelId,
    ts: SlackTs,
    visible: VisibleChannels | None = None,
) -> MessageFacts:
    """What is known about the message whether it is stored or not.

    With `visible`, the audit trail begins with the first event of these channels, or of none.
    """
    values = {"channel_id": channel_id, "ts": ts, "visible": visible_parameter(visible)}
    [found] = await fetch_rows(connection, MessageFacts, _FACTS, values)
    return found


async def message_events(
    connection: Connection, channel_id: ChannelId, ts: SlackTs
) -> list[MessageEventRow]:
    """The events about the message, in the order in which they happened."""
    return await fetch_rows(connection, MessageEventRow, _EVENTS, _values(channel_id, ts))


async def imported_file(
    connection: Connection, channel_id: ChannelId, ts: SlackTs
) -> ImportedFile | None:
    """The file that contains the message, of the first import that read one."""
    return await fetch_row(connection, ImportedFile, _FILE, _values(channel_id, ts))


async def covering_gap(
    connection: Connection, channel_id: ChannelId, ts: SlackTs, *, by_hand: bool = False
) -> CoveringGap | None:
    """The gap that covers the time; with `by_hand`, the period that an operator asked to backfill.

    One of the channel comes before one of all channels.
    """
    if not await fetch_value(connection, _HAS_GAPS):  # the schema of an older version
        return None
    values = _values(channel_id, ts) | {"by_hand": str(by_hand)}
    return await fetch_row(connection, CoveringGap, _GAP, values)


def _values(channel_id: ChannelId, ts: SlackTs) -> dict[str, str]:
    return {"channel_id": channel_id, "ts": ts} | known_span(ts)
