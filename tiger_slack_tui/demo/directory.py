"""The users, channels and newest messages of the local Slack, as its Web API returns them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tiger_slack_tui.base.ids import ChannelId, SlackTs

OWN_USER = "U0TIGER"
"""The app's bot user."""
_PAGE = 1000
"""Entries that a page holds at most."""
_RESTRICTED_PAGE = 15
"""Messages of a page for apps that are distributed outside of the Marketplace."""
_TRUE = ("true", "1", "True")


class Directory:
    """The present state of the workspace, as far as the list and history methods return it."""

    def __init__(
        self,
        users: list[dict[str, Any]] | None = None,
        channels: list[dict[str, Any]] | None = None,
        *,
        most_messages: int = 1000,
    ) -> None:
        """`most_messages` are kept of each channel, so that a demo can run for days."""
        self.users = {user["id"]: user for user in users or []}
        self.channels = {channel["id"]: channel for channel in channels or []}
        self.is_restricted = False
        """Whether a page holds at most 15 messages, as for apps that are distributed outside of the Marketplace."""
        self.shows_since: SlackTs | None = None
        """Older messages are hidden, as the free plan does; None if none are."""
        self._most_messages = most_messages
        self._threads: dict[tuple[ChannelId, SlackTs], set[SlackTs]] = {}
        """The replies of each thread."""
        self._messages: dict[ChannelId, OrderedDict[SlackTs, dict[str, Any]]] = {}
        self._reactions: dict[tuple[str, str], dict[str, list[str]]] = {}

    def apply(self, event: Mapping[str, Any]) -> None:
        """Change the state by an event."""
        kind = event.get("type")
        if kind == "message":
            self._apply_message(event)
        elif kind in ("reaction_added", "reaction_removed"):
            self._apply_reaction(event)
        elif kind in ("user_change", "team_join"):
            self.users[event["user"]["id"]] = dict(event["user"])
        elif kind == "channel_created":
            self.channels[event["channel"]["id"]] = dict(event["channel"])
        elif kind == "channel_rename":
            self.channels.setdefault(event["channel"]["id"], {}).update(event["channel"])
        elif kind in ("member_joined_channel", "channel_left"):
            if event.get("user", OWN_USER) == OWN_USER and event["channel"] in self.channels:
                self.channels[event["channel"]]["is_member"] = kind == "member_joined_channel"
        elif kind == "channel_deleted":
            self.channels.pop(event["channel"], None)
        elif kind in ("channel_archive", "channel_unarchive"):
            self.channels.setdefault(event["channel"], {"id": event["channel"]})["is_archived"] = (
                kind == "channel_archive"
            )

    def answer(self, method: str, given: Mapping[str, str]) -> dict[str, Any]:
        """One page of the answer to a list or history method."""
        match method:
            case "users.list":
                return _page("members", list(self.users.values()), given, 1000)
            case "conversations.list":
                return _page("channels", self._listed(given), given, 100)
            case "users.conversations":
                own = [channel for channel in self._listed(given) if _is_member(channel)]
                return _page("channels", own, given, 100)
            case "conversations.join":
                return self._join(ChannelId(given.get("channel", "")))
            case "conversations.history":
                return self._history(given)
            case "conversations.replies":
                return self._replies(given)
        return {"ok": False, "error": "unknown_method"}

    def _join(self, channel: ChannelId) -> dict[str, Any]:
        found = self.channels.get(channel)
        if found is None or _kind(found) != "public_channel":
            return {"ok": False, "error": "channel_not_found"}
        if found.get("is_archived"):
            return {"ok": False, "error": "is_archived"}
        found["is_member"] = True
        return {"ok": True, "channel": found}

    def _listed(self, given: Mapping[str, str]) -> list[dict[str, Any]]:
        # As in Slack, a space in the list makes an unknown type, and unknown types are ignored.
        kinds = given.get("types", "public_channel").split(",")
        hide = given.get("exclude_archived", "false") in _TRUE
        return [
            channel
            for channel in self.channels.values()
            if _kind(channel) in kinds and not (hide and channel.get("is_archived"))
        ]

    def messages(self, channel: ChannelId) -> list[dict[str, Any]]:
        """The kept messages of a channel, as its history returns them, the oldest first."""
        return [self._shown(channel, ts) for ts in sorted(self._messages.get(channel, {}))]

    def _history(self, given: Mapping[str, str]) -> dict[str, Any]:
        """A page of messages, the newest first; without replies, except those that were also sent to the channel."""
        channel = ChannelId(given.get("channel", ""))
        if error := self._hidden(channel):
            return {"ok": False, "error": error}
        found = [
            ts
            for ts, message in sorted(self._messages.get(channel, {}).items(), reverse=True)
            if (
                message.get("thread_ts") in (None, ts)
                or message.get("subtype") == "thread_broadcast"
            )
            and _is_between(ts, given)
        ]
        shown = [ts for ts in found if self.shows_since is None or ts >= self.shows_since]
        answer = self._message_page(channel, shown, given, 100)
        return answer | ({"is_limited": True} if len(shown) < len(found) else {})

    def _replies(self, given: Mapping[str, str]) -> dict[str, Any]:
        """A page of a thread, the oldest first: its parent, and its replies between `oldest` and `latest`."""
        channel, thread = ChannelId(given.get("channel", "")), SlackTs(given.get("ts", ""))
        if error := self._hidden(channel):
            return {"ok": False, "error": error}
        found = sorted(self._threads.get((channel, thread), ()))
        if thread in self._messages.get(channel, {}):
            found.insert(0, thread)
        if not found:
            return {"ok": False, "error": "thread_not_found"}
        shown = [ts for ts in found if ts == thread or _is_between(ts, given)]
        return self._message_page(channel, shown, given, _PAGE)

    def _message_page(
        self, channel: ChannelId, found: list[SlackTs], given: Mapping[str, str], default: int
    ) -> dict[str, Any]:
        if self.is_restricted:
            limit = min(int(given.get("limit") or default), _RESTRICTED_PAGE)
            given = {**given, "limit": str(limit)}
        answer = _page("messages", found, given, default)
        if answer["ok"]:
            answer["messages"] = [self._shown(channel, ts) for ts in answer["messages"]]
        return answer

    def _hidden(self, channel: ChannelId) -> str | None:
        """The error if the app may not see the channel's messages."""
        if channel not in self.channels and channel not in self._messages:
            return "channel_not_found"
        return None if _is_member(self.channels.get(channel, {})) else "not_in_channel"

    def _shown(self, channel: ChannelId, ts: SlackTs) -> dict[str, Any]:
        """The message with its reactions; a parent also has the number of its replies."""
        messages = self._messages[channel]
        shown = dict(messages[ts])
        if reactions := self._reactions.get((channel, ts)):
            shown["reactions"] = [
                {"name": name, "users": list(users), "count": len(users)}
                for name, users in reactions.items()
            ]
        if replies := self._threads.get((channel, ts)):
            shown |= {"thread_ts": ts, "reply_count": len(replies), "latest_reply": max(replies)}
        return shown

    def _apply_reaction(self, event: Mapping[str, Any]) -> None:
        item = event["item"]
        if item.get("type") != "message":
            return
        reactions = self._reactions.setdefault((item["channel"], item["ts"]), {})
        users = reactions.setdefault(event["reaction"], [])
        if event["user"] in users:
            users.remove(event["user"])
        if event["type"] == "reaction_added":
            users.append(event["user"])
        elif not users:
            del reactions[event["reaction"]]

    def _apply_message(self, event: Mapping[str, Any]) -> None:
        messages = self._messages.setdefault(event["channel"], OrderedDict())
        subtype = event.get("subtype")
        if subtype == "channel_name" and event["channel"] in self.channels:
            self.channels[event["channel"]]["name"] = event["name"]
        if subtype == "message_deleted":
            self._delete(event["channel"], event["deleted_ts"])
        elif subtype == "message_changed":
            if event["message"]["ts"] in messages:
                messages[event["message"]["ts"]] = dict(event["message"])
        elif subtype != "message_replied" and "text" in event:
            messages[event["ts"]] = {
                k: v for k, v in event.items() if k not in ("channel", "event_ts", "channel_type")
            }
            self._index(event["channel"], event["ts"], event.get("thread_ts"))
            if len(messages) > self._most_messages:
                ts, dropped = messages.popitem(last=False)
                self._threads.get((event["channel"], dropped.get("thread_ts", ts)), set()).discard(
                    ts
                )

    def _index(self, channel: ChannelId, ts: SlackTs, thread: SlackTs | None) -> None:
        if thread is not None and thread != ts:
            self._threads.setdefault((channel, thread), set()).add(ts)

    def _delete(self, channel: ChannelId, ts: SlackTs) -> None:
        """Delete the message. A parent with replies leaves a tombstone."""
        messages = self._messages[channel]
        self._reactions.pop((channel, ts), None)
        gone = messages.pop(ts, None)
        if gone:
            self._threads.get((channel, gone.get("thread_ts", ts)), set()).discard(ts)
        if gone and self._threads.get((channel, ts)):
            left = {"type": "message", "subtype": "tombstone", "ts": ts, "thread_ts": ts}
            messages[ts] = left | {"user": "USLACKBOT", "text": "This message was deleted."}


def _kind(channel: Mapping[str, Any]) -> str:
    for kind in ("im", "mpim"):
        if channel.get(f"is_{kind}"):
            return kind
    return "private_channel" if channel.get("is_private") else "public_channel"


def _is_member(channel: Mapping[str, Any]) -> bool:
    return bool(channel.get("is_member", True))


def _is_between(ts: SlackTs, given: Mapping[str, str]) -> bool:
    oldest, latest = Decimal(given.get("oldest") or 0), Decimal(given.get("latest") or 10**12)
    is_inclusive = given.get("inclusive", "false") in _TRUE
    return oldest < Decimal(ts) < latest or (is_inclusive and Decimal(ts) in (oldest, latest))


def _page(
    name: str, items: Sequence[Any], given: Mapping[str, str], default: int
) -> dict[str, Any]:
    """A page of the items. Its cursor is the index of its first item."""
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
