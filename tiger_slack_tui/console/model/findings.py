"""Findings are what Triage and Overview list: events that were not simply stored, and gaps."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge as merge_sorted
from types import MappingProxyType

from tiger_slack_tui.audit.words import UNROUTED, event_kind
from tiger_slack_tui.base.ids import ChannelId, EventId, UserId
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.base.snapshot import LATE_EVENT_SECONDS, RecentEvent
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.console.formats import age
from tiger_slack_tui.console.model.names import Names
from tiger_slack_tui.console.time_slice import TimeSlice
from tiger_slack_tui.postgres.failures import sqlstate_words
from tiger_slack_tui.store.gaps import Gap

log = logging.getLogger(__name__)

LATE, GAP = "late", "gap"
FROM_DATABASE = (Outcome.FAILED, Outcome.DISCARDED, Outcome.UNROUTED)
KINDS = (*FROM_DATABASE, LATE, GAP)
SECONDS = 2.0
"""Between two reads."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An event that was not simply stored, or a gap. `at` is when it was received or began, in seconds since 1970."""

    key: str
    """The event_id, or the title of the gap or history."""
    kind: str
    at: float
    what: str
    """The type of the event with its subtype, or the state of the gap."""
    channel: str
    user: str
    cause: str
    """The same text for all findings with one reason: the rule, the SQLSTATE, the type."""
    detail: str
    channel_id: ChannelId | None = None
    user_id: UserId | None = None
    rule: int | None = None
    gap: Gap | None = None

    @property
    def event_id(self) -> EventId | None:
        """None for a gap."""
        return EventId(self.key) if self.gap is None else None


@dataclass(frozen=True, slots=True)
class StoredFindings:
    """The findings that were read from the database, the newest first. `more` names the kinds with older ones."""

    findings: tuple[Finding, ...] = ()
    at: float | None = None
    problem: str | None = None
    more: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """The findings with one cause, the newest first."""

    kind: str
    cause: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """Findings, the newest first, with their counts and groups. Immutable."""

    rows: Sequence[Finding] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """By kind."""
    by_kind: Mapping[str, Sequence[Finding]] = field(default_factory=dict)
    groups: Sequence[FindingGroup] = ()
    """By kind and cause, the largest first."""
    problem: str | None = None
    """Why newer findings are missing; None if they are not."""

    def of(self, kind: str | None, cause: str | None) -> Sequence[Finding]:
        """The findings of a kind and of a cause. None means any."""
        if kind is None:
            return self.rows
        if cause is None:
            return self.by_kind.get(kind, ())
        found = (
            group.findings for group in self.groups if (group.kind, group.cause) == (kind, cause)
        )
        return next(found, ())

    def groups_of(self, kind: str | None, cause: str | None) -> Sequence[FindingGroup]:
        """The groups of a kind and of a cause. None means any."""
        return [
            group
            for group in self.groups
            if kind in (None, group.kind) and cause in (None, group.cause)
        ]


NO_FINDINGS = Findings(counts=MappingProxyType({}), by_kind=MappingProxyType({}))


class FindingsMerger:
    """Keeps `found` up to date. It works in short slices, so that many findings do not block the event loop."""

    def __init__(self, names: Names) -> None:
        self.found = NO_FINDINGS
        self._names = names
        self._of: tuple[object, ...] | None = None
        self._task: asyncio.Task[None] | None = None

    def merge(self, stored: StoredFindings, problems: Sequence[RecentEvent]) -> None:
        """Begin to merge these, unless they are the same as before or a merge is running."""
        newest = problems[-1] if problems else None
        of = (stored.findings, stored.more, stored.at, newest, len(problems), self._names.version)
        if self._is_same(of) or (self._task is not None and not self._task.done()):
            return
        self._of = of
        self._task = asyncio.get_running_loop().create_task(
            self._run(stored, problems), name="merge findings"
        )

    def _is_same(self, of: tuple[object, ...]) -> bool:
        before = self._of
        return before is not None and all(
            one is other or (one == other and not isinstance(one, tuple))
            for one, other in zip(before, of, strict=True)
        )

    async def _run(self, stored: StoredFindings, problems: Sequence[RecentEvent]) -> None:
        try:
            self.found = await merge_findings(stored, problems, self._names)
        except Exception as error:
            words = f"the newest findings cannot be listed: {where(error)}"
            if words != self.found.problem:
                log.error("the findings cannot be listed", exc_info=error)
            self.found = replace(self.found, problem=words)


async def merge_findings(
    stored: StoredFindings, problems: Sequence[RecentEvent], names: Names
) -> Findings:
    """Each finding once, the newest first. A stored one replaces the one that the engine saw: it has more details."""
    time_slice = TimeSlice()
    read: dict[str, Finding] = {}
    oldest: dict[str, float] = {}
    by_kind: dict[str, list[Finding]] = {}
    for finding in stored.findings:
        await time_slice.yield_if_due()
        read[finding.key] = finding
        oldest[finding.kind] = min(oldest.get(finding.kind, finding.at), finding.at)
        by_kind.setdefault(finding.kind, []).append(finding)
    seen: list[Finding] = []
    for event in problems:
        await time_slice.yield_if_due()
        if event.event_id not in read and not _is_settled(
            one := finding_of_event(event, names), stored, oldest
        ):
            seen.append(one)
    for rows in by_kind.values():
        rows.sort(key=_newest)  # they are nearly in order, so this takes little time
    rows = []
    for finding in merge_sorted(*by_kind.values(), sorted(seen, key=_newest), key=_newest):
        await time_slice.yield_if_due()
        rows.append(finding)
    counts: Counter[str] = Counter()
    sorted_: dict[str, list[Finding]] = {}
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for finding in rows:
        await time_slice.yield_if_due()
        counts[finding.kind] += 1
        sorted_.setdefault(finding.kind, []).append(finding)
        grouped.setdefault((finding.kind, finding.cause), []).append(finding)
    groups = [FindingGroup(kind, cause, tuple(found)) for (kind, cause), found in grouped.items()]
    groups.sort(key=lambda group: -len(group.findings))
    return Findings(rows, counts, sorted_, groups)


def _newest(finding: Finding) -> float:
    return -finding.at


def _is_settled(finding: Finding, state: StoredFindings, oldest: Mapping[str, float]) -> bool:
    """Whether the database was read since and no longer has it, because it was replayed."""
    if finding.kind not in FROM_DATABASE or state.at is None or finding.at > state.at - SECONDS:
        return False
    return finding.kind not in state.more or finding.at > oldest.get(finding.kind, 0.0)


def finding_of_event(event: RecentEvent, names: Names) -> Finding:
    """An event that the engine saw, as a finding. There are such ones also while the database is away."""
    is_late = event.outcome in (Outcome.STORED, Outcome.AUDIT) and event.late > LATE_EVENT_SECONDS
    kind = LATE if is_late else event.outcome
    cause = cause_of(event.outcome, event.type, event.detail)
    return Finding(
        key=event.event_id,
        kind=kind,
        at=event.at,
        what=event_name(event.type, event.subtype),
        channel=names.of(event.channel_id),
        user=names.of(event.user_id),
        cause=LATE if is_late else cause,
        detail=f"{age(event.late)} late" if is_late else detail_of(event.outcome, cause),
        channel_id=event.channel_id,
        user_id=event.user_id,
    )


def cause_of(outcome: str, type_: str | None, reason: str | None) -> str:
    """What events are grouped by. `reason` is the rule of a discarded event, or the SQLSTATE of a failed one."""
    if outcome == Outcome.FAILED:
        return sqlstate_words(reason) if reason else "unknown error"
    return reason or type_ or "no type"


def detail_of(outcome: str, cause: str) -> str:
    """Why the event is listed, in words."""
    return UNROUTED if outcome == Outcome.UNROUTED else cause


def event_name(type_: str | None, subtype: str | None) -> str:
    """A message is named by its subtype, any other event by its type and subtype."""
    if type_ == "message" and subtype:
        return subtype
    return event_kind(type_, subtype)
