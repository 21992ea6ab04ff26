"""Turns a record of an export into a row of slack.message, or a deletion."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

import orjson

from tiger_slack_tui.postgres.copy_format import (
    NULL,
    bool_cell,
    json_cell,
    row_of,
    text_cell,
    time_cell,
    uuid_cell,
    written_json_cell,
)
from tiger_slack_tui.slack import payload
from tiger_slack_tui.slack.events import CHANNEL_SUBTYPES
from tiger_slack_tui.slack.ts import from_micros, parse_ts, slack_ts, to_micros
from tiger_slack_tui.store.import_account import Reason
from tiger_slack_tui.store.import_messages import COPY_COLUMNS, Channel, Version

_LAST = to_micros(datetime.max.replace(tzinfo=UTC))

_ABOUT_ANOTHER_MESSAGE = ("message_changed", "message_deleted", "message_replied")
_IDS = ("team", "user", "parent_user_id", "bot_id", "app_id", "trigger_id", "workflow_id")
_BOOLS = ("display_as_bot", "upload")
_ARRAYS = ("blocks", "attachments", "files", "x_files")
_OBJECTS = ("icons", "language", "edited")
_CONTENT = tuple("user" if name == "user_id" else name for name in COPY_COLUMNS[6:-1])
"""The keys of a message's content; reactions and replies are not among them. Their order must not change: it is part
of event_id, which is equal for equal contents."""
_ROW = row_of(len(COPY_COLUMNS))


@dataclass(slots=True)
class MessageRow:
    """A message, as a row of slack.message without its reactions."""

    channel: Channel
    micros: int
    """Its ts, in microseconds since 1970."""
    version: Version
    """event_ts and event_id. Of two contents of one message the one with the greater version wins.

    An export knows only when a content was posted or edited, so that live content of the same time wins over it. Of
    two exports the longer content wins: it has the attachments that were added later.
    """
    reactions: tuple[tuple[str, str], ...]
    """(user, name), in the export's order."""
    record: Mapping[str, Any] | None
    """The record, for discard rules and for changes of the channel; None unless it was kept (`parse_row`)."""
    cells: bytes
    """For COPY: the cells as slack.store_messages() would fill them, without the reactions."""
    changes_channel: bool
    """Whether it reports a new name, topic or purpose of its channel."""
    bad_fields: tuple[str, ...] = ()
    """The fields whose values cannot be stored. Their columns hold what can be, or null."""

    @property
    def ts(self) -> datetime:
        return from_micros(self.micros)

    def row(self, reactions: bytes | None) -> bytes:
        """The row for COPY. `reactions` is the JSON of that column."""
        return self.cells + (NULL if reactions is None else written_json_cell(reactions))

    def message(self) -> dict[str, Any]:
        """The message as a live event would have it. The row must have kept its record."""
        assert self.record is not None  # noqa: S101 as documented
        event = {**_writable(self.record), "type": "message", "channel": self.channel.id}
        if self.channel.type is not None:
            event["channel_type"] = self.channel.type
        if (thread := event.get("thread_ts")) is not None and micros_or_none(thread) is None:
            del event["thread_ts"]  # as in `cells`
        event["event_ts"] = slack_ts(from_micros(self.version[0]))
        return event


@dataclass(slots=True)
class DeletionRow:
    """A message that was deleted in Slack. The export keeps its place for the replies to it."""

    channel: Channel
    micros: int
    """The message's ts, in microseconds since 1970."""

    @property
    def ts(self) -> datetime:
        return from_micros(self.micros)


def parse_row(
    record: Any, channel: Channel, *, keep: bool = True
) -> MessageRow | DeletionRow | Reason:
    """The row of a record, which is a value for jsonb; or the reason why it cannot be stored.

    With `keep`, every row keeps its record; else only the rows that change their channel do: keeping the records of a
    whole batch takes a tenth of the time.
    """
    if record == "":
        return Reason.PLACEHOLDER
    if not isinstance(record, dict):
        return Reason.NO_OBJECT
    get = record.get
    if get("type") not in (None, "message"):
        return Reason.NO_MESSAGE
    changed_ts = None
    if (subtype := get("subtype")) in _ABOUT_ANOTHER_MESSAGE:
        if subtype == "message_deleted":
            deleted = micros_or_none(get("deleted_ts"))
            return Reason.NO_TS if deleted is None else DeletionRow(channel, deleted)
        changed_ts = get("event_ts") or get("ts")
        record = get("message")
        if (
            subtype == "message_replied"
            or not isinstance(record, dict)
            or record.get("subtype") in _ABOUT_ANOTHER_MESSAGE
        ):
            return Reason.NO_TARGET
        get = record.get
        subtype = get("subtype")
    if (ts := micros_or_none(get("ts"))) is None:
        return Reason.NO_TS
    if subtype == "tombstone":
        return DeletionRow(channel, ts)
    if changed_ts is None and isinstance(edited := get("edited"), dict):
        changed_ts = edited.get("ts")
    changed = None if changed_ts is None else micros_or_none(changed_ts)
    return _message(record, channel, ts, ts if changed is None else max(changed, ts), keep)


def _message(
    record: Mapping[str, Any], channel: Channel, ts: int, event_ts: int, keep: bool
) -> MessageRow:
    cells = _EMPTY.copy()
    bad: tuple[str, ...] = ()
    for key, value in record.items():
        if value is not None and (writer := _WRITERS.get(key)):
            try:
                cells[key] = writer(value)
            except _BadField as field:
                cells[key] = field.cell
                bad = (*bad, key)
    content = b"".join(cells.values())
    event_id = f"0{len(content):08}{zlib.crc32(content):08x}"
    posted = time_cell(ts)
    if event_ts == ts:
        changed, updated = posted, NULL
    else:
        changed = updated = time_cell(event_ts)
    row = b"".join((_ROW, posted, changed, text_cell(event_id), updated, channel.cells, content))
    given = record.get("reactions")
    reactions: tuple[tuple[str, str], ...] = ()
    if given:
        reactions, is_sound = _reactions(given)
        bad = bad if is_sound else (*bad, "reactions")
    subtype = record.get("subtype")
    changes_channel = isinstance(subtype, str) and subtype in CHANNEL_SUBTYPES
    version = (event_ts, event_id)
    kept = record if keep or changes_channel else None
    return MessageRow(channel, ts, version, reactions, kept, row, changes_channel, bad)


def _writable(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record without values that are nested too deeply for orjson, which become null."""
    try:
        orjson.dumps(record)
    except TypeError:
        return cast(Mapping[str, Any], payload.cut_off(record))
    return record


def _reactions(given: Any) -> tuple[tuple[tuple[str, str], ...], bool]:
    """The reactions as (user, name), and whether all of them are sound."""
    found: dict[tuple[str, str], None] = {}
    if not isinstance(given, list):
        return (), False
    is_sound = True
    for reaction in given:
        if reaction is None:
            continue
        name = reaction.get("name") if isinstance(reaction, dict) else None
        users = reaction.get("users") if isinstance(name, str) else None
        if name is None or not isinstance(users, list | None):
            is_sound = False
            continue
        for user in users or ():
            if (id_ := _id_of(user)) is None:
                is_sound = is_sound and user is None
            else:
                found[id_, name] = None
    return tuple(found), is_sound


def micros_or_none(value: Any) -> int | None:
    """Slack's ts in microseconds since 1970; None if it is not a ts, or lies beyond the year 9999."""
    micros = parse_ts(value)
    return micros if micros is not None and micros <= _LAST else None


def time_or_none(value: Any) -> datetime | None:
    """Slack's ts as a time; None if it is not one."""
    micros = micros_or_none(value)
    return None if micros is None else from_micros(micros)


_CACHED_TEXTS = 4096
"""The number of texts whose cells each writer caches."""


def _cached(writer: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """The writer, with a cache of texts: ids and types repeat."""
    cached = lru_cache(_CACHED_TEXTS)(writer)
    return lambda value: cached(value) if value.__class__ is str else writer(value)


class _BadField(Exception):
    """A value that its column cannot hold. `cell` is stored instead."""

    def __init__(self, cell: bytes = NULL) -> None:
        super().__init__()
        self.cell = cell


def _text(value: Any) -> bytes:
    if value.__class__ is not str:
        raise _BadField
    return text_cell(value)


def _id(value: Any) -> bytes:
    """The cell of an id. For an object it is the id in it, as in slack.id_of()."""
    if value.__class__ is str:
        return text_cell(value)
    raise _BadField(text_cell(_id_of(value)))


def _id_of(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) else None


def _array(value: Any) -> bytes:
    if value.__class__ is not list:
        raise _BadField
    return _json(value)


def _object(value: Any) -> bytes:
    if value.__class__ is not dict:
        raise _BadField
    return _json(value)


def _json(value: Any) -> bytes:
    try:
        return json_cell(value)
    except TypeError:  # nested too deeply
        raise _BadField(json_cell(payload.cut_off(value))) from None


def _bool(value: Any) -> bytes:
    if value.__class__ is not bool:
        raise _BadField
    return bool_cell(value)


def _uuid(value: Any) -> bytes:
    if (cell := uuid_cell(value)) is NULL:
        raise _BadField
    return cell


def _time(value: Any) -> bytes:
    micros = micros_or_none(value)
    if micros is None and value != "":
        raise _BadField
    return NULL if micros is None else time_cell(micros)


def _type(value: Any) -> bytes:
    if value.__class__ is not str:
        raise _BadField(text_cell("message"))
    return text_cell(value)


_WRITERS: dict[str, Callable[[Any], bytes]] = (
    {"type": _cached(_type), "subtype": _cached(_text), "text": _text}
    | dict.fromkeys(_IDS, _cached(_id))
    | dict.fromkeys(_BOOLS, _bool)
    | dict.fromkeys(_ARRAYS, _array)
    | dict.fromkeys(_OBJECTS, _object)
    | {"client_msg_id": _uuid, "thread_ts": _cached(_time)}
)
_EMPTY = dict.fromkeys(_CONTENT, NULL) | {"type": text_cell("message")}
"""The cells of a message without content, in order."""
