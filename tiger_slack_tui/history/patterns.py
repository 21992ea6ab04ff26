"""Which channels an operator wants: names and ids with wildcards, as the command line and the form take them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from tiger_slack_tui.history.channels import key

_ESCAPED = re.compile(r"\[([*?\[])\]")


class ChannelPatterns:
    """Patterns of names and ids. Those without wildcards take no time, however many they are."""

    def __init__(self, patterns: Iterable[str]) -> None:
        plain, wild = set(), []
        for pattern in patterns:
            pattern = key(pattern.removeprefix("#"))
            if any(c in _ESCAPED.sub("", pattern) for c in "*?["):
                wild.append(pattern)
            else:
                plain.add(_ESCAPED.sub(r"\1", pattern))
        self._plain = frozenset(plain)
        self._wild = tuple(wild)

    def match(self, *names: str) -> bool:
        """Whether one of the names matches. Letters and their accents may be apart, as macOS writes them."""
        for name in map(key, names):
            if name in self._plain or any(fnmatchcase(name, pattern) for pattern in self._wild):
                return True
        return False
