"""Chooses the files that a worker reads next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from tiger_slack_tui.imports.workers import protocol


def take_batch(
    spans: deque[protocol.FileBatch], others: Iterable[protocol.FileBatch]
) -> protocol.FileBatch:
    """Take the first span that has no channel of the others, which are under way; where there is none, the first.

    Two workers that write to a week of a channel wait for each other.
    """
    busy = frozenset[str]().union(*(other.channels for other in others))
    for number, part in enumerate(spans):
        if busy.isdisjoint(part.channels):
            del spans[number]
            return part
    return spans.popleft()
