"""Matches channels by patterns of names and ids, as in --channel."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from tiger_slack_tui.imports.archive.channels import key

_ESCAPED = re.compile(r"\[([*?\[])\]")


class ChannelPatterns:
    """Patterns of names and ids with *, ? and []. Patterns without them are looked up, however many there are."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._plain: dict[str, str] = {}
        """Patterns without wildcards, by the name that they match."""
        self._wild: dict[str, str] = {}
        """Patterns with wildcards, by their normalized form."""
        for given in patterns:
            pattern = key(given.removeprefix("#"))
            if any(c in _ESCAPED.sub("", pattern) for c in "*?["):
                self._wild[pattern] = given
            else:
                self._plain[_ESCAPED.sub(r"\1", pattern)] = given

    def match(self, *names: str) -> bool:
        """Whether one of the names matches. The normal form of accents does not matter."""
        for name in map(key, names):
            if name in self._plain or any(fnmatchcase(name, pattern) for pattern in self._wild):
                return True
        return False

    def unmatched(self, names: Collection[str]) -> list[str]:
        """The patterns that match none of the names, as they were given."""
        known = {key(name) for name in names}
        return [
            *(given for name, given in self._plain.items() if name not in known),
            *(
                given
                for pattern, given in self._wild.items()
                if not any(fnmatchcase(name, pattern) for name in known)
            ),
        ]
