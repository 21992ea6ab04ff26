"""Invented names, titles and messages."""

from __future__ import annotations

import random
import unicodedata
from typing import Any

CHANNELS = (
    "general",
    "random",
    "deploys",
    "incidents",
    "billing",
    "design",
    "data",
    "support",
    "hiring",
    "lunch",
)
REACTIONS = ("+1", "eyes", "tada", "heart", "white_check_mark", "thumbsup::skin-tone-3", "rocket")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Africa/Nairobi", "Australia/Sydney")
_FIRST = (
    "Ada",
    "Björn",
    "Chidi",
    "Deniz",
    "Emi",
    "Farid",
    "Grace",
    "Hana",
    "Ivo",
    "Júlia",
    "Kofi",
    "Lin",
)
_LAST = (
    "Okafor",
    "Sørensen",
    "Tanaka",
    "Weber",
    "Yilmaz",
    "Novák",
    "Garcia",
    "Haddad",
    "Iyer",
    "Kim",
)
_WORDS = (
    "index",
    "query",
    "chunk",
    "release",
    "branch",
    "review",
    "invoice",
    "customer",
    "login",
    "latency",
    "backup",
    "replica",
    "schema",
    "cache",
    "timeout",
    "ticket",
    "meeting",
    "coffee",
    "graph",
    "budget",
    "deploy",
    "rollback",
    "metric",
    "alert",
    "dashboard",
    "migration",
    "table",
    "column",
)
_SENTENCES = (
    "Has anybody looked at the {0} since the last {1}?",
    "The {0} is green again, the {1} was the cause.",
    "I would rather not touch the {0} before the {1}.",
    "Can we move the {1} to tomorrow? The {0} is not done.",
    "Fixed: the {0} no longer waits for the {1} :tada:",
    "See <https://example.org/{0}?page={1}&amp;full=1|the notes> for the {0}.",
    "`select * from {0}` takes 3 s, with the {1} 20 ms",
    "Wer kümmert sich um {0} und {1}? 🙏",
    "{0} と {1} は明日確認します",
    "нужно посмотреть {0} до {1}",
    "[bold]{0}[/bold] is not [markup], nor is [/] {1}",
    "*{0}* _then_ ~{1}~ &lt;not html&gt;",
)
_NASTY = (
    "a NUL \x00 in the {0}",
    "a lone surrogate \ud83d in the {0}",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 {0} \x9b2J",
    "\u202eright to left {0}\u202c \u200b\u2066{1}\u2069",
)


def word(chance: random.Random) -> str:
    return chance.choice(_WORDS)


def name(chance: random.Random) -> tuple[str, str]:
    """A first and a last name."""
    return chance.choice(_FIRST), chance.choice(_LAST)


def email(first: str, last: str) -> str:
    """An address for this name, in ASCII."""
    letters = unicodedata.normalize("NFKD", f"{first}.{last}".lower().replace("ø", "o"))
    return f"{letters.encode('ascii', 'ignore').decode()}@example.org"


def title(chance: random.Random) -> str:
    return f"{word(chance).capitalize()} and {word(chance)}"


def text(chance: random.Random, *, nasty: bool = False) -> str:
    """One to four sentences; with `nasty`, sometimes also one that breaks careless programs."""
    sentences = [_sentence(chance, _SENTENCES) for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4)))]
    if nasty and chance.random() < 0.1:
        sentences.append(_sentence(chance, _NASTY))
    if nasty and chance.random() < 0.002:
        sentences.append("x" * 40_000)
    return " ".join(sentences)


def blocks(content: str, chance: random.Random) -> list[dict[str, Any]]:
    """The text as a block, as Slack's clients send it."""
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": content}]}
    return [
        {"type": "rich_text", "block_id": f"{chance.getrandbits(20):05x}", "elements": [section]}
    ]


def _sentence(chance: random.Random, patterns: tuple[str, ...]) -> str:
    return chance.choice(patterns).format(word(chance), word(chance))
