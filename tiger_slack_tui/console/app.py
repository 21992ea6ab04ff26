"""The app of the console: shows samples of its backend, and does what a person asks for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import events
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tiger_slack_tui.audit.reference import MessageReference
from tiger_slack_tui.console.actions import (
    EVENTS,
    HELP,
    MESSAGES,
    PALETTE_KEYS,
    VIEWS,
    Action,
    ActionGroup,
    action,
    bindings,
    can_perform,
    declared,
    implements,
    perform,
    view_switches,
)
from tiger_slack_tui.console.driver.palette import Palette
from tiger_slack_tui.console.interaction import InteractiveApp
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.model.event_counts import PARTS
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.operator import Operator
from tiger_slack_tui.console.options import THEMES, ConsoleOptions
from tiger_slack_tui.console.panes import chrome
from tiger_slack_tui.console.panes.action_field import ActionField
from tiger_slack_tui.console.panes.keys_line import KeysLine
from tiger_slack_tui.console.panes.pane import Pane
from tiger_slack_tui.console.panes.pane_fields import ExportField, FilterField, PaneField
from tiger_slack_tui.console.screens.dialog import ConfirmQuit, Dialog
from tiger_slack_tui.console.screens.help import ActionCommands, help_lines
from tiger_slack_tui.console.themes import DIMMED, OUR_THEMES
from tiger_slack_tui.console.views.catalog import ACTION_GROUPS, all_actions, make_views
from tiger_slack_tui.console.views.events import EventsView
from tiger_slack_tui.console.views.messages import MessagesView
from tiger_slack_tui.console.views.view import Switcher, View

log = logging.getLogger(__name__)

_RATES = (0.5, 1.0, 2.0, 4.0)
"""Samples a second; + and - choose among them."""
_LEAST_SIZE = (60, 15)
"""The least columns and rows that the views need."""
_WINDOWS = (60, 120, 300, 900, *PARTS)
"""Seconds that the charts show; [ and ] choose among them."""


class MainScreen(Screen[None]):
    """The screen below all dialogs."""

    BLANK = True
    AUTO_FOCUS = ""  # the view knows its first pane; Textual would also take a hidden one


class ConsoleApp(InteractiveApp):
    """The console. A timer samples the backend, and the shown view gets the sample.

    `engine_work` runs the engine. When it ends, the console ends; its error becomes `failure`.
    `shown` is set when the first frame is on the screen.
    """

    TITLE = "tiger-slack"
    CSS_PATH = "console.tcss"
    COMMANDS: ClassVar[set[Any]] = {ActionCommands}
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 typed by Textual
        (0, "-tiny"),
        (_LEAST_SIZE[0], "-narrow"),
        (120, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-flat"),
        (_LEAST_SIZE[1], "-short"),
        (36, "-tall"),
    ]

    def __init__(
        self,
        backend: Backend,
        options: ConsoleOptions,
        *,
        engine_work: Awaitable[None] | None = None,
        shown: asyncio.Event | None = None,
    ) -> None:
        super().__init__(is_ascii=options.ascii)
        self.animation_level = "none"
        self.backend = backend
        self.operator = Operator(backend)
        self.failure: BaseException | None = None
        self.is_lost = False
        """Whether the terminal is gone. The engine may continue without it."""
        self.keys_shown: Mapping[str, str] = dict(options.keys)
        self._options = options
        self._engine_work = engine_work
        self._shown = shown
        self._views = {view.NAME: view for view in make_views(self, backend)}
        self._view = VIEWS[0]
        self._frozen: Model | None = None
        """The model that is shown in place of the newest one."""
        self._window = 1
        self._rate = 2
        for theme in OUR_THEMES:
            self.register_theme(theme)
        self.theme = options.theme
        self.stylesheet.set_variables(self.get_css_variables())  # so that it is parsed once
        self.set_keymap(options.keys)

    # What is on the screen

    def compose(self) -> ComposeResult:
        yield Static(id="status")
        yield Static(id="tabs")
        yield Static(id="problems")
        with Switcher(id="views", initial=self._view):
            yield self.view
        yield FilterField(self.keys_shown, on_pane_hidden=lambda: self.view.focus_first())
        yield ExportField(self.keys_shown, on_pane_hidden=lambda: self.view.focus_first())
        yield KeysLine(id="footer")
        yield Static(id="short")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"dimmed": DIMMED}

    def get_default_screen(self) -> Screen[Any]:
        return MainScreen(id="_default")

    def on_mount(self) -> None:
        self._sampling = self.set_interval(1 / _RATES[self._rate], self._sample)
        if self._engine_work is not None:
            self.run_worker(self._run_engine(self._engine_work), exit_on_error=False)
        self.view.focus_first()
        self._sample()
        for warning in self._options.warnings:
            self.say(warning, severity="warning")

    def on_ready(self) -> None:
        if self._shown is not None:
            self._shown.set()

    async def _run_engine(self, work: Awaitable[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.failure = error
        self.exit(return_code=0 if self.failure is None else 1)

    def _sample(self) -> None:
        if not self.screen_stack or not self.screen_stack[0].query("#short"):
            return  # the timer can fire before everything is mounted, and after the end
        self._paint(self.backend.sample(_WINDOWS[self._window]))

    def _paint(self, model: Model) -> None:
        width = self.size.width
        if self.is_too_small:
            self._fill(
                "#short", Content("\n").join(chrome.short_lines(model, width, self.size.height))
            )
            return
        for field in self.screen_stack[0].query(PaneField):
            field.close_if_pane_is_hidden()
        self._fill("#status", chrome.status_line(model, width))
        badges = {name: view.badge(model) for name, view in self._views.items()}
        self._fill(
            "#tabs", chrome.tabs_line(self._view, badges, width, frozen=self._freeze_note(model))
        )
        self._show_problems(chrome.problem_lines(model, width))
        self.view.show(self._frozen or model)
        footer = self.screen_stack[0].query_one("#footer", KeysLine)
        footer.show_keys(self._footer(self.screen_stack[0].focused, width))

    def _footer(self, focused: Widget | None, width: int) -> Content:
        if isinstance(focused, ActionField):
            return chrome.typing_line(focused.actions(), self.keys_shown, focused.hint)
        owners = self._action_owners()
        possible = [one for one in self.offered() if can_perform(owners, one.id)]
        return chrome.footer_line(possible, self.keys_shown, width)

    def _show_problems(self, problems: list[Content]) -> None:
        widget = self.screen_stack[0].query_one("#problems", Static)
        widget.styles.height = len(problems)
        widget.display = bool(problems)
        self.screen_stack[0].set_class(bool(problems), "-troubled")
        self._fill("#problems", Content("\n").join(problems))

    def _fill(self, name: str, content: Content) -> None:
        widget = self.screen_stack[0].query_one(name, Static)
        if widget.content != content:
            widget.update(content, layout=False)

    def _freeze_note(self, model: Model) -> str:
        if self._frozen is None:
            return ""
        new = 0
        if model.engine and self._frozen.engine:
            new = model.engine.received - self._frozen.engine.received
        return f"FROZEN +{new:,} "

    @property
    def view(self) -> View:
        """The current view."""
        return self._views[self._view]

    @property
    def view_name(self) -> str:
        return self._view

    @property
    def focused_pane(self) -> Pane[Any] | None:
        return self.view.pane

    def on_resize(self, event: events.Resize) -> None:
        self.redraw()
        self._leave_dialogs(event.size)
        self.call_after_refresh(self._sample)

    def _leave_dialogs(self, size: Size) -> None:
        """Close the dialogs that nobody can read at this size. Questions are answered with no."""
        while len(self.screen_stack) > 1:
            top = self.screen
            least = top.LEAST_SIZE if isinstance(top, Dialog) else _LEAST_SIZE
            if size.width >= least[0] and size.height >= least[1]:
                return
            if isinstance(top, Dialog):
                top.leave()
            else:
                top.dismiss()

    # How it ends

    def terminal_lost(self) -> None:
        """End the screen, because the terminal is gone."""
        self.is_lost = True
        self.exit()

    def stop(self) -> None:
        """Stop the engine and the import without a question, then leave."""
        self.operator.stop()
        if self.backend.is_observing:
            self.exit()

    # What an operator does

    @property
    def is_too_small(self) -> bool:
        """Whether the terminal is too small for the views, which are not shown then."""
        return self.size.width < _LEAST_SIZE[0] or self.size.height < _LEAST_SIZE[1]

    def offered(self) -> list[Action]:
        """The actions of the shown view. A terminal that is too small offers only those that need no view."""
        owners = (declared(type(owner)).values() for owner in self._action_owners())
        found: dict[str, Action] = {}
        for candidate in (
            *(one.action for methods in owners for one in methods),
            *self.ACTIONS.values(),
        ):
            found.setdefault(candidate.id, candidate)  # a view's own title comes first
        return [
            candidate
            for candidate in found.values()
            if candidate.view in (None, self._view)
            and not (self.backend.read_only and candidate.changes)
            and (candidate.is_of_app or not self.is_too_small)
        ]

    def offered_elsewhere(self) -> list[Action]:
        """The actions of the other views."""
        others = (one for one in self.ACTIONS.values() if one.view not in (None, self._view))
        return [one for one in others if not (self.backend.read_only and one.changes)]

    def _action_owners(self) -> list[Hashable]:
        return [*self.view.action_owners(), self]

    async def action_perform(self, action_id: str) -> None:
        """Do the action of a key or of the command palette, if it is offered and possible now."""
        if all(action_id != one.id for one in self.offered()):
            raise SkipAction
        await perform(self._action_owners(), action_id)
        self._sample()

    async def go_to(self, name: str) -> None:
        """Show another view. It is mounted when it is first shown: all of them would double the time of the start."""
        switcher, view = self.query_one("#views", Switcher), self._views[name]
        if not view.is_attached:
            view.display = False
            await switcher.mount(view)
        self._view = switcher.current = name
        self.view.focus_first()
        self._sample()

    # The actions view.NAME, in the order of their digits.
    vars().update(view_switches(go_to))

    async def show_message(self, message: MessageReference) -> None:
        """Show what was said around a message."""
        await self.go_to(MESSAGES)
        self.query_one(MessagesView).open_message(message)

    async def show_events(self, text: str) -> None:
        """Show the events that pass these filters."""
        await self.go_to(EVENTS)
        self.query_one(EventsView).find(text)

    @action("pane.back", "escape", "Back", shown="Esc", footer=False)
    def act_back(self) -> None:
        """Leave a filter, a zoom, a step or a freeze."""
        if not self.view.step_back() and self._frozen is not None:
            self.act_freeze()

    def choose_file(
        self, pane: Pane[Any], proposed: Path, on_chosen: Callable[[Path], None]
    ) -> None:
        """Let the operator type the path of the file for a pane."""
        self.query_one(ExportField).open(pane, proposed, on_chosen)

    def open_filter(self, pane: Pane[Any]) -> None:
        """Let the operator type the text that the pane's rows must contain."""
        self.query_one(FilterField).open(pane)

    @action("display.freeze", "space", "Freeze", shown="Space")
    def act_freeze(self) -> None:
        """Freeze what all views show, or end that."""
        is_frozen = self._frozen is not None
        self._frozen = None if is_frozen else self.backend.sample(_WINDOWS[self._window]).frozen()

    def thaw(self) -> None:
        """Show the present again, at once."""
        self._frozen = None
        self._sample()

    @action("display.narrower", "left_square_bracket", "Shorter window", shown="[", footer=False)
    def act_narrower(self) -> None:
        """Show less time in the chart: down to a minute."""
        self._window = max(self._window - 1, 0)

    @action("display.wider", "right_square_bracket", "Longer window", shown="]", footer=False)
    def act_wider(self) -> None:
        """Show more time in the chart: up to 90 days."""
        self._window = min(self._window + 1, len(_WINDOWS) - 1)

    @action("display.faster", "plus", "Show more often", shown="+", footer=False)
    def act_faster(self) -> None:
        """Sample more often."""
        self._set_rate(min(self._rate + 1, len(_RATES) - 1))

    @action("display.slower", "minus", "Show less often", shown="-", footer=False)
    def act_slower(self) -> None:
        """Sample less often."""
        self._set_rate(max(self._rate - 1, 0))

    def _set_rate(self, rate: int) -> None:
        self._rate = rate
        self._sampling.stop()
        self._sampling = self.set_interval(1 / _RATES[rate], self._sample)
        self.say(f"Shown {_RATES[rate]:g} times a second")

    @action("display.theme", "t", "Next theme", footer=False)
    def act_theme(self) -> None:
        """Change the colours."""
        names = list(THEMES)
        current = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(current + 1) % len(names)]
        self.say(f'To keep it, write to console.toml: theme = "{self.theme}"')

    def action_command_palette(self) -> None:
        """Show the command palette. Textual also calls this for its own key."""
        if not (self.is_too_small or isinstance(self.screen, Palette)):
            keys = chrome.typing_line(PALETTE_KEYS, {})
            self.push_screen(Palette(KeysLine(keys, id="keys"), id="--command-palette"))

    @action("help.commands", "colon,ctrl+p", "Commands", shown=":")
    def act_commands(self) -> None:
        """Find an action of any view by its name."""
        self.action_command_palette()

    @implements(HELP)
    def act_keys(self) -> None:
        """Explain the view, and list its keys."""
        groups = [
            *self._groups_of_view(),
            ActionGroup("Everywhere", tuple(one for one in self.offered() if one.view is None)),
            *(group for group in ACTION_GROUPS if group.view in (None, self._view)),
        ]
        self._read_help(groups, self.view.__doc__ or "")

    def on_dialog_help_asked(self, event: Dialog.HelpAsked) -> None:
        cls = type(event.dialog)
        actions = tuple(one.action for one in declared(cls).values())
        self._read_help([ActionGroup("Here", actions)], cls.__doc__ or "")

    def _read_help(self, groups: Sequence[ActionGroup], about: str) -> None:
        keys = self.keys_shown
        self.read("help", lambda width: help_lines(groups, keys, about, width), is_help=True)

    def _groups_of_view(self) -> Iterator[ActionGroup]:
        """The actions of each part of the view, then those of the view itself."""
        for owner, title in (
            *((part, part.TITLE) for part in self.view.PARTS),
            (type(self.view), "Here"),
        ):
            own = (method.action for method in declared(owner).values())
            yield ActionGroup(
                title,
                tuple(
                    one
                    for one in own
                    if one.view == self._view and not (self.backend.read_only and one.changes)
                ),
            )

    @action("app.quit", "q,ctrl+q", "Quit")
    def act_quit(self) -> None:
        """Stop what runs here, and leave. A second time says yes to the question."""
        if isinstance(self.screen, ConfirmQuit):
            self.screen.act_yes()
            return
        question = chrome.quit_question(self.backend.sample(60))
        if question is None:
            self.exit()
            return
        keys = self.keys_shown
        again = keys.get("app.quit", self.ACTIONS["app.quit"].keys).split(",")
        dialog = ConfirmQuit(*question, verb="Quit", quit_keys=again, keys=keys)
        self.push_question(dialog, self.stop)

    # At the end of the class, where all of its actions are declared.
    ACTIONS: ClassVar[dict[str, Action]] = all_actions(vars())
    BINDINGS: ClassVar[list[Any]] = [
        *bindings(ACTIONS.values()),
        # Also while a text is typed, and above dialogs.
        Binding("ctrl+c", "perform('app.quit')", "Quit", show=False, priority=True),
    ]
