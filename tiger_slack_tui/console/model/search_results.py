"""The messages that an operator looks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from tiger_slack_tui.console.model.paged_list import PagedList
from tiger_slack_tui.search.search import Result, SearchPage
from tiger_slack_tui.store.search import SearchPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResults(PagedList[Result, SearchPosition]):
    """The results of a query."""

    MOST: ClassVar[int] = 2000

    text: str = ""
    """The query."""
    newest: bool = False
    """Whether the newest come first; otherwise the most relevant."""
    page: SearchPage | None = None
    """The newest page; None before the first."""

    def with_page(self, page: SearchPage) -> SearchResults:
        """The results with this page at their end."""
        return replace(self.next_page(page.results, page.next), page=page)
