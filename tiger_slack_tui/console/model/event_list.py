"""The list of events that an operator looks for: pages of the audit trail, the newest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from tiger_slack_tui.audit.event_query import EventQuery
from tiger_slack_tui.console.model.paged_list import PagedList
from tiger_slack_tui.store.audit_events import EventFilter, EventPage, EventPosition, EventRow

PAGE = 200
"""Events of one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventList(PagedList[EventRow, EventPosition]):
    """The events that pass the filters of a query."""

    MOST: ClassVar[int] = 10_000

    query: EventQuery = field(default_factory=EventQuery)
    chosen: EventFilter | None = None
    """The query with ids and times, as of the first page; None before that."""

    def first_page(
        self, chosen: EventFilter, page: EventPage, at: float, seconds: float
    ) -> EventList:
        """The list with this page alone."""
        return EventList(
            query=self.query,
            chosen=chosen,
            rows=page.rows,
            next=page.next,
            at=at,
            seconds=seconds,
        )
