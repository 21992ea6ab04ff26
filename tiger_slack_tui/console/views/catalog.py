"""Lists the views, and all actions of the console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tiger_slack_tui.console.actions import (
    EVENTS,
    IMPORT,
    MESSAGES,
    TRIAGE,
    Action,
    ActionGroup,
    actions_in,
    declared,
)
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.model.sources import ViewSources
from tiger_slack_tui.console.panes.pane_fields import PaneField
from tiger_slack_tui.console.screens.dialog import Confirm, Document
from tiger_slack_tui.console.screens.rules import RulesScreen
from tiger_slack_tui.console.views.events import EventsView, QueryField
from tiger_slack_tui.console.views.importing.options_step import OptionField
from tiger_slack_tui.console.views.importing.source_step import PathField
from tiger_slack_tui.console.views.importing.view import ImportView
from tiger_slack_tui.console.views.jobs import JobsView
from tiger_slack_tui.console.views.log import LogView
from tiger_slack_tui.console.views.messages import MessagesView, SearchField
from tiger_slack_tui.console.views.overview import OverviewView
from tiger_slack_tui.console.views.triage import TriageView
from tiger_slack_tui.console.views.view import View

VIEW_CLASSES: tuple[type[View], ...] = (
    OverviewView,
    JobsView,
    TriageView,
    ImportView,
    LogView,
    MessagesView,
    EventsView,
)
"""In the order of their digits."""


ACTION_GROUPS: tuple[ActionGroup, ...] = (
    ActionGroup("In the path", PathField.actions(), IMPORT),
    ActionGroup("In an option", OptionField.actions(), IMPORT),
    ActionGroup("In the search", SearchField.actions(), MESSAGES),
    ActionGroup("In the filters", QueryField.actions(), EVENTS),
    ActionGroup("In the rules", RulesScreen.ACTIONS, TRIAGE),
    ActionGroup("In a field below a pane", PaneField.actions()),
    ActionGroup("In a question", Confirm.ACTIONS),
    ActionGroup("In a text", Document.ACTIONS),
)
"""The actions that are not done in a view, but in a field or a screen that has the focus."""


def make_views(host: Host, sources: ViewSources) -> Iterator[View]:
    """One view of each class."""
    for view in VIEW_CLASSES:
        yield view(host, sources)


def actions_of_views() -> Iterator[Action]:
    """The actions of each view, then those of any view."""
    shared = declared(View)
    for view in VIEW_CLASSES:
        for cls in (*view.PARTS, view):
            yield from (one.action for name, one in declared(cls).items() if name not in shared)
    yield from (one.action for one in shared.values())


def all_actions(of_app: Mapping[str, object]) -> dict[str, Action]:
    """The actions of the views and of the app, by id. `of_app` are the attributes of the app's class."""
    own = actions_in(of_app)
    switches = [action for action in own if action.id.startswith("view.")]
    actions = [*switches, *actions_of_views(), *own]
    return {action.id: action for action in actions}
