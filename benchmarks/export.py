"""Makes a Slack export of any size; the same arguments make the same export.

python benchmarks/export.py DIRECTORY|FILE.zip [MESSAGES [FILES]]
"""

from __future__ import annotations

import random
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson

_USERS = 200
_CHANNELS = 40
_FIRST_DAY = date(2023, 1, 2)
_DAY_ZERO = date(1970, 1, 1)
_WORDS = (
    *("deploy", "release", "incident", "review", "merge", "branch", "query", "index", "chunk"),
    *("vacuum", "replica", "latency", "budget", "invoice", "customer", "meeting", "agenda"),
    *("lunch", "weekend", "dashboard", "alert", "metric", "trace", "rollback", "hotfix", "flag"),
)


@dataclass(frozen=True, slots=True)
class Size:
    """What an export holds. It has exactly so many messages and day files."""

    messages: int
    files: int
    seed: int = 1
    over: tuple[date, int] | None = None
    """A day, and a number of weeks over which all files are spread. Else the days of a channel follow one another."""
    words: tuple[int, int] = (5, 115)
    """The fewest and the most words of a message."""
    part: tuple[int, int] = (0, 1)
    """(K, N): only every Nth file from the Kth on, so that N processes can write the export."""


def write_export(root: Path, size: Size) -> None:
    """Write the export into the folder `root`."""
    for path, content in _files(size):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def zip_export(target: Path, size: Size) -> None:
    """Write the export as a ZIP file."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in _files(size):
            archive.writestr(path, content)


def _files(size: Size) -> Iterator[tuple[str, bytes]]:
    users = [_user(number) for number in range(_USERS)]
    if size.part[0] == 0:
        yield "users.json", orjson.dumps(users)
        yield "channels.json", orjson.dumps([_channel(number) for number in range(_CHANNELS)])
    days = -(-size.files // _CHANNELS)
    for number in range(size.part[0], size.files, size.part[1]):
        day = _FIRST_DAY + timedelta(days=number % days)
        if size.over is not None:
            first, weeks = size.over
            place = number % days * _CHANNELS + number // days
            day = first + timedelta(days=place * 7 * weeks // (days * _CHANNELS))
        name = f"channel-{number // days:02}"
        count = size.messages // size.files + (number < size.messages % size.files)
        chance = random.Random(f"{size.seed} {number}")
        messages = list(_day(day, count, users, chance, size.words))
        yield f"{name}/{day}.json", orjson.dumps(messages)


def _day(
    day: date,
    size: int,
    users: list[dict[str, Any]],
    chance: random.Random,
    words: tuple[int, int],
) -> Iterator[dict[str, Any]]:
    start = (day - _DAY_ZERO).days * 86_400 + 8 * 3600
    parents: list[str] = []
    for number in range(size):
        ts = f"{start + number * 50_000 // max(size, 1)}.{chance.randrange(1_000_000):06}"
        user = chance.choice(users)
        message = _message(ts, user, chance, words)
        if parents and chance.random() < 0.3:
            message["thread_ts"] = chance.choice(parents)
            message["parent_user_id"] = chance.choice(users)["id"]
        elif chance.random() < 0.1:
            parents.append(ts)
            message |= {
                "thread_ts": ts,
                "reply_count": 3,
                "reply_users_count": 2,
                "is_locked": False,
            }
        if chance.random() < 0.12:
            message["reactions"] = [
                {
                    "name": name,
                    "users": (who := [u["id"] for u in chance.sample(users, chance.randint(1, 3))]),
                    "count": len(who),
                }
                for name in chance.sample(
                    ("+1", "tada", "eyes", "heart::skin-tone-3"), chance.randint(1, 2)
                )
            ]
        if chance.random() < 0.05:
            message |= {"upload": False, "files": [_file(chance, user["id"])]}
        if chance.random() < 0.05:
            message["edited"] = {"user": user["id"], "ts": f"{ts.partition('.')[0]}.000000"}
        yield message


def _message(
    ts: str, user: dict[str, Any], chance: random.Random, words: tuple[int, int]
) -> dict[str, Any]:
    text = " ".join(chance.choices(_WORDS, k=chance.randint(*words)))
    return {
        "user": user["id"],
        "type": "message",
        "ts": ts,
        "client_msg_id": f"{chance.getrandbits(128):032x}"
        if chance.random() < 0.01
        else _uuid(chance),
        "text": text,
        "team": "T00000001",
        "user_team": "T00000001",
        "source_team": "T00000001",
        "user_profile": user["profile"] | {"team": "T00000001", "name": user["name"]},
        "blocks": [
            {
                "type": "rich_text",
                "block_id": f"{chance.getrandbits(24):06x}",
                "elements": [
                    {
                        "type": "rich_text_section",
                        "elements": [
                            {"type": "text", "text": part + " ", "style": {"bold": bool(n % 2)}}
                            for n, part in enumerate(text.split(" e"))
                        ],
                    }
                ],
            }
        ],
    }


def _uuid(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _file(chance: random.Random, user: str) -> dict[str, Any]:
    id_ = f"F{chance.getrandbits(40):010X}"
    address = f"https://files.example.com/files-pri/T00000001-{id_}"
    return {
        "id": id_,
        "name": "report.pdf",
        "mimetype": "application/pdf",
        "size": chance.randrange(1 << 22),
        "user": user,
        "url_private": f"{address}/report.pdf?t=xoxe-1-secret-{id_}",
        "url_private_download": f"{address}/download/report.pdf?t=xoxe-1-secret-{id_}",
        "permalink": f"https://example.slack.com/files/{user}/{id_}/report.pdf",
        "thumb_pdf": f"{address}/thumb.png?t=xoxe-1-secret-{id_}",
    }


def _user(number: int) -> dict[str, Any]:
    name = f"person{number}"
    return {
        "id": f"U{number:08}",
        "team_id": "T00000001",
        "name": name,
        "deleted": False,
        "real_name": f"Person {number}",
        "tz": "America/New_York",
        "tz_label": "Eastern Standard Time",
        "tz_offset": -18000,
        "profile": {
            "real_name": f"Person {number}",
            "display_name": name,
            "first_name": "Person",
            "avatar_hash": f"{number:012x}",
            "image_72": f"https://avatars.example.com/2023-01-01/{number:012x}_72.png",
            "email": f"{name}@example.com",
            "is_restricted": False,
            "is_ultra_restricted": False,
        },
        "is_bot": False,
        "updated": 1_700_000_000,
    }


def _channel(number: int) -> dict[str, Any]:
    return {
        "id": f"C{number:08}",
        "name": f"channel-{number:02}",
        "created": 1_600_000_000,
        "is_archived": False,
        "members": [f"U{user:08}" for user in range(0, _USERS, 7)],
        "topic": {"value": "topic", "creator": "U00000000", "last_set": 0},
        "purpose": {"value": "purpose", "creator": "", "last_set": 0},
    }


if __name__ == "__main__":
    root = Path(sys.argv[1])
    messages, files = (int(text) for text in [*sys.argv[2:4], "200000", "8000"][:2])
    (zip_export if root.suffix == ".zip" else write_export)(root, Size(messages, files))
