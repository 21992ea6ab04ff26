"""Plans the faults of the month. The same seed gives the same plan."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

INSTANCES = 3
KILLED = 2
"""The number of the instance that is a process of its own; the others run in the test's process, to be measured."""

# How often in 30 days, and the longest, in days.
_KINDS = {
    "slack away": (5, 3.0),  # refuses connections
    "slack silent": (3, 2.0),  # established connections go silent
    "database away": (5, 4.0),
    "database silent": (4, 2.0),
    "network away": (6, 4.0),  # of one instance: Slack and database
    "network silent": (6, 2.0),
    "disk": (7, 3.0),
    "down": (9, 3.0),  # stopped in good order; the process: killed
}
_MOMENTS = {"clock": 12, "drop": 12, "refresh": 12}
DISKS = ("full", "read only", "broken", "foreign")


@dataclass(frozen=True, slots=True)
class Fault:
    """Times in days since the start; `instance` is None where all are hit."""

    kind: str
    begin: float
    end: float
    instance: int | None = None
    detail: str | float | None = None


def make_plan(seed: int, days: float) -> list[Fault]:
    """The faults of so many days, by their begin. Slack is away for a week of it, or for a quarter of the time."""
    chance = random.Random(seed)
    week = min(7.0, days / 4)
    begin = chance.uniform(0, days - week)
    faults = [Fault("slack away", begin, begin + week)]
    for kind, (often, longest) in _KINDS.items():
        longest = min(longest, days / 4)
        times = _times(chance, often, days)
        faults += [_outage(chance, kind, longest, days) for _ in range(times)]
    faults += list(_without_any_room(chance, faults))
    for kind, often in _MOMENTS.items():
        for _ in range(_times(chance, often, days)):
            at = chance.uniform(0, days)
            step = chance.uniform(-2400, 2400)
            instance = chance.randrange(KILLED) if kind == "clock" else None
            faults.append(Fault(kind, at, at, instance, step))
    return sorted(faults, key=lambda fault: fault.begin)


def _times(chance: random.Random, often: float, days: float) -> int:
    """At least one of each kind."""
    return max(1, round(often * days / 30 * chance.uniform(0.7, 1.3)))


def _outage(chance: random.Random, kind: str, longest: float, days: float) -> Fault:
    """Short ones are as frequent as long ones."""
    length = math.exp(chance.uniform(math.log(0.05), math.log(longest)))
    begin = chance.uniform(0, days - length)
    instance: int | None = None
    detail: str | None = None
    if kind.startswith("network"):
        instance = chance.randrange(INSTANCES)
    elif kind == "down":
        instance = chance.choice((0, 1, KILLED, KILLED))
    elif kind == "disk":
        instance, detail = chance.randrange(KILLED), chance.choice(DISKS)
    return Fault(kind, begin, begin + length, instance, detail)


def _without_any_room(chance: random.Random, faults: list[Fault]) -> Iterator[Fault]:
    """Disks that fail while the database is away: nothing takes that instance's events."""
    for fault in faults:
        if fault.kind.startswith("database") and chance.random() < 0.6:
            instance, disk = chance.randrange(KILLED), chance.choice(DISKS)
            begin = chance.uniform(fault.begin, fault.end)
            yield Fault("disk", begin, begin + fault.end - fault.begin, instance, disk)


def changes(plan: list[Fault]) -> Iterator[float]:
    """When something begins or ends, in order."""
    yield from sorted({moment for fault in plan for moment in (fault.begin, fault.end)})
