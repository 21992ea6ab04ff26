"""A text field with actions of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.events import Key
from textual.suggester import Suggester
from textual.widgets import Input

from tiger_slack_tui.console.actions import Action, declared, perform, pressed


class ActionField(Input):
    """A field for a text. Its class declares what can be done in it; other keys are part of the text.

    An action happens at once: the next key may be waiting already, and a binding would come after it.
    """

    hint: ClassVar[str] = ""
    """What can be typed."""

    def __init__(
        self,
        keys: Mapping[str, str],
        *,
        id: str,  # noqa: A002 as Textual names it
        placeholder: str = "",
        suggester: Suggester | None = None,
    ) -> None:
        """`keys` are those that the operator chose, by the id of their action."""
        super().__init__(
            id=id,
            compact=True,
            placeholder=placeholder,
            suggester=suggester,
            select_on_focus=False,
        )
        self._chosen_keys = keys

    @classmethod
    def actions(cls) -> tuple[Action, ...]:
        """What can be done in the field."""
        return tuple(method.action for method in declared(cls).values())

    async def on_key(self, event: Key) -> None:
        action_id = pressed(self.actions(), event.key, self._chosen_keys)
        if action_id is not None:
            event.stop()
            event.prevent_default()
            await perform([self], action_id)
