"""The views, and all actions of the console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tiger_slack_tui.console.actions import Action, ActionMethod, declared
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
    """One view of each class."""
    for view in VIEW_CLASSES:
        yield view(host, backend)


def actions_of_views() -> Iterator[Action]:
    """The actions of each view, then those of any view."""
    shared = declared(View)
    for view in VIEW_CLASSES:
        for cls in (*view.PARTS, view):
            yield from (one.action for name, one in declared(cls).items() if name not in shared)
    yield from (one.action for one in shared.values())


def all_actions(of_app: Mapping[str, object]) -> dict[str, Action]:
    """Every action by its id: `of_app` are the attributes of the app's class."""
    own = [one.action for one in of_app.values() if isinstance(one, ActionMethod)]
    switches = [action for action in own if action.id.startswith("view.")]
    actions = [*switches, *actions_of_views(), *own]
    return {action.id: action for action in actions}
