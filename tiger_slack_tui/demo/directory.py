"""What the Web API answers: the people, channels and newest messages of a local workspace."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_MOST_MESSAGES = 1000
"""Messages that a channel's history keeps; a demo runs for days."""
_PAGE = 1000
"""Most entries of a page."""


class Directory:
    """The present state, as far as the list and history methods show it."""

    def __init__(
        self,
        users: list[dict[str, Any]] | None = None,
        channels: list[dict[str, Any]] | None = None,
    ) -> None:
        self.users = {user["id"]: user for user in users or []}
        self.channels = {channel["id"]: channel for channel in channels or []}
        self._messages: dict[str, OrderedDict[str, dict[str, Any]]] = {}

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take an event into account that is about to be sent."""
        kind = event.get("type")
        if kind == "message":
            self._apply_message(event)
        elif kind in ("user_change", "team_join"):
            self.users[event["user"]["id"]] = dict(event["user"])
        elif kind == "channel_created":
            self.channels[event["channel"]["id"]] = dict(event["channel"])
        elif kind == "channel_rename":
            self.channels.setdefault(event["channel"]["id"], {}).update(event["channel"])
        elif kind == "channel_deleted":
            self.channels.pop(event["channel"], None)
        elif kind in ("channel_archive", "channel_unarchive"):
            self.channels.setdefault(event["channel"], {"id": event["channel"]})["is_archived"] = (
                kind == "channel_archive"
            )

    def answer(self, method: str, given: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a list or history method, a page at a time."""
        match method:
            case "users.list":
                return _page("members", list(self.users.values()), given, 1000)
            case "conversations.list":
                return _page("channels", self._listed(given), given, 100)
            case "conversations.history":
                return self._history(given)
            case "conversations.replies":
                return self._replies(given)
        return {"ok": False, "error": "unknown_method"}

    def _listed(self, given: Mapping[str, str]) -> list[dict[str, Any]]:
        # As Slack does: a space in the list makes a type that nobody knows, and unknown ones are ignored.
        kinds = given.get("types", "public_channel").split(",")
        hide = given.get("exclude_archived", "false") in ("true", "1", "True")
        return [
            channel
            for channel in self.channels.values()
            if ("private_channel" if channel.get("is_private") else "public_channel") in kinds
            and not (hide and channel.get("is_archived"))
        ]

    def _history(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Parents and messages outside of threads, the newest first."""
        messages = self._between(given)
        if messages is None:
            return {"ok": False, "error": "channel_not_found"}
        shown = [m for m in messages if m.get("thread_ts") in (None, m["ts"])]
        return _page("messages", shown[::-1], given, 100)

    def _replies(self, given: Mapping[str, str]) -> dict[str, Any]:
        """A thread with its parent, the oldest first."""
        messages = self._between(given)
        if messages is None:
            return {"ok": False, "error": "channel_not_found"}
        shown = [m for m in messages if given.get("ts") in (m["ts"], m.get("thread_ts"))]
        if not shown:
            return {"ok": False, "error": "thread_not_found"}
        return _page("messages", shown, given, _PAGE)

    def _between(self, given: Mapping[str, str]) -> list[dict[str, Any]] | None:
        """The channel's messages in the time asked for, the oldest first; None for an unknown channel."""
        channel = given.get("channel", "")
        if channel not in self.channels and channel not in self._messages:
            return None
        oldest, latest = Decimal(given.get("oldest") or 0), Decimal(given.get("latest") or 10**12)
        inclusive = given.get("inclusive", "false") in ("true", "1", "True")
        return [
            message
            for ts, message in sorted(self._messages.get(channel, {}).items())
            if oldest < Decimal(ts) < latest or (inclusive and Decimal(ts) in (oldest, latest))
        ]

    def _apply_message(self, event: Mapping[str, Any]) -> None:
        messages = self._messages.setdefault(event["channel"], OrderedDict())
        subtype = event.get("subtype")
        if subtype == "channel_name" and event["channel"] in self.channels:
            self.channels[event["channel"]]["name"] = event["name"]
        if subtype == "message_deleted":
            messages.pop(event["deleted_ts"], None)
        elif subtype == "message_changed":
            if event["message"]["ts"] in messages:
                messages[event["message"]["ts"]] = dict(event["message"])
        elif subtype != "message_replied" and "text" in event:
            messages[event["ts"]] = {
                k: v for k, v in event.items() if k not in ("channel", "event_ts", "channel_type")
            }
            if len(messages) > _MOST_MESSAGES:
                messages.popitem(last=False)


def _page(
    name: str, items: list[dict[str, Any]], given: Mapping[str, str], default: int
) -> dict[str, Any]:
    """A page of the items; the cursor is where it begins."""
    try:
        begin = int(given.get("cursor") or 0)
    except ValueError:
        return {"ok": False, "error": "invalid_cursor"}
    end = begin + min(int(given.get("limit") or default), _PAGE)
    answer = {"ok": True, name: items[begin:end]}
    if name == "messages":
        answer["has_more"] = end < len(items)
    cursor = str(end) if end < len(items) else ""
    return answer | {"response_metadata": {"next_cursor": cursor}}
