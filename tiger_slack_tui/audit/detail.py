"""One event whole: what it was, what became of it and why, how it was delivered, and the row that it ended in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, LiteralString

import orjson
from psycopg.rows import dict_row

from tiger_slack_tui.audit.conditions import Match, matches
from tiger_slack_tui.audit.rules import Rule, find_rule
from tiger_slack_tui.postgres.connection import Connection

# slack.delivery tells when the event happened, by which slack.event is ordered.
_EVENT: LiteralString = """
select e.id, e.event_id, e.event_ts, e.received_at, e.type, e.subtype, e.outcome, e.discard_id, e.team_id
, e.channel_id, e.user_id, e.message_ts, slack.to_ts(e.message_ts) as slack_ts, e.event::text as event, e.error
, e.replays, d.deliveries, d.last_received_at, slack.message_content(e.event)::text as message
from slack.delivery d
join slack.event e on e.event_ts = d.event_ts and e.event_id = d.event_id
where d.event_id = %s
"""
_MESSAGE: LiteralString = """
select m.event_id = %(event_id)s as is_content, m.event_ts
from slack.message m
where m.channel_id = %(channel_id)s
and m.ts = slack.to_timestamptz(%(slack_ts)s)
"""
_TOMBSTONE: LiteralString = """
select t.deleted_at from slack.tombstone t
where t.channel_id = %(channel_id)s
and t.ts = slack.to_timestamptz(%(slack_ts)s)
"""
_REACTION: LiteralString = """
select r.is_present, r.event_ts, r.event_id = %(event_id)s as is_content
from slack.reaction r
where r.channel_id = %(channel_id)s
and r.ts = slack.to_timestamptz(%(slack_ts)s)
and r.user_id = %(user_id)s
and r.reaction = %(reaction)s
"""
_USER: LiteralString = (
    'select exists (select from slack."user" u where u.id = %(user_id)s) as is_there'
)
_CHANNEL: LiteralString = (
    "select exists (select from slack.channel c where c.id = %(channel_id)s) as is_there"
)

RowState = Literal["content", "newer", "deleted", "missing", "merged"]


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay, and what had become of the event until then."""

    at: datetime
    outcome: str
    discard_id: int | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class EndRow:
    """The row that an event ended in."""

    table: Literal["message", "reaction", "user", "channel"]
    key: tuple[str, ...]
    """Its primary key, times as Slack's text."""
    state: RowState
    """content: it shows this event's; newer: a newer event's; merged: it merges several; deleted: a tombstone stands
    for it; missing: it is not there."""
    at: datetime | None = None
    """When the newer content, or the deletion, happened."""


@dataclass(frozen=True, slots=True)
class EventDetail:
    """An event. `event` and `matched` hold the text of others."""

    id: int
    event_id: str
    event_ts: datetime
    received_at: datetime
    last_received_at: datetime
    deliveries: int
    type: str | None
    subtype: str | None
    outcome: str
    team_id: str | None
    channel_id: str | None
    user_id: str | None
    message_ts: datetime | None
    """The nearest time that Python has; `slack_ts` is exact."""
    slack_ts: str | None
    """`message_ts` as Slack's text, which names the message in its channel."""
    event: dict[str, Any]
    error: dict[str, Any] | None
    """{"class", "message", "sqlstate", "diagnostics"} of a failed one."""
    rule_id: int | None
    """The rule that discarded it."""
    rule: Rule | None
    """That rule; None also where nothing of it was kept."""
    matched: tuple[Match, ...]
    """The conditions of the rule that the message meets."""
    replays: tuple[Replay, ...]
    rows: tuple[EndRow, ...]
    """The rows that it is about, as they are now; none for an event that is kept in the audit trail alone."""

    @property
    def lateness(self) -> timedelta:
        """From its happening, by Slack's clock, to its first receipt."""
        return self.received_at - self.event_ts


async def read_event(connection: Connection, event_id: str) -> EventDetail | None:
    """The event; None where it was never delivered, or is so old that it was deleted."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_EVENT, (event_id,), prepare=False)
        found = await cursor.fetchone()
    if found is None:
        return None
    found["event"] = orjson.loads(found["event"])
    found["error"] = _without_values(found["error"])
    rule_id, message, replays = (found.pop(name) for name in ("discard_id", "message", "replays"))
    rule = None if rule_id is None else await find_rule(connection, rule_id)
    return EventDetail(
        **found,
        rule_id=rule_id,
        rule=rule,
        matched=await matches(connection, rule.match, message) if rule else (),
        replays=read_replays(replays),
        rows=await _rows(connection, found),
    )


def _without_values(error: dict[str, Any] | None) -> dict[str, Any] | None:
    """The error without detail and context, which earlier versions kept: pages of SQL, and the event's values."""
    if error is None or not isinstance(diagnostics := error.get("diagnostics"), dict):
        return error
    kept = {k: v for k, v in diagnostics.items() if k not in ("context", "message_detail")}
    return error | {"diagnostics": kept}


def read_replays(value: list[dict[str, Any]] | None) -> tuple[Replay, ...]:
    """slack.event.replays as objects."""
    return tuple(
        Replay(**(replay | {"at": datetime.fromisoformat(replay["at"])})) for replay in value or ()
    )


async def _rows(connection: Connection, event: dict[str, Any]) -> tuple[EndRow, ...]:
    """The rows of the tables that the event is about. A failed event may lack parts of a key: then it has none."""
    if event["outcome"] in ("audit", "unrouted"):
        return ()
    type_, keys = event["type"] or "", _keys(event)
    if type_.startswith("reaction_"):
        row = await _reaction(connection, keys)
    elif event["slack_ts"] is not None:
        row = await _message(connection, keys)
    elif type_.startswith(("user_", "team_join")):
        row = await _merged(connection, _USER, "user", keys["user_id"], keys)
    elif type_.startswith(("channel_", "group_")):
        row = await _merged(connection, _CHANNEL, "channel", keys["channel_id"], keys)
    else:
        row = None
    return () if row is None else (row,)


def _keys(event: dict[str, Any]) -> dict[str, Any]:
    """The names of what the event is about; None for those that it lacks."""
    reaction = event["event"].get("reaction")
    keys = {name: event[name] or None for name in ("channel_id", "user_id", "slack_ts")}
    return keys | {
        "event_id": event["event_id"],
        "reaction": reaction if reaction and isinstance(reaction, str) else None,
    }


def _key(keys: dict[str, Any], *names: str) -> tuple[str, ...] | None:
    """The primary key of a row; None where the event lacks a part of it."""
    key = tuple(keys[name] for name in names)
    return None if None in key else key


async def _message(connection: Connection, keys: dict[str, Any]) -> EndRow | None:
    if (key := _key(keys, "channel_id", "slack_ts")) is None:
        return None
    if row := await _one(connection, _MESSAGE, keys):
        state: RowState = "content" if row["is_content"] else "newer"
        return EndRow("message", key, state, row["event_ts"])
    if row := await _one(connection, _TOMBSTONE, keys):
        return EndRow("message", key, "deleted", row["deleted_at"])
    return EndRow("message", key, "missing")


async def _reaction(connection: Connection, keys: dict[str, Any]) -> EndRow | None:
    if (key := _key(keys, "channel_id", "slack_ts", "user_id", "reaction")) is None:
        return None
    row = await _one(connection, _REACTION, keys)
    if row is None:
        return EndRow("reaction", key, "missing")
    return EndRow("reaction", key, "content" if row["is_content"] else "newer", row["event_ts"])


async def _merged(
    connection: Connection,
    query: LiteralString,
    table: Literal["user", "channel"],
    id_: str | None,
    keys: dict[str, Any],
) -> EndRow | None:
    if id_ is None:
        return None
    row = await _one(connection, query, keys)
    return EndRow(table, (id_,), "merged" if row and row["is_there"] else "missing")


async def _one(
    connection: Connection, query: LiteralString, values: dict[str, Any]
) -> dict[str, Any] | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values, prepare=False)
        return await cursor.fetchone()
