"""The views that there are."""

from __future__ import annotations

from collections.abc import Iterator

from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.views.importing.view import ImportView
from tiger_slack_tui.console.views.jobs import JobsView
from tiger_slack_tui.console.views.log import LogView
from tiger_slack_tui.console.views.overview import OverviewView
from tiger_slack_tui.console.views.triage import TriageView
from tiger_slack_tui.console.views.view import View

VIEW_CLASSES: tuple[type[View], ...] = (
    OverviewView,
    JobsView,
    TriageView,
    ImportView,
    LogView,
)
"""In the order of their digits."""


def make_views(host: Host, backend: Backend) -> Iterator[View]:
    """One of each."""
    for view in VIEW_CLASSES:
        yield view(host, backend)
