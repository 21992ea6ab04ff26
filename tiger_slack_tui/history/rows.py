"""A record of an export as what it does to the tables."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import orjson

from tiger_slack_tui.history.account import Reason
from tiger_slack_tui.slack.events import CHANNEL_SUBTYPES
from tiger_slack_tui.slack.ts import slack_ts

_TS = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ABOUT_OTHERS = ("message_changed", "message_deleted", "message_replied")
_TEXTS = (
    "team",
    "text",
    "type",
    "user",
    "parent_user_id",
    "bot_id",
    "app_id",
    "subtype",
    "trigger_id",
    "workflow_id",
)
_BOOLS = ("display_as_bot", "upload")
_JSONS = ("blocks", "attachments", "files", "x_files", "icons", "language", "edited")
_CONTENT = (*_TEXTS, *_BOOLS, *_JSONS, "client_msg_id", "thread_ts")
"""Keys that a content is made of, but not of what goes on around it (reactions, replies)."""
_HEAD = ("ts", "event_ts", "event_id", "updated_at", "channel_id", "channel_type")
COLUMNS = ", ".join(
    (*_HEAD, *("user_id" if key == "user" else key for key in _CONTENT), "reactions")
)
"""Columns of slack.message, in the order of `MessageRow.line`."""


@dataclass(frozen=True)
class Channel:
    """Where a file's messages go. `type` is as in slack.message.channel_type, None where it is not known."""

    id: str
    type: str | None

    @cached_property
    def cells(self) -> bytes:
        """Its columns, for COPY."""
        return copy_text(self.id) + b"\t" + copy_text(self.type)


@dataclass(slots=True)
class MessageRow:
    """A message: as a row of slack.message without its reactions, and with what decides between it and others."""

    channel: Channel
    ts: datetime
    posted: str
    """The ts as PostgreSQL reads it."""
    version: tuple[datetime, str]
    """event_ts and event_id: of two contents of one message the one with the greater version counts.

    An export does not tell when it learned of a content, only when it was posted or edited, so live content of the
    same time is better known. Of two exports the longer content is, which has the attachments that came later.
    """
    reactions: tuple[tuple[str, str], ...]
    """(user, name), in the export's order."""
    record: Mapping[str, Any] | None
    """None where nobody asks for it again: it takes several times the room of the cells."""
    cells: bytes
    """For COPY, its columns as slack.store_messages() would fill them, but for the reactions."""
    changes_channel: bool
    """Whether it tells of a change of its channel."""

    def line(self, reactions: bytes | None) -> bytes:
        """The row as a line for COPY. `reactions` is JSON."""
        if reactions is None:
            return self.cells + b"\t\\N\n"
        return b"%b\t%b\n" % (self.cells, reactions.replace(b"\\", b"\\\\"))

    def message(self) -> dict[str, Any]:
        """The message as a live event would have it; only of a row that keeps its record."""
        assert self.record is not None  # noqa: S101 it was kept for this
        event = {"type": "message", **self.record, "channel": self.channel.id}
        if self.channel.type is not None:
            event["channel_type"] = self.channel.type
        if (thread := event.get("thread_ts")) is not None and time_or_none(thread) is None:
            del event["thread_ts"]  # as in `cells`
        event["event_ts"] = slack_ts(self.version[0])
        return event


@dataclass(slots=True)
class DeletionRow:
    """A message that Slack has deleted, and left in the export for the replies to it."""

    channel: Channel
    ts: datetime


class NotStored(Exception):
    """The record is not one that can be stored."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def read_row(record: Any, channel: Channel, *, keep: bool = True) -> MessageRow | DeletionRow:
    """What the record (fit for jsonb) does. Raises NotStored.

    A row keeps the record if it is asked to, and where its message changes its channel.
    """
    if record == "":
        raise NotStored(Reason.PLACEHOLDER)
    if not isinstance(record, dict):
        raise NotStored(Reason.NO_OBJECT)
    get = record.get
    if get("type", "message") != "message":
        raise NotStored(Reason.NO_MESSAGE)
    told = None
    if (subtype := get("subtype")) in _ABOUT_OTHERS:
        if subtype == "message_deleted":
            return DeletionRow(channel, _time(get("deleted_ts")))
        told = get("event_ts") or get("ts")
        record = get("message")
        if (
            subtype == "message_replied"
            or not isinstance(record, dict)
            or record.get("subtype") in _ABOUT_OTHERS
        ):
            raise NotStored(Reason.NO_TARGET)
        get = record.get
        subtype = get("subtype")
    ts = _time(get("ts"))
    if subtype == "tombstone":
        return DeletionRow(channel, ts)
    if told is None and isinstance(edited := get("edited"), dict):
        told = edited.get("ts")
    changed = None if told is None else time_or_none(told)
    return _message(record, channel, ts, ts if changed is None else max(changed, ts), keep)


def _message(
    record: Mapping[str, Any], channel: Channel, ts: datetime, event_ts: datetime, keep: bool
) -> MessageRow:
    cells = _EMPTY.copy()
    try:
        for key, value in record.items():
            if (cell := _CELLS.get(key)) and value is not None:
                cells[cell[0]] = cell[1](value)
    except TypeError:  # nested too deeply
        raise NotStored(Reason.BAD_RECORD) from None
    content = b"\t".join(cells)
    event_id = f"0{len(content):08}{zlib.crc32(content):08x}"
    posted = str(ts)
    if event_ts == ts:
        head = f"{posted}\t{posted}\t{event_id}\t\\N\t"
    else:
        head = f"{posted}\t{event_ts}\t{event_id}\t{event_ts}\t"
    line = b"%b%b\t%b" % (head.encode(), channel.cells, content)
    given = record.get("reactions")
    reactions = _reactions(given) if given else ()
    subtype = record.get("subtype")
    changes_channel = isinstance(subtype, str) and subtype in CHANNEL_SUBTYPES
    kept = record if keep or changes_channel else None
    return MessageRow(
        channel, ts, posted, (event_ts, event_id), reactions, kept, line, changes_channel
    )


def _reactions(given: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, list):
        return ()
    found = dict.fromkeys(
        (user, name)
        for reaction in given
        if isinstance(reaction, dict) and isinstance(name := reaction.get("name"), str)
        for user in _list(reaction.get("users"))
        if isinstance(user, str)
    )
    return tuple(found)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _time(value: Any) -> datetime:
    time = time_or_none(value)
    if time is None:
        raise NotStored(Reason.NO_TS)
    return time


def time_or_none(value: Any) -> datetime | None:
    """Slack's seconds.microseconds, also where a tool has made a number of them."""
    if value.__class__ is str and len(value) == 17 and value[10] == "." and value.isascii():
        seconds, fraction = value[:10], value[11:]
        if (
            seconds.isdigit() and fraction.isdigit()
        ):  # nearly always; the rest is what else there is
            return _EPOCH + timedelta(0, int(seconds), int(fraction))
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    match = _TS.fullmatch(str(value))
    if match is None:
        return None
    # as slack.to_timestamptz() rounds
    micros = (int(f"{match[2] or '':0<9}") + 500) // 1000
    try:
        return _EPOCH + timedelta(0, int(match[1]), micros)
    except OverflowError:
        return None


_NULL = b"\\N"
"""NULL in the text format of COPY."""


def copy_text(value: Any) -> bytes:
    """A text column of COPY; of what is no string its JSON, as PostgreSQL's ->> has it."""
    if value.__class__ is not str:
        return _NULL if value is None else _copy_json(value)
    if value.isalnum():  # ids need no escapes
        return value.encode()
    # JSON and COPY have the same escapes, but for control characters without a letter.
    cell = orjson.dumps(value)[1:-1]
    if b"\\u00" not in cell:
        return cell
    cell = value.encode().replace(b"\\", b"\\\\")
    return cell.replace(b"\t", b"\\t").replace(b"\n", b"\\n").replace(b"\r", b"\\r")


def _copy_json(value: Any) -> bytes:
    cell = orjson.dumps(value)
    return cell.replace(b"\\", b"\\\\") if b"\\" in cell else cell


def _copy_bool(value: Any) -> bytes:
    return (b"t" if value else b"f") if isinstance(value, bool) else _NULL


def _copy_uuid(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) and _UUID.fullmatch(value) else _NULL


def _copy_time(value: Any) -> bytes:
    time = time_or_none(value)
    return _NULL if time is None else str(time).encode()


_WRITERS: dict[str, Callable[[Any], bytes]] = (
    dict.fromkeys(_TEXTS, copy_text)
    | dict.fromkeys(_BOOLS, _copy_bool)
    | dict.fromkeys(_JSONS, _copy_json)
    | {"client_msg_id": _copy_uuid, "thread_ts": _copy_time}
)
_CELLS = {key: (place, _WRITERS[key]) for place, key in enumerate(_CONTENT)}
_EMPTY = [b"message" if key == "type" else _NULL for key in _CONTENT]
