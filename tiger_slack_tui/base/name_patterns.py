"""Names as an operator writes them: whole, as a pattern with * and ?, or with a typing error.

`store/names.py` finds channels, users and types of the database with them. Imports match the channels of an archive.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches

from tiger_slack_tui.base.errors import NotFound
from tiger_slack_tui.base.text import visible

_TOKEN = re.compile(r"\[([*?\[])\]|.", re.DOTALL)
"""A character of a pattern. [*] is the character *, and so on."""
_WILD = {"*": (".*", "%"), "?": (".", "_")}
"""The wildcards as regular expressions, and for SQL's LIKE."""
_LONGEST = 80
"""Names that are longer are not compared for likeness, because that takes the square of their length."""
_EXAMPLES = {"channel": "ops-*", "user": "ana*", "event type": "reaction_*"}
"""Patterns, by what they match."""
_LIKENESS = 0.7
"""From which ratio of difflib on a name is like another."""
_WORD = re.compile(r"[^\W_]+")


class NameUnknown(NotFound):
    """No channel, user or type has this name, or several have it."""

    exit_code = 2


class NamePatterns:
    """Patterns of names and ids with * and ?. Patterns without them are looked up, however many there are."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._plain: dict[str, str] = {}
        """Patterns without wildcards, by the name that they match."""
        self._wild: dict[str, re.Pattern[str]] = {}
        """Patterns with wildcards, as they were given."""
        for given in patterns:
            pattern = key(given.removeprefix("#"))
            if is_pattern(pattern):
                self._wild[given] = re.compile(_translate(pattern, 0, re.escape), re.DOTALL)
            else:
                self._plain[_translate(pattern, 0, str)] = given

    def match(self, *names: str) -> bool:
        """Whether one of the names matches. The normal form of accents does not matter."""
        for name in map(key, names):
            if name in self._plain or any(wild.fullmatch(name) for wild in self._wild.values()):
                return True
        return False

    def unmatched(self, names: Collection[str]) -> list[str]:
        """The patterns that match none of the names, as they were given."""
        known = {key(name) for name in names}
        return [
            *(given for name, given in self._plain.items() if name not in known),
            *(g for g, wild in self._wild.items() if not any(map(wild.fullmatch, known))),
        ]


def key(name: str) -> str:
    """The name for comparisons: macOS stores accents as separate characters."""
    return unicodedata.normalize("NFC", name)


def is_pattern(text: str) -> bool:
    """Whether the text has a wildcard."""
    return any(token in _WILD for token in map(re.Match.group, _TOKEN.finditer(text)))


def like_pattern(pattern: str) -> str:
    """The pattern for SQL's LIKE."""
    return _translate(pattern, 1, like_literal)


def like_literal(text: str) -> str:
    """The text for SQL's LIKE, without any wildcard."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def closest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names that the operator probably meant, the likeliest first.

    These are names that are like it as a whole, names that contain it, and names of which one word is like it. Does
    not look at case, accents, #, or @.
    """
    wanted = _folded(name)[:_LONGEST]
    by_name: dict[str, str] = {}
    by_word: dict[str, list[str]] = {}
    for each in known:
        if wanted and len(each) <= _LONGEST and (folded := _folded(each)) not in by_name:
            by_name[folded] = each
            for word in _WORD.findall(folded):
                by_word.setdefault(word, []).append(folded)
    near = get_close_matches(wanted, by_name, n=most, cutoff=_LIKENESS)
    parts = sorted((each for each in by_name if wanted in each), key=lambda each: (len(each), each))
    words = get_close_matches(wanted, by_word, n=most, cutoff=_LIKENESS)
    found = dict.fromkeys([*near, *parts, *(each for word in words for each in by_word[word])])
    return [by_name[each] for each in list(found)[:most]]


def unknown_name(kind: str, name: str, meant: Collection[str]) -> NameUnknown:
    """The error for a name that no channel, user or type (`kind`) has. `meant` are names that are like it."""
    if is_pattern(name):
        return NameUnknown(
            f"No {kind} matches {visible(name)}.",
            hint="* stands for any text, ? for one character.",
        )
    pattern = (
        f"Write the whole name, or a pattern such as {_EXAMPLES[kind]} (* stands for any text)."
    )
    return NameUnknown(
        f"No {kind} has the name {visible(name)}.", hint=did_you_mean(meant) or pattern
    )


def suggestion(name: str, known: Iterable[str], *, before: str = "", after: str = "") -> str | None:
    """The question whether one of the known names was meant; None if none is like it.

    `before` and `after` are written around each name.
    """
    return did_you_mean([f"{before}{each}{after}" for each in closest(name, known)])


def did_you_mean(names: Collection[str]) -> str | None:
    """The question; None without names."""
    *some, last = map(visible, names) if names else ("",)
    return f"Did you mean {', '.join(some)}{' or ' if some else ''}{last}?" if names else None


def _translate(pattern: str, of: int, literal: Callable[[str], str]) -> str:
    """The pattern with its wildcards in the form `of`, and other characters as `literal` writes them."""
    return "".join(
        _WILD[token[0]][of] if token[0] in _WILD else literal(token[1] or token[0])
        for token in _TOKEN.finditer(pattern)
    )


def _folded(name: str) -> str:
    """The name without case, accents, and the mark before it."""
    decomposed = unicodedata.normalize("NFD", name).casefold().lstrip("#@")
    return "".join(each for each in decomposed if not unicodedata.combining(each))
