"""Computes what the tables must hold after a set of events, without any code of the ingestion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tiger_slack_tui.base.ids import ChannelId, EventId, SlackTs

_MESSAGE_COLUMNS = (
    "team",
    "text",
    "type",
    "blocks",
    "thread_ts",
    "client_msg_id",
    "parent_user_id",
    "bot_id",
    "attachments",
    "files",
    "app_id",
    "subtype",
    "trigger_id",
    "workflow_id",
    "display_as_bot",
    "upload",
    "x_files",
    "icons",
    "language",
    "edited",
)
_AUDIT = {
    "app_mention",
    "member_joined_channel",
    "member_left_channel",
    "app_rate_limited",
    "tokens_revoked",
    "app_uninstalled",
}
_SECRET = re.compile(r"(?<=[?&])(?:t|token)=xox[\w-]*&?")

MessageId = tuple[ChannelId, SlackTs]
Version = tuple[Any, ...]


class Expected:
    """The expected content of the tables. Payloads can be applied in any order, and repeatedly.

    `messages` (by channel and ts), `users` and `channels` (by id) hold the columns by their names, with times as in
    Slack's payloads. `events` holds the outcome of each event by event_id.
    """

    def __init__(self, *, discard: Callable[[Mapping[str, Any]], bool] | None = None) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, dict[str, Any]] = {}
        self.tombstones: set[MessageId] = set()
        self.events: dict[EventId, str] = {}
        self._discard = discard or (lambda _: False)
        self._contents: dict[MessageId, tuple[Version, dict[str, Any]]] = {}
        self._reactions: dict[MessageId, dict[tuple[str, str], tuple[Version, bool]]] = {}
        self._versions: dict[tuple[str, str, str], Version] = {}

    @property
    def messages(self) -> dict[MessageId, dict[str, Any]]:
        """Columns by (channel, ts), with `reactions` sorted by user and name."""
        return {
            key: content | {"reactions": self._present(key)}
            for key, (_, content) in self._contents.items()
            if key not in self.tombstones
        }

    def apply(self, payload: Mapping[str, Any]) -> None:
        """Apply one delivery of an event."""
        if payload["event_id"] in self.events:
            return
        event = clean(payload["event"])
        kind = event.get("type")
        outcome = "unrouted"
        if kind == "message":
            outcome = self._message(event, payload["event_id"])
        elif kind in ("reaction_added", "reaction_removed"):
            outcome = self._reaction(event, payload["event_id"])
        elif kind in ("user_change", "team_join", "user_profile_changed"):
            outcome = self._user(event)
        elif kind in _AUDIT:
            outcome = "audit"
        elif str(kind).startswith(("channel_", "group_")):
            outcome = self._channel(event)
        self.events[payload["event_id"]] = outcome

    def apply_lists(
        self, *, users: Iterable[dict[str, Any]], channels: Iterable[dict[str, Any]]
    ) -> None:
        """Apply an answer of the list methods. Its objects are as recent as their own `updated` says."""
        for user in users:
            self._user({"user": clean(user), "event_ts": "0"})
        for channel in channels:
            self._channel({"type": "channel_created", "channel": clean(channel), "event_ts": "0"})

    def _present(self, key: MessageId) -> list[dict[str, str]]:
        states = self._reactions.get(key, {})
        return [
            {"user_id": user, "reaction": name}
            for user, name in sorted(states)
            if states[user, name][1]
        ]

    def _message(self, event: dict[str, Any], event_id: EventId) -> str:
        subtype, channel = event.get("subtype"), event["channel"]
        if subtype == "message_replied" or (
            subtype is None and "message" in event and "text" not in event
        ):
            return "audit"
        if subtype == "message_deleted":
            self.tombstones.add((channel, event["deleted_ts"]))
            return "stored"
        changed = subtype == "message_changed"
        content = event["message"] if changed else event
        if changed and content.get("subtype") == "tombstone":
            self.tombstones.add((channel, content["ts"]))
            return "stored"
        self._channel_message(event)
        if self._discard(content | {"channel": channel}):
            return "discarded"
        columns = {name: content.get(name) for name in _MESSAGE_COLUMNS}
        columns |= {
            "user_id": content.get("user"),
            "channel_type": event.get("channel_type"),
            "event_ts": event["event_ts"],
            "updated_at": event["event_ts"] if changed else None,
        }
        key, version = (channel, content["ts"]), (event["event_ts"], event_id)
        if key not in self._contents or self._contents[key][0] < version:
            self._contents[key] = version, columns
        return "stored"

    def _reaction(self, event: dict[str, Any], event_id: EventId) -> str:
        item = event.get("item", {})
        if item.get("type") != "message":
            return "audit"
        states = self._reactions.setdefault((item["channel"], item["ts"]), {})
        who, version = (event["user"], event["reaction"]), (event["event_ts"], event_id)
        if who not in states or states[who][0] < version:
            states[who] = version, event["type"] == "reaction_added"
        return "stored"

    def _user(self, event: dict[str, Any]) -> str:
        user, profile = event["user"], event["user"].get("profile", {})
        happened = float(event["event_ts"])
        version = (float(user.get("updated", happened)), happened)
        row = self.users.setdefault(
            user["id"], {"user_name": user["id"], "deleted": False, "is_bot": False}
        )
        values = {
            name: user.get(name)
            for name in ("team_id", "tz", "tz_label", "tz_offset", "deleted", "is_bot", "updated")
        }
        values |= {
            name: profile.get(name)
            for name in ("display_name", "real_name_normalized", "display_name_normalized", "email")
        }
        values |= {
            "user_name": user.get("name"),
            "real_name": user.get("real_name", profile.get("real_name")),
        }
        self._merge("user", user["id"], row, values, version)
        return "stored"

    def _channel(self, event: dict[str, Any]) -> str:
        kind, happened = event["type"].partition("_")[2], float(event["event_ts"])
        if kind in ("created", "rename"):
            self._channel_record(event["channel"], happened)
            return "stored"
        still = bool(event.get("is_ext_shared", False))
        effects: dict[str, dict[str, Any]] = {
            "archive": {"is_archived": True},
            "unarchive": {"is_archived": False},
            "deleted": {"is_deleted": True},
            "left": {"is_member": False},
            "shared": {"is_shared": True, "is_ext_shared": True},
            "unshared": {"is_shared": still, "is_ext_shared": still},
            "id_changed": {"successor_id": event.get("new_channel_id")},
        }
        if kind not in effects:
            return "unrouted"
        channel_id = event["channel"] if "channel" in event else event["old_channel_id"]
        self._merge_channel(channel_id, effects[kind], (happened, happened))
        return "stored"

    def _channel_record(self, channel: Mapping[str, Any], happened: float) -> None:
        """Merge a channel's own record, whose topic and purpose can be newer than the rest of it."""
        version = (happened, happened)
        if "updated" in channel:
            updated = float(channel["updated"])
            version = (updated / 1000 if updated > 1e11 else updated, happened)
        for name in ("topic", "purpose"):
            if name in channel:
                set_at = max(version[0], float(channel[name].get("last_set", 0)))
                values = {name: channel[name].get("value")}
                self._merge_channel(channel["id"], values, (set_at, happened))
        flags = ("is_archived", "is_shared", "is_ext_shared", "is_org_shared", "is_member")
        values = {name: channel.get(name) for name in (*flags, "updated")}
        self._merge_channel(channel["id"], values | {"channel_name": channel.get("name")}, version)

    def _channel_message(self, event: dict[str, Any]) -> None:
        what = str(event.get("subtype")).removeprefix("channel_").removeprefix("group_")
        if what not in ("topic", "purpose", "name") or what == event.get("subtype"):
            return
        happened = float(event["event_ts"])
        column = "channel_name" if what == "name" else what
        self._merge_channel(event["channel"], {column: event.get(what)}, (happened, happened))

    def _merge_channel(self, id_: str, values: Mapping[str, Any], version: Version) -> None:
        row = self.channels.setdefault(id_, _new_channel(ChannelId(id_)))
        self._merge("channel", id_, row, values, version)

    def _merge(
        self, table: str, key: str, row: dict[str, Any], values: Mapping[str, Any], version: Version
    ) -> None:
        """Keep the newest value of each attribute; the greater of two values with the same version."""
        for name, value in values.items():
            if value is None:
                continue
            known = self._versions.get((table, key, name))
            if known is None or known < (*version, value):
                self._versions[table, key, name] = (*version, value)
                row[name] = value


def clean(value: Any) -> Any:
    """The value without NUL, lone surrogates, and tokens in links."""
    if isinstance(value, dict):
        return {clean(name): clean(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [clean(inner) for inner in value]
    if isinstance(value, str):
        value = (
            value.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        )
        return _SECRET.sub("", value).rstrip("?&") if "=xox" in value else value
    return value


def _new_channel(channel_id: ChannelId) -> dict[str, Any]:
    """The row of a channel of which Slack has told nothing yet."""
    flags = ("is_archived", "is_shared", "is_ext_shared", "is_org_shared", "is_deleted")
    return {"channel_name": channel_id} | dict.fromkeys(flags, False)
