"""Events a second, in total and by type: from the engine's counters, or from what all instances wrote."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from tiger_slack_tui.store.arrivals import Arrivals

_KEPT = 900
"""Seconds that are remembered."""
_MINUTE = 60
NOW_SECONDS = 5
"""Seconds that the present rate is the mean of."""

_UNSETTLED = 2
"""Newest seconds whose events may not all be written yet."""

Counts = Mapping[tuple[str, str], int]
"""Events by (type, outcome) since some beginning."""


@dataclass(frozen=True, slots=True)
class TypeRate:
    """The events of one type: how many a second now, and those of the last minute by outcome."""

    type: str
    per_second: float
    minute: Mapping[str, int]
    total: int

    @property
    def of_minute(self) -> int:
        return sum(self.minute.values())


@dataclass(frozen=True, slots=True)
class Rates:
    """How many events came. `seconds` has one value a second, the newest last."""

    now: float = 0.0
    seconds: tuple[float, ...] = ()
    last: int = 0
    """The number of the newest of these seconds, by a clock that is not set."""
    by_type: tuple[TypeRate, ...] = ()


@dataclass(slots=True)
class RateMeter:
    """Turns the engine's counters into rates. Call `add` at least once a second.

    Its times are those of a monotonic clock (`Clock.elapsed`).
    """

    _seconds: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_KEPT + 2))
    """(second, events received until its end)."""
    _counts: deque[tuple[float, Counts]] = field(default_factory=deque)
    """The counters of the last minute, each with its time."""

    def add(self, at: float, received: int, counts: Counts) -> None:
        """Remember the counters at this moment."""
        second = int(at)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, received)
        else:
            if self._seconds and second - self._seconds[-1][0] > _KEPT:
                self._seconds.clear()  # the machine was suspended
            while self._seconds and self._seconds[-1][0] < second - 1:
                self._seconds.append((self._seconds[-1][0] + 1, self._seconds[-1][1]))
            self._seconds.append((second, received))
        self._counts.append((at, dict(counts)))
        while len(self._counts) > 2 and self._age(1) >= _MINUTE:
            self._counts.popleft()

    def _age(self, index: int) -> float:
        """Seconds from the counters at this index to the newest ones."""
        return self._counts[-1][0] - self._counts[index][0]

    def _counts_before(self, seconds: float) -> tuple[float, Counts]:
        """The counters nearest to so many seconds before the newest ones, and their time."""
        nearest = min(range(len(self._counts)), key=lambda index: abs(self._age(index) - seconds))
        return self._counts[nearest]

    def rates(self) -> Rates:
        """The rates at the time of the last `add`."""
        totals = [received for _, received in self._seconds]
        seconds = [float(now - before) for before, now in pairwise(totals)]
        whole = seconds[:-1]  # the last one is not over
        last = self._seconds[-1][0] - 1 if self._seconds else 0
        recent = whole[-NOW_SECONDS:]
        now = sum(recent) / len(recent) if recent else 0.0
        return Rates(now, tuple(whole), last, tuple(self._by_type()))

    def _by_type(self) -> list[TypeRate]:
        if not self._counts:
            return []
        newest_at, newest = self._counts[-1]
        _, minute = self._counts_before(_MINUTE)
        near_at, near = self._counts_before(NOW_SECONDS)
        found: dict[str, tuple[Counter[str], int, int]] = {}
        for (type_, outcome), n in newest.items():
            outcomes, lately, total = found.get(type_, (Counter(), 0, 0))
            outcomes[outcome] += n - minute.get((type_, outcome), 0)
            found[type_] = (outcomes, lately + n - near.get((type_, outcome), 0), total + n)
        span = max(newest_at - near_at, 0.001)
        rates = [
            TypeRate(type_, lately / span if newest_at > near_at else 0.0, outcomes, total)
            for type_, (outcomes, lately, total) in found.items()
        ]
        return sorted(rates, key=lambda rate: (-rate.total, rate.type))


@dataclass(slots=True)
class ObservedRates:
    """Turns the events that the database has by second into rates. The newest seconds are not complete yet."""

    _seconds: dict[int, Counter[tuple[str, str]]] = field(default_factory=dict)
    _first: int | None = None
    """The first second that was counted; None before the first `add`."""
    _now: int = 0

    def add(self, arrivals: Arrivals) -> None:
        """Replace the counts of these seconds."""
        self._now = arrivals.now
        self._first = arrivals.since if self._first is None else self._first
        for second in [s for s in self._seconds if s >= arrivals.since or s < self._now - _KEPT]:
            del self._seconds[second]
        for (second, type_, outcome), n in arrivals.counts.items():
            if second >= arrivals.since:
                self._seconds.setdefault(second, Counter())[type_, outcome] += n

    def rates(self, ago: int = 0) -> Rates:
        """The rates at `ago` seconds before the last `add`."""
        if self._first is None:
            return Rates()
        end = self._now - max(ago, _UNSETTLED)
        begin = max(self._first, end - _KEPT)
        totals = [float(sum(self._seconds.get(s, {}).values())) for s in range(begin, end)]
        recent = totals[-NOW_SECONDS:]
        now = sum(recent) / len(recent) if recent else 0.0
        return Rates(now, tuple(totals), end - 1, tuple(self._by_type(end)))

    def _by_type(self, end: int) -> list[TypeRate]:
        minutes: dict[str, Counter[str]] = {}
        lately: Counter[str] = Counter()
        totals: Counter[str] = Counter()
        for second, counts in self._seconds.items():
            for (type_, outcome), n in counts.items():
                totals[type_] += n
                if end - _MINUTE <= second < end:
                    minutes.setdefault(type_, Counter())[outcome] += n
                if end - NOW_SECONDS <= second < end:
                    lately[type_] += n
        rates = [
            TypeRate(type_, lately[type_] / NOW_SECONDS, minutes.get(type_, Counter()), total)
            for type_, total in totals.items()
        ]
        return sorted(rates, key=lambda rate: (-rate.total, rate.type))
