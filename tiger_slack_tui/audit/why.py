"""The history of one message: what came about it, what each event did, and why it is in the table or not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, LiteralString

import orjson
from psycopg.rows import class_row, dict_row

from tiger_slack_tui.audit.detail import Replay, read_replays
from tiger_slack_tui.audit.rules import Rule, find_rule
from tiger_slack_tui.ingest.segments import peek
from tiger_slack_tui.postgres.connection import Connection

_EVENTS: LiteralString = """
select e.event_id, e.event_ts, e.received_at, d.deliveries, e.type, e.subtype, e.outcome, e.discard_id, e.user_id
, u.user_name, coalesce(e.error ->> 'sqlstate', e.error ->> 'class') as error, e.error ->> 'message' as error_message
, left(coalesce(e.event -> 'message' ->> 'text', e.event ->> 'text', e.event ->> 'reaction'), 200) as text
, e.event -> 'message' ->> 'subtype' is not distinct from 'tombstone' as is_tombstone
, e.replays
from slack.event e
left join slack.delivery d on d.event_id = e.event_id
left join slack."user" u on u.id = e.user_id
where e.message_ts = slack.to_timestamptz(%(ts)s)
and e.channel_id = %(channel_id)s
order by e.event_ts, e.id
"""
_MESSAGE: LiteralString = """
select m.event_id, m.event_ts, m.user_id, u.user_name, m.subtype, m.text, m.thread_ts
, m.updated_at is not null or m.edited is not null as is_edited
, coalesce(jsonb_array_length(m.reactions), 0) as reactions
from slack.message m
left join slack."user" u on u.id = m.user_id
where m.channel_id = %(channel_id)s
and m.ts = slack.to_timestamptz(%(ts)s)
"""
_ABOUT: LiteralString = """
select c.channel_name, c.is_member, v.ts, t.deleted_at, o.event_ts as trail_since
, coalesce(v.ts < o.event_ts, true) as is_before_trail
from (values (%(channel_id)s::text, slack.to_timestamptz(%(ts)s))) v (channel_id, ts)
left join slack.channel c on c.id = v.channel_id
left join slack.tombstone t on t.channel_id = v.channel_id and t.ts = v.ts
left join (select e.event_ts from slack.event e order by e.event_ts, e.id limit 1) o on true
"""
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
_GAP: LiteralString = """
select g.id, g.reason, g.started_at, g.ended_at, g.channel_id, g.closed_at
from slack.gap g
where g.started_at <= slack.to_timestamptz(%(ts)s)
and (g.ended_at is null or g.ended_at >= slack.to_timestamptz(%(ts)s))
and (g.channel_id is null or g.channel_id = %(channel_id)s)
order by g.channel_id nulls last, g.id desc
limit 1
"""


class Verdict(StrEnum):
    """Why a message is in the table or not."""

    STORED = "stored"
    DELETED = "deleted"
    LOST_ROW = "lost row"
    """It was stored, and its row is gone without a deletion by Slack."""
    FAILED = "failed"
    DISCARDED = "discarded"
    SPOOLED = "spooled"
    AUDIT_ONLY = "audit only"
    """Something came about it, but not the message."""
    BEFORE_TRAIL = "before the audit trail"
    """Nothing is there, but the audit trail does not reach back so far."""
    NEVER_DELIVERED = "never delivered"


class Did(StrEnum):
    """What an event did."""

    CONTENT = "content"
    """It is the content of the row."""
    OLDER = "older content"
    """It was, until a newer one came; or came after a newer one."""
    DELETED_SINCE = "deleted since"
    """It was content of a message that is deleted."""
    DELETED = "deleted"
    """It deleted the message."""
    REACTION = "reaction"
    DISCARDED = "discarded"
    FAILED = "failed"
    NOTHING = "nothing"
    """It is kept in the audit trail alone."""
    LOST = "lost"
    """It stored content that is gone without a deletion by Slack."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """The row. `text` is the text of others."""

    event_id: str | None
    event_ts: datetime | None
    user_id: str | None
    user_name: str | None
    subtype: str | None
    text: str | None
    thread_ts: datetime | None
    is_edited: bool
    reactions: int

    @property
    def is_imported(self) -> bool:
        """Whether the content comes from history: an export, or Slack's history of a gap."""
        return self.event_id is not None and self.event_id.startswith("0")

    @property
    def is_live(self) -> bool:
        """Whether the content comes from an event."""
        return bool(self.event_id) and not self.is_imported


@dataclass(frozen=True, slots=True)
class ImportFile:
    """The file of an export that holds the message."""

    path: str
    source: str
    started_at: datetime
    """Of the import."""


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """An event about the message. `text` is the text of others; of a reaction, its name."""

    event_id: str
    event_ts: datetime
    received_at: datetime
    deliveries: int | None
    type: str | None
    subtype: str | None
    outcome: str
    discard_id: int | None
    user_id: str | None
    user_name: str | None
    error: str | None
    error_message: str | None
    text: str | None
    did: Did
    replays: tuple[Replay, ...]

    @property
    def lateness(self) -> timedelta:
        return self.received_at - self.event_ts


@dataclass(frozen=True, slots=True)
class SpooledEvent:
    """An event about the message that waits in the spool of this machine, or has just left it."""

    event_id: str
    received_at: datetime
    type: str | None
    subtype: str | None


@dataclass(frozen=True, slots=True)
class Gap:
    """A span in which events may not have reached us."""

    id: int
    reason: str
    started_at: datetime
    ended_at: datetime | None
    """None while it goes on."""
    channel_id: str | None
    """The only channel that it concerns; None for all."""
    closed_at: datetime | None
    """When a backfill closed it."""


@dataclass(frozen=True, slots=True)
class MessageHistory:
    """All that is known of a message."""

    channel_id: str
    channel_name: str | None
    is_member: bool | None
    """Whether the app is a member of the channel, so that events come from it; None where it is not known."""
    ts: datetime
    """The nearest time that Python has; `slack_ts` is exact."""
    slack_ts: str
    verdict: Verdict
    message: StoredMessage | None
    deleted_at: datetime | None
    events: tuple[HistoryEvent, ...]
    spooled: tuple[SpooledEvent, ...]
    rules: tuple[Rule, ...]
    """Those by which events were discarded, as far as they were kept."""
    import_file: ImportFile | None
    gap: Gap | None
    """One that covers the message's time."""
    trail_since: datetime | None
    """The oldest event of the audit trail; None where it is empty."""


async def read_history(
    connection: Connection, channel_id: str, ts: str, *, spool: Path | None = None
) -> MessageHistory:
    """The history of the message; `ts` is Slack's text, as `read_ts` gives it.

    `spool` is the directory in which events of this machine may wait.
    """
    key = {"channel_id": channel_id, "ts": ts}
    message = await _message(connection, key)
    about = (await _rows(connection, _ABOUT, key))[0]
    rows = await _rows(connection, _EVENTS, key)
    events = tuple(_event(row, message, deleted=about["deleted_at"] is not None) for row in rows)
    known = {event.event_id for event in events}
    spooled = await asyncio.to_thread(lambda: tuple(_spooled(spool, channel_id, ts)))
    spooled = tuple(event for event in spooled if event.event_id not in known)
    ids = sorted({event.discard_id for event in events if event.discard_id is not None})
    rules = [rule for id_ in ids if (rule := await find_rule(connection, id_))]
    files = await _rows(connection, _FILE, key)
    return MessageHistory(
        channel_id=channel_id,
        channel_name=about["channel_name"],
        is_member=about["is_member"],
        ts=about["ts"],
        slack_ts=ts,
        verdict=_verdict(message, about, events, spooled),
        message=message,
        deleted_at=about["deleted_at"],
        events=events,
        spooled=spooled,
        rules=tuple(rules),
        import_file=ImportFile(**files[0]) if files else None,
        gap=await covering_gap(connection, channel_id, ts),
        trail_since=about["trail_since"],
    )


async def covering_gap(connection: Connection, channel_id: str, ts: str) -> Gap | None:
    """The gap that covers the time; one of the channel alone before one of all."""
    there = await _rows(connection, "select to_regclass('slack.gap') is not null as is_there", {})
    if not there[0]["is_there"]:
        return None
    async with connection.cursor(row_factory=class_row(Gap)) as cursor:
        await cursor.execute(_GAP, {"channel_id": channel_id, "ts": ts})
        return await cursor.fetchone()


async def _message(connection: Connection, key: dict[str, Any]) -> StoredMessage | None:
    async with connection.cursor(row_factory=class_row(StoredMessage)) as cursor:
        await cursor.execute(_MESSAGE, key, prepare=False)
        return await cursor.fetchone()


async def _rows(
    connection: Connection, query: LiteralString, key: dict[str, Any]
) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, key, prepare=False)
        return await cursor.fetchall()


def _event(row: dict[str, Any], message: StoredMessage | None, *, deleted: bool) -> HistoryEvent:
    replays = read_replays(row.pop("replays"))
    did = _did(row, message, deleted=deleted)
    del row["is_tombstone"]
    return HistoryEvent(**row, did=did, replays=replays)


def _did(row: dict[str, Any], message: StoredMessage | None, *, deleted: bool) -> Did:
    if row["outcome"] != "stored":
        return {"discarded": Did.DISCARDED, "failed": Did.FAILED}.get(row["outcome"], Did.NOTHING)
    if row["type"] in ("reaction_added", "reaction_removed"):
        return Did.REACTION
    if row["subtype"] == "message_deleted" or row["is_tombstone"]:
        return Did.DELETED
    if deleted:
        return Did.DELETED_SINCE
    if message is None:
        return Did.LOST
    return Did.CONTENT if message.event_id == row["event_id"] else Did.OLDER


def _verdict(
    message: StoredMessage | None,
    about: dict[str, Any],
    events: Iterable[HistoryEvent],
    spooled: Iterable[SpooledEvent],
) -> Verdict:
    did = {event.did for event in events}
    possible = {
        Verdict.STORED: message is not None,
        Verdict.DELETED: about["deleted_at"] is not None,
        Verdict.LOST_ROW: Did.LOST in did,
        Verdict.FAILED: Did.FAILED in did,
        Verdict.DISCARDED: Did.DISCARDED in did,
        Verdict.SPOOLED: any(spooled),
        Verdict.AUDIT_ONLY: bool(did),
        Verdict.BEFORE_TRAIL: about["is_before_trail"],
        Verdict.NEVER_DELIVERED: True,
    }
    return next(verdict for verdict, holds in possible.items() if holds)


def _spooled(spool: Path | None, channel_id: str, ts: str) -> Iterable[SpooledEvent]:
    """The events about the message in the directory. Reads files."""
    if spool is None:
        return
    wanted = ts.encode()
    for record in peek(spool):
        if wanted not in record:
            continue
        event = orjson.loads(record)
        if (event["channel_id"], event["message_ts"]) == (channel_id, ts):
            received_at = datetime.fromisoformat(event["received_at"])
            yield SpooledEvent(event["event_id"], received_at, event["type"], event["subtype"])
