"""The list of events that an operator looks for: pages of the audit trail, the newest first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tiger_slack_tui.audit.event_query import EventQuery
from tiger_slack_tui.store.audit_events import EventFilter, EventPage, EventPosition, EventRow

PAGE = 200
"""Events of one page."""
MOST = 10_000
"""The most events that are kept in memory."""


@dataclass(frozen=True, slots=True)
class EventList:
    """The events that were read so far. `at` and `seconds` are of a monotonic clock."""

    query: EventQuery = field(default_factory=EventQuery)
    chosen: EventFilter | None = None
    """The query with ids and times, as of the first page; None before that."""
    rows: tuple[EventRow, ...] = ()
    next: EventPosition | None = None
    """Where the next page begins; None if there is none."""
    problem: str | None = None
    """Why the newest read failed."""
    hint: str | None = None
    """What to do about it."""
    is_wrong: bool = False
    """Whether the filters cannot be read: it is then not read again."""
    at: float | None = None
    """When the first page was read; None before that."""
    seconds: float = 0.0
    """How long that took."""

    @property
    def has_more(self) -> bool:
        """Whether another page can be read."""
        return self.next is not None and len(self.rows) < MOST

    def first_page(
        self, chosen: EventFilter, page: EventPage, at: float, seconds: float
    ) -> EventList:
        """The list with this page alone."""
        return EventList(self.query, chosen, page.rows, page.next, at=at, seconds=seconds)

    def next_page(self, page: EventPage) -> EventList:
        """The list with this page at its end."""
        return replace(self, rows=self.rows + page.rows, next=page.next, problem=None, hint=None)

    def failed(self, problem: str, hint: str | None, at: float, seconds: float) -> EventList:
        """The list as it was, with the reason why a read failed."""
        return replace(self, problem=problem, hint=hint, at=at, seconds=seconds)
