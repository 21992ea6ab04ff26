"""The views that there are."""

from __future__ import annotations

from collections.abc import Iterator

from tiger_slack_tui.console.model import Backend
from tiger_slack_tui.console.view import View
from tiger_slack_tui.console.views.importing.view import ImportView
from tiger_slack_tui.console.views.jobs import JobsView
from tiger_slack_tui.console.views.log import LogView
from tiger_slack_tui.console.views.overview import OverviewView


def make_views(backend: Backend) -> Iterator[View]:
    """One of each, in the order of their digits."""
    for view in (OverviewView, JobsView, ImportView, LogView):
        yield view(backend)
