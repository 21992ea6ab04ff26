"""Which channels an operator wants: names and ids with wildcards, as the command line and the form take them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from tiger_slack_tui.imports.archive.channels import key

_ESCAPED = re.compile(r"\[([*?\[])\]")


class ChannelPatterns:
    """Patterns of names and ids. Those without wildcards take no time, however many they are."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._plain: dict[str, str] = {}
        """The patterns as given, by the one name that they match."""
        self._wild: dict[str, str] = {}
        """The patterns as given, by the pattern that names are compared with."""
        for given in patterns:
            pattern = key(given.removeprefix("#"))
            if any(c in _ESCAPED.sub("", pattern) for c in "*?["):
                self._wild[pattern] = given
            else:
                self._plain[_ESCAPED.sub(r"\1", pattern)] = given

    def match(self, *names: str) -> bool:
        """Whether one of the names matches. Letters and their accents may be apart, as macOS writes them."""
        for name in map(key, names):
            if name in self._plain or any(fnmatchcase(name, pattern) for pattern in self._wild):
                return True
        return False

    def unmatched(self, names: Collection[str]) -> list[str]:
        """The patterns, as they were given, that match none of the names."""
        known = {key(name) for name in names}
        return [
            *(given for name, given in self._plain.items() if name not in known),
            *(
                given
                for pattern, given in self._wild.items()
                if not any(fnmatchcase(name, pattern) for name in known)
            ),
        ]
