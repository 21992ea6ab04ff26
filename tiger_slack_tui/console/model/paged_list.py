"""The rows of a query, as far as they were read: page by page, while the operator goes down the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, Self, TypeVar

from tiger_slack_tui.console.model.read_errors import ReadFailure

RowT = TypeVar("RowT")
PositionT = TypeVar("PositionT")

_PAUSES = 10
"""A list is not read again for this many times as long as the last read took: the database must not be kept busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagedList(Generic[RowT, PositionT]):
    """The rows that were read so far. `at` and `seconds` are of a monotonic clock."""

    MOST: ClassVar[int]
    """The most rows that are kept in memory."""

    rows: tuple[RowT, ...] = ()
    next: PositionT | None = None
    """Where the next page begins; None if there is none."""
    failure: ReadFailure | None = None
    """Why the newest read failed."""
    is_wrong: bool = False
    """Whether the query cannot be understood: it is then not read again."""
    at: float | None = None
    """When the newest read of the first page, or one that failed, began; None before that."""
    seconds: float = 0.0
    """How long that took."""

    @property
    def has_more(self) -> bool:
        """Whether another page can be read."""
        return self.next is not None and len(self.rows) < self.MOST

    def is_due(self, now: float, least: float) -> bool:
        """Whether to read again what was read, or failed. `least` is the shortest pause, in seconds."""
        return self.at is not None and now - self.at > max(least, _PAUSES * self.seconds)

    def next_page(self, rows: Sequence[RowT], next_: PositionT | None) -> Self:
        """The list with a page at its end, after which the one at `next_` begins."""
        return replace(self, rows=(*self.rows, *rows), next=next_, failure=None)

    def failed(self, failure: ReadFailure, at: float, seconds: float) -> Self:
        """The list as it was, with the reason why a read failed."""
        return replace(self, failure=failure, at=at, seconds=seconds)

    def refused(self, failure: ReadFailure, at: float) -> Self:
        """The list as it was, with the reason why its query cannot be understood."""
        return replace(self, failure=failure, at=at, is_wrong=True)
