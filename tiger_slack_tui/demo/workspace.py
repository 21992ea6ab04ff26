"""An invented workspace, whose users post, reply, edit, delete, react, join and leave.

The same seed, start and rate always make the same events, so that a check can make them again.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from tiger_slack_tui.demo import prose

TEAM = "T0LOCAL"
APP = "A0LOCAL"
_REMEMBERED = 2000
"""The newest messages, to which replies, edits, deletions and reactions refer."""

_MOST_USERS, _MOST_CHANNELS = 1000, 200  # limits, because a demo can run for days


class Workspace:
    """Makes the events. `start` is the time of the first one in seconds since 1970; `rate` is in events a second.

    With `nasty`, some texts hold NUL, lone surrogates, terminal escapes, or 40,000 characters.
    """

    def __init__(self, seed: int, start: float, rate: float, *, nasty: bool = False) -> None:
        self._random = random.Random(seed)
        self._start = round(start * 1_000_000)
        self._step = max(round(1_000_000 / rate), 1)
        self._nasty = nasty
        self._prefix = f"{seed:X}{self._start:X}"
        self._number = 0
        self._messages: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self.users = [self._new_user(n) for n in range(40)]
        self.channels = [self._new_channel(n) for n in range(12)]
        kinds = self._kinds()
        self._makers = [maker for maker, _ in kinds]
        self._weights = [weight for _, weight in kinds]

    def events(self, count: int | None = None) -> Iterator[dict[str, Any]]:
        """The next `count` events, or endless ones for None, as Events API payloads."""
        made = 0
        while count is None or made < count:
            self._number += 1
            maker = self._random.choices(self._makers, self._weights)[0]
            yield self._payload(maker())
            made += 1

    def _kinds(self) -> list[tuple[Callable[[], dict[str, Any]], float]]:
        """Each kind of event with its weight; the weights add up to about 100."""
        return [
            (self._post, 48),
            (self._reply, 22),
            (self._react, 10),
            (self._unreact, 2),
            (self._edit, 4),
            (self._unfurl, 2),
            (self._delete, 1.5),
            (self._delete_parent, 0.3),
            (self._bot_post, 4),
            (self._share_file, 2),
            (self._me, 0.4),
            (self._broadcast, 0.4),
            (self._join_message, 0.5),
            (self._topic, 0.4),
            (self._purpose, 0.2),
            (self._rename_message, 0.1),
            (self._replied, 0.6),
            (self._mention, 0.6),
            (self._react_to_file, 0.2),
            (self._change_user, 0.7),
            (self._change_profile, 0.5),
            (self._join_team, 0.2),
            (self._create_channel, 0.15),
            (self._rename_channel, 0.15),
            (self._archive, 0.2),
            (self._member, 0.5),
            (self._unknown, 0.2),
        ]

    # Time, identity, envelope

    @property
    def _now(self) -> str:
        return _ts(self._start + self._number * self._step)

    def _payload(self, event: dict[str, Any]) -> dict[str, Any]:
        event.setdefault("event_ts", self._now)
        return {
            "token": "local",
            "team_id": TEAM,
            "api_app_id": APP,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{self._prefix}{self._number:X}",
            "event_time": int(float(self._now)),
            "authorizations": [{"team_id": TEAM, "user_id": "U0TIGER", "is_bot": True}],
        }

    # Messages

    def _message(self, **fields: Any) -> dict[str, Any]:
        """A new message, which later events can refer to."""
        text = prose.text(self._random, nasty=self._nasty)
        message = {
            "type": "message",
            "channel": self._channel()["id"],
            "channel_type": "channel",
            "user": self._user()["id"],
            "team": TEAM,
            "text": text,
            "ts": self._now,
            "client_msg_id": f"{self._random.getrandbits(32):08x}-0000-4000-8000-{self._number:012x}",
            "blocks": prose.blocks(text, self._random),
        } | fields
        self._messages.append(message)
        return dict(message)

    def _post(self) -> dict[str, Any]:
        return self._message()

    def _reply(self) -> dict[str, Any]:
        parent = self._some_message()
        if parent is None:
            return self._post()
        return self._message(
            channel=parent["channel"],
            thread_ts=parent.get("thread_ts", parent["ts"]),
            parent_user_id=parent.get("user", "U0TIGER"),
        )

    def _broadcast(self) -> dict[str, Any]:
        return self._reply() | {"subtype": "thread_broadcast"}

    def _me(self) -> dict[str, Any]:
        return self._message(subtype="me_message")

    def _bot_post(self) -> dict[str, Any]:
        bot = f"B{self._random.randrange(4):04d}"
        message = self._message(
            subtype="bot_message",
            bot_id=bot,
            app_id=APP,
            username="deploy",
            icons={"emoji": ":robot_face:"},
            attachments=[
                {"id": 1, "color": "36a64f", "fallback": "build passed", "text": "build passed"}
            ],
        )
        return {
            key: value for key, value in message.items() if key not in ("user", "client_msg_id")
        }

    def _share_file(self) -> dict[str, Any]:
        number = f"F{self._number:08X}"
        address = f"https://files.local/files-pri/{TEAM}-{number}/report.pdf"
        file = {
            "id": number,
            "name": "report.pdf",
            "mimetype": "application/pdf",
            "size": self._random.randrange(10_000_000),
            "url_private": f"{address}?t=xoxe-1-{self._random.getrandbits(60):x}",
            "url_private_download": f"{address}?origin=team&token=xoxe-1-{self._random.getrandbits(60):x}&pub=1",
        }
        return self._message(subtype="file_share", files=[file], upload=False, display_as_bot=False)

    def _edit(self) -> dict[str, Any]:
        target = self._some_message()
        if target is None:
            return self._post()
        text = prose.text(self._random, nasty=self._nasty)
        edited = {"user": target.get("user", "U0TIGER"), "ts": f"{self._now[:10]}.000000"}
        changed = {"text": text, "blocks": prose.blocks(text, self._random), "edited": edited}
        return self._changed(target, changed)

    def _unfurl(self) -> dict[str, Any]:
        target = self._some_message()
        if target is None:
            return self._post()
        link = {
            "id": 1,
            "title": "A page",
            "from_url": "https://example.org/",
            "fallback": "A page",
        }
        return self._changed(target, {"attachments": [link]})

    def _changed(self, target: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
        before = _nested(target)
        target |= change
        return {
            "type": "message",
            "subtype": "message_changed",
            "channel": target["channel"],
            "channel_type": "channel",
            "hidden": True,
            "ts": self._now,
            "message": _nested(target),
            "previous_message": before,
        }

    def _delete(self) -> dict[str, Any]:
        target = self._take_message()
        if target is None:
            return self._post()
        return {
            "type": "message",
            "subtype": "message_deleted",
            "channel": target["channel"],
            "channel_type": "channel",
            "hidden": True,
            "ts": self._now,
            "deleted_ts": target["ts"],
            "previous_message": _nested(target),
        }

    def _delete_parent(self) -> dict[str, Any]:
        target = self._take_message()
        if target is None:
            return self._post()
        left = {
            "subtype": "tombstone",
            "text": "This message was deleted.",
            "user": "USLACKBOT",
            "hidden": True,
        }
        kept = {
            "type": "message",
            "ts": target["ts"],
            "thread_ts": target["ts"],
            "reply_count": 1,
        } | left
        return self._changed(target, {}) | {"message": kept}

    def _replied(self) -> dict[str, Any]:
        target = self._some_message()
        if target is None:
            return self._post()
        event = {"type": "message", "channel": target["channel"], "ts": self._now, "hidden": True}
        nested = {
            "type": "message",
            "ts": target["ts"],
            "thread_ts": target["ts"],
            "reply_count": 3,
        }
        # Slack sometimes leaves the subtype out.
        named = {"subtype": "message_replied"} if self._random.random() < 0.5 else {}
        return event | {"message": nested, "channel_type": "channel"} | named

    # Messages that report a change of a channel

    def _system(self, subtype: str, text: str, **fields: Any) -> dict[str, Any]:
        user = self._user()["id"]
        event = {"type": "message", "subtype": subtype, "user": user, "text": f"<@{user}> {text}"}
        return (
            event
            | {"ts": self._now, "channel": self._channel()["id"], "channel_type": "channel"}
            | fields
        )

    def _join_message(self) -> dict[str, Any]:
        return self._system("channel_join", "has joined the channel")

    def _topic(self) -> dict[str, Any]:
        topic = prose.title(self._random)
        return self._system("channel_topic", f"set the channel topic: {topic}", topic=topic)

    def _purpose(self) -> dict[str, Any]:
        purpose = prose.title(self._random)
        return self._system(
            "channel_purpose", f"set the channel description: {purpose}", purpose=purpose
        )

    def _rename_message(self) -> dict[str, Any]:
        channel = self._channel()
        old, channel["name"] = channel["name"], f"{prose.word(self._random)}-{self._number}"
        return self._system(
            "channel_name",
            "has renamed the channel",
            channel=channel["id"],
            old_name=old,
            name=channel["name"],
        )

    # Reactions

    def _react(self, kind: str = "reaction_added") -> dict[str, Any]:
        target = self._some_message()
        if target is None:
            return self._post()
        return {
            "type": kind,
            "user": self._user()["id"],
            "reaction": self._random.choice(prose.REACTIONS),
            "item_user": target.get("user", "U0TIGER"),
            "item": {"type": "message", "channel": target["channel"], "ts": target["ts"]},
        }

    def _unreact(self) -> dict[str, Any]:
        return self._react("reaction_removed")

    def _react_to_file(self) -> dict[str, Any]:
        item = {"type": "file", "file": f"F{self._number:08X}"}
        return {
            "type": "reaction_added",
            "user": self._user()["id"],
            "reaction": "eyes",
            "item": item,
        }

    # Users and channels

    def _change_user(self) -> dict[str, Any]:
        user = self._user()
        user["tz"] = self._random.choice(prose.ZONES)
        user["profile"] = user["profile"] | {
            "display_name": prose.word(self._random),
            "status_text": "busy",
        }
        user["updated"] = int(float(self._now))
        return {"type": "user_change", "user": dict(user), "cache_ts": user["updated"]}

    def _change_profile(self) -> dict[str, Any]:
        user = self._user()
        user["profile"] = user["profile"] | {"display_name": prose.word(self._random)}
        user["updated"] = int(float(self._now))
        partial = {key: user[key] for key in ("id", "team_id", "name", "profile", "updated")}
        return {"type": "user_profile_changed", "user": partial, "cache_ts": user["updated"]}

    def _join_team(self) -> dict[str, Any]:
        if len(self.users) >= _MOST_USERS:
            return self._change_user()
        user = self._new_user(len(self.users))
        self.users.append(user)
        return {"type": "team_join", "user": dict(user)}

    def _create_channel(self) -> dict[str, Any]:
        if len(self.channels) >= _MOST_CHANNELS:
            return self._rename_channel()
        channel = self._new_channel(len(self.channels))
        self.channels.append(channel)
        return {"type": "channel_created", "channel": dict(channel)}

    def _rename_channel(self) -> dict[str, Any]:
        channel = self._channel()
        channel["name"] = f"{prose.word(self._random)}-{self._number}"
        values = {key: channel[key] for key in ("id", "name", "created")}
        return {"type": "channel_rename", "channel": values}

    def _archive(self) -> dict[str, Any]:
        channel = self._channel()
        channel["is_archived"] = not channel["is_archived"]
        kind = "channel_archive" if channel["is_archived"] else "channel_unarchive"
        return {"type": kind, "channel": channel["id"], "user": self._user()["id"]}

    def _member(self) -> dict[str, Any]:
        kind = self._random.choice(["member_joined_channel", "member_left_channel"])
        who = {
            "user": self._user()["id"],
            "channel": self._channel()["id"],
            "channel_type": "C",
            "team": TEAM,
        }
        return {"type": kind} | who

    def _mention(self) -> dict[str, Any]:
        text = f"<@U0TIGER> {prose.text(self._random)}"
        who = {"user": self._user()["id"], "channel": self._channel()["id"]}
        return {"type": "app_mention", "text": text, "ts": self._now, "team": TEAM} | who

    def _unknown(self) -> dict[str, Any]:
        return {"type": "emoji_changed", "subtype": "add", "name": prose.word(self._random)}

    def _new_user(self, number: int) -> dict[str, Any]:
        first, last = prose.name(self._random)
        return {
            "id": f"U{number:08d}",
            "team_id": TEAM,
            "name": f"{first}.{last}".lower(),
            "real_name": f"{first} {last}",
            "deleted": False,
            "is_bot": False,
            "tz": self._random.choice(prose.ZONES),
            "tz_label": "Some Time",
            "tz_offset": 3600 * self._random.randrange(-11, 12),
            "updated": self._start // 1_000_000,
            "profile": {
                "real_name": f"{first} {last}",
                "real_name_normalized": f"{first} {last}",
                "display_name": first.lower(),
                "display_name_normalized": first.lower(),
                "email": prose.email(first, last),
            },
        }

    def _new_channel(self, number: int) -> dict[str, Any]:
        name = (
            prose.CHANNELS[number]
            if number < len(prose.CHANNELS)
            else f"{prose.word(self._random)}-{number}"
        )
        return {
            "id": f"C{number:08d}",
            "name": name,
            "created": int(float(_ts(self._start + self._number * self._step))),
            "is_channel": True,
            "is_private": number % 5 == 4,
            "is_archived": False,
            "is_shared": False,
            "is_ext_shared": False,
            "is_org_shared": False,
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": prose.title(self._random), "creator": "U00000000", "last_set": 0},
        }

    # Random choices

    def _user(self) -> dict[str, Any]:
        return self._random.choice(self.users)

    def _channel(self) -> dict[str, Any]:
        return self._random.choice(self.channels)

    def _some_message(self) -> dict[str, Any] | None:
        return self._random.choice(self._messages) if self._messages else None

    def _take_message(self) -> dict[str, Any] | None:
        """Remove and return a message, so that no later event refers to it."""
        if not self._messages:
            return None
        self._messages.rotate(self._random.randrange(len(self._messages)))
        return self._messages.pop()


def _ts(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{seconds}.{rest:06d}"


def _nested(message: dict[str, Any]) -> dict[str, Any]:
    """A message as the events about it contain it."""
    return {key: value for key, value in message.items() if key not in ("channel", "channel_type")}
