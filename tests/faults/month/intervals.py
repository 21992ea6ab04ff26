"""Sets of times, as sorted lists of (begin, end) that do not touch."""

from __future__ import annotations

from collections.abc import Iterable

Intervals = list[tuple[float, float]]


def union(*sets: Iterable[tuple[float, float]]) -> Intervals:
    joined: Intervals = []
    for begin, end in sorted(
        interval for each in sets for interval in each if interval[0] < interval[1]
    ):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def subtract(these: Intervals, those: Intervals) -> Intervals:
    """What is in these and not in those."""
    left = union(these)
    for begin, end in union(those):
        left = [
            part
            for b, e in left
            for part in ((b, min(e, begin)), (max(b, end), e))
            if part[0] < part[1]
        ]
    return left


def shrink(these: Intervals, by: float) -> Intervals:
    """Each without its first and last `by`; short ones vanish."""
    return [(begin + by, end - by) for begin, end in these if end - begin > 2 * by]


def total(these: Intervals) -> float:
    return sum(end - begin for begin, end in these)
