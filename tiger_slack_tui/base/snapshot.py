"""The engine's state in memory: counters that the engine writes, and snapshots that the console reads."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.ids import ChannelId, EventId, UserId
from tiger_slack_tui.base.outcome import Outcome, sum_by_outcome

LATE_EVENT_SECONDS = 60.0
"""An event that arrives later is shown as late. Slack retries at once, then after a minute."""
_PROBLEMS = frozenset({Outcome.FAILED, Outcome.DISCARDED, Outcome.UNROUTED})
_NOW_SECONDS = 5.0
_KINDS = 100
"""Event types that are counted by name. A sender could make up any number of them."""


class SlackStatus(StrEnum):
    """How this instance is connected to Slack (slack.instance.status)."""

    STARTING = "starting"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    BACKING_OFF = "backing off"
    """It waits before it tries again."""
    HELD_BACK = "held back"
    """It waits long, because Slack refuses connections until an operator acts."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class RecentEvent:
    """One event, as a line for the operator. Contains no text of a message."""

    at: float
    type: str
    subtype: str | None
    channel_id: ChannelId | None
    user_id: UserId | None
    event_id: EventId
    outcome: Outcome
    detail: str | None = None
    """The rule of a discarded event, the SQLSTATE of a failed one."""
    late: float = 0.0
    """Seconds from the event, by Slack's clock, to its receipt."""


class Percentiles:
    """The newest `size` measurements of one thing; durations are in seconds."""

    def __init__(self, size: int = 2000) -> None:
        self._ring: deque[float] = deque(maxlen=size)

    def add(self, value: float) -> None:
        self._ring.append(value)

    def extend(self, values: Iterable[float]) -> None:
        self._ring.extend(values)

    def at(self, *fractions: float) -> list[float | None]:
        """The values at the fractions (0.5 is the median); None if nothing was measured."""
        ordered = sorted(self._ring)
        last = len(ordered) - 1
        return [
            ordered[min(last, int(fraction * len(ordered)))] if ordered else None
            for fraction in fractions
        ]


@dataclass(slots=True)
class Stats:
    """Counters of one engine since its start. Written by the engine's tasks only."""

    clock: Clock = field(default_factory=SystemClock)
    received: int = 0
    acked: int = 0
    duplicates: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of events by (type, outcome). Repeated deliveries do not count."""
    problems: deque[RecentEvent] = field(default_factory=lambda: deque(maxlen=1000))
    """The newest events that failed, were discarded or unrouted, or came late."""
    acks_by_type: dict[str, Percentiles] = field(default_factory=dict)
    """Seconds from reading an event to its ack, by type."""
    commit: Percentiles = field(default_factory=Percentiles)
    """Seconds of a batch's transaction."""
    ack: Percentiles = field(default_factory=Percentiles)
    """Seconds from reading an event to its ack."""
    newest_acks: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=1000))
    """The newest acks: `Clock.elapsed` of each, and its seconds."""
    batch: Percentiles = field(default_factory=Percentiles)
    """Number of events in a batch."""
    lateness: Percentiles = field(default_factory=Percentiles)
    """Seconds from an event, by Slack's clock, to its receipt."""

    def count(self, event: RecentEvent) -> None:
        """Count one event, and keep it if it is a problem."""
        if event.outcome in _PROBLEMS or event.late > LATE_EVENT_SECONDS:
            self.problems.append(event)
        key = (event.type, event.outcome)
        if key not in self.outcomes and len(self.outcomes) >= _KINDS:
            key = ("other", event.outcome)
        self.outcomes[key] += 1

    def acknowledged(self, type_: str, seconds: float) -> None:
        """Add the seconds from reading an event to its ack."""
        self.ack.add(seconds)
        self.newest_acks.append((self.clock.elapsed(), seconds))
        times = self.acks_by_type.get(type_)
        if times is None:
            if len(self.acks_by_type) >= _KINDS:
                return
            times = self.acks_by_type[type_] = Percentiles(300)
        times.add(seconds)

    def ack_p95_now(self) -> float | None:
        """p95 of the seconds to the ack, of the last 5 s; None if no ack was sent in them."""
        since = self.clock.elapsed() - _NOW_SECONDS
        recent = Percentiles()
        recent.extend(seconds for at, seconds in self.newest_acks if at >= since)
        return recent.at(0.95)[0]

    def ack_by_type(self) -> dict[str, tuple[float | None, float | None, float | None]]:
        """p50, p95 and p99 of the seconds to the ack, by type."""
        found = {}
        for type_, times in self.acks_by_type.items():
            p50, p95, p99 = times.at(0.5, 0.95, 0.99)
            found[type_] = (p50, p95, p99)
        return found


@dataclass(frozen=True, slots=True)
class JobState:
    """A scheduled job, as this instance knows it. Times are in seconds since 1970."""

    name: str
    next_run: float
    running_since: float | None
    rows_seen: int
    """In the current run."""
    last_outcome: str | None
    """Of the last run here."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the engine at one moment. Times are in seconds since 1970.

    `at` minus a `…_since`, or minus `started`, is its age, even if the wall clock was set in between.
    """

    at: float
    started: float
    slack_status: SlackStatus
    slack_since: float
    slack_reason: str | None
    slack_connections: int
    slack_connects: int
    """Connections made since the start. All but the first are reconnects."""
    slack_acks_lost: int
    """Acks that were not sent because their connection was lost. Slack delivers those events again."""
    slack_ignored: int
    """Envelopes that are not events (interactive, slash_commands). They are acknowledged and dropped."""
    slack_malformed: int
    """Frames that could not be read. They are not acknowledged."""
    database_problem: str | None
    """Why events go to the spool; None while the database takes them."""
    database_since: float
    received: int
    acked: int
    duplicates: int
    outcomes: Mapping[tuple[str, str], int]
    queue: int
    queue_limit: int
    spool_events: int
    spool_bytes: int
    spool_oldest: float | None
    spool_problem: str | None
    commit_p50: float | None
    commit_p99: float | None
    ack_p50: float | None
    ack_p99: float | None
    ack_p95_now: float | None
    """Of the last 5 s."""
    batch_p50: float | None
    batch_p99: float | None
    lateness_p50: float | None
    lateness_p99: float | None
    problems: tuple[RecentEvent, ...]
    ack_by_type: Mapping[str, tuple[float | None, float | None, float | None]]
    """p50, p95 and p99 of the seconds to the ack, by type."""
    jobs: tuple[JobState, ...]
    gaps_open: int | None
    """Gaps that no backfill has closed; None until the database has answered."""
    schema_since: float | None = None
    """When this instance found the schema current, or had migrated it; None until then."""
    stalled_since: float | None = None
    """Since when no event is taken; None while events are taken."""
    queue_bytes: int = 0
    """Bytes of the events in the queue."""
    spool_errors: int = 0
    """Calls to the operating system that failed in the spool."""
    spool_damaged: int = 0
    """Files of the spool that were renamed to *.damaged."""
    faults: tuple[str, ...] = ()
    """Sentences about what works only in part: tasks that failed and were restarted, files of the spool that cannot
    be used."""
    restarts: Mapping[str, int] = field(default_factory=dict)
    """Number of restarts after an error, by task name."""

    def by_outcome(self) -> dict[str, int]:
        """Number of events by outcome, of all types together. The keys are plain strings, as JSON needs them."""
        return sum_by_outcome(self.outcomes)
