"""Declares what a person can do. Keys, footers, help and palette are made from the declarations on methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Generic, Self, TypeVar, overload

from textual.actions import SkipAction
from textual.binding import Binding

CONFIRM_KEY: Final = "y"
"""The key that says yes. No action that asks can have it: a key that is held down repeats, and would confirm."""
OVERVIEW: Final = "overview"
JOBS: Final = "jobs"
TRIAGE: Final = "triage"
IMPORT: Final = "import"
LOG: Final = "log"
MESSAGES: Final = "messages"
EVENTS: Final = "events"
_VIEWS: Final = (
    (OVERVIEW, "Overview", "Show whether ingestion is healthy."),
    (JOBS, "Jobs", "Show jobs, locks, migrations, the database."),
    (TRIAGE, "Triage", "Show what was not simply stored, and gaps."),
    (IMPORT, "Import", "Import an export of Slack."),
    (LOG, "Log", "Show the program's log."),
    (MESSAGES, "Messages", "Search messages, and read threads."),
    (EVENTS, "Events", "Show every event that was received."),
)
"""Each view with its title and the help of the action that shows it, in the order of their digits."""
VIEWS: Final = tuple(name for name, _, _ in _VIEWS)
TITLES: Final = {name: title for name, title, _ in _VIEWS}

Result = Awaitable[None] | None
OwnerT = TypeVar("OwnerT")


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a person can do. A key that changes data is a capital, and a question comes first."""

    id: str
    """Its name in the settings file. Up to the dot: the view where it can be done; another word if everywhere."""
    keys: str
    """As Textual names them, with commas between."""
    title: str
    shown: str = ""
    """The key as people read it, if that is not the first of `keys`."""
    help: str = ""
    """What it does, in one sentence."""
    changes: bool = False
    """Whether it changes data."""
    footer: bool = True
    """Whether the footer names it."""
    is_fixed: bool = False
    """Whether the settings file cannot give it another key."""

    @property
    def view(self) -> str | None:
        """The view where it can be done; None if everywhere."""
        place = self.id.partition(".")[0]
        return place if place in VIEWS else None

    @property
    def asks(self) -> bool:
        """Whether a question comes before it is done."""
        return self.changes or self.id == "app.quit"

    @property
    def may_be_confirm_key(self) -> bool:
        """Whether it can have `CONFIRM_KEY`: no action that asks a question can, and none of the question itself."""
        return not (self.asks or self.id.startswith("question."))

    @property
    def is_of_app(self) -> bool:
        """Whether it works in a terminal that is too small for the views."""
        return self.id.startswith(("view.", "app."))

    @property
    def key(self) -> str:
        """The first key, as people read it."""
        return self.shown or self.keys.split(",")[0]


class ActionMethod(Generic[OwnerT]):
    """A method that does an action. It is called like any other method."""

    def __init__(self, action: Action, method: Callable[[OwnerT], Result]) -> None:
        self.action = action
        self._method = method
        self._condition: Callable[[OwnerT], bool] | None = None

    def under(
        self,
        id: str,  # noqa: A002 it is what the settings file calls it
        *,
        keys: str | None = None,
        help: str | None = None,  # noqa: A002
        footer: bool = False,
    ) -> ActionMethod[OwnerT]:
        """The same for another place, with the id that the settings file has for it there."""
        own = self.action
        changed = replace(own, id=id, keys=keys or own.keys, help=help or own.help, footer=footer)
        return ActionMethod(changed, self._method)

    def when(self, condition: Callable[[OwnerT], bool]) -> Callable[[OwnerT], bool]:
        """Decorates the method that says whether the action can be done now. Without one, it always can."""
        self._condition = condition
        return condition

    def is_possible(self, owner: OwnerT) -> bool:
        return self._condition is None or self._condition(owner)

    def run(self, owner: OwnerT) -> Result:
        return self._method(owner)

    @overload
    def __get__(self, owner: None, cls: type) -> Self: ...
    @overload
    def __get__(self, owner: OwnerT, cls: type) -> Callable[[], Result]: ...
    def __get__(self, owner: OwnerT | None, cls: type) -> Self | Callable[[], Result]:
        return self if owner is None else lambda: self._method(owner)


def implements(
    action: Action, *, title: str | None = None
) -> Callable[[Callable[[OwnerT], Result]], ActionMethod[OwnerT]]:
    """Declares that the method does this action, which another class declared.

    `title` is what this class calls it. A docstring of the method replaces the action's help.
    """

    def declare(method: Callable[[OwnerT], Result]) -> ActionMethod[OwnerT]:
        own = replace(action, title=title or action.title, help=_first_line(method) or action.help)
        return ActionMethod(own, method)

    return declare


def action(
    id: str,  # noqa: A002 it is what the settings file calls it
    keys: str,
    title: str,
    *,
    shown: str = "",
    changes: bool = False,
    footer: bool = True,
) -> Callable[[Callable[[OwnerT], Result]], ActionMethod[OwnerT]]:
    """Declares that the method does the action of this id. The first line of its docstring is the action's help."""

    def declare(method: Callable[[OwnerT], Result]) -> ActionMethod[OwnerT]:
        help_text = _first_line(method)
        return ActionMethod(Action(id, keys, title, shown, help_text, changes, footer), method)

    return declare


def view_switches(show: Callable[[OwnerT, str], Result]) -> dict[str, ActionMethod[OwnerT]]:
    """Methods by their names: for each view the action `view.NAME` with the view's digit, which calls `show`."""

    def switch(digit: int, name: str, title: str, help_text: str) -> ActionMethod[OwnerT]:
        declared_action = Action(
            f"view.{name}", str(digit), f"View {title}", help=help_text, footer=False
        )
        return ActionMethod(declared_action, lambda owner: show(owner, name))

    return {f"act_{view[0]}": switch(digit, *view) for digit, view in enumerate(_VIEWS, 1)}


def _first_line(method: Callable[[Any], Result]) -> str:
    """Of its docstring; "" if it has none."""
    return (method.__doc__ or "").partition("\n")[0]


@cache
def declared(cls: type) -> Mapping[str, ActionMethod[Any]]:
    """The methods of a class that do an action, by the id of the action: first its own, then those of its bases."""
    found: dict[str, ActionMethod[Any]] = {}
    for base in cls.__mro__:
        for member in vars(base).values():
            if isinstance(member, ActionMethod):
                found.setdefault(member.action.id, member)
    return found


def actions_in(members: Mapping[str, object]) -> list[Action]:
    """The actions that these members of a class do, in the order of their definition."""
    return [one.action for one in members.values() if isinstance(one, ActionMethod)]


def _find(owners: Iterable[Hashable], action_id: str) -> tuple[Any, ActionMethod[Any]] | None:
    """The first of the owners whose class declares the action, and its method."""
    for owner in owners:
        if (method := declared(type(owner)).get(action_id)) is not None:
            return owner, method
    return None


def can_perform(owners: Iterable[Hashable], action_id: str) -> bool:
    """Whether the first of the owners that declares the action can do it now."""
    found = _find(owners, action_id)
    return found is not None and found[1].is_possible(found[0])


async def perform(owners: Iterable[Hashable], action_id: str) -> None:
    """Do the action with the first of the owners whose class declares it.

    Raises SkipAction if it is not possible now. Textual then tries the next action of the key.
    """
    found = _find(owners, action_id)
    if found is None or not found[1].is_possible(found[0]):
        raise SkipAction
    owner, method = found
    if (work := method.run(owner)) is not None:
        await work


def pressed(actions: Iterable[Action], key: str, keys: Mapping[str, str]) -> str | None:
    """The id of the first of the actions that has the key, as Textual names it; None if there is none.

    `keys` are those that the operator chose, by the id of their action.
    """
    for action in actions:
        if key in keys.get(action.id, action.keys).split(","):
            return action.id
    return None


@dataclass(frozen=True, slots=True)
class ActionGroup:
    """The actions of a dialog, a screen or a field: they can be done only while it has the focus."""

    title: str
    actions: tuple[Action, ...]
    view: str | None = None
    """The view that it belongs to; None if it belongs to all."""


HELP: Final = Action(
    "help.keys", "question_mark", "Help", "?", "Explain what is shown, and list its keys."
)
ACCEPT: Final = Action(
    "field.accept", "enter", "Accept", "Enter", "Accept the text.", is_fixed=True
)
LEAVE: Final = Action(
    "field.leave", "escape", "Leave the field", "Esc", "Leave the field.", is_fixed=True
)

PALETTE_KEYS: Final = (
    Action("palette.run", "enter", "Run", "Enter", is_fixed=True),
    Action("palette.choose", "up,down", "Choose", "↑↓", is_fixed=True),
    Action("palette.leave", "escape", "Back", "Esc", is_fixed=True),
)
"""The keys of the command palette, which are Textual's."""


def bindings(actions: Iterable[Action]) -> list[Binding]:
    """The actions as Textual's bindings; each can be remapped by its id."""
    return [
        Binding(
            action.keys,
            f"perform('{action.id}')",
            action.title,
            key_display=action.key,
            id=action.id,
        )
        for action in actions
    ]
