"""The help of a view, and the actions in the command palette."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from inspect import cleandoc

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tiger_slack_tui.base.text import fit
from tiger_slack_tui.console.actions import TITLES, Action, ActionGroup
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.panes.paint import DIM, KEY, line, worded


def help_lines(
    actions: Iterable[Action],
    groups: Iterable[ActionGroup],
    keys: Mapping[str, str],
    about: str,
    width: int,
) -> Iterator[Content]:
    """The help of a view: what it shows, and the keys with the ids by which they can be remapped.

    `groups` are those of the screens and fields that can be opened from the view.
    """
    actions = list(actions)
    for paragraph in cleandoc(about).split("\n\n"):
        yield from worded(paragraph, width)
        yield Content("")
    for title, shown in (
        ("Here", [action for action in actions if action.view]),
        ("Everywhere", [action for action in actions if not action.view]),
        *((group.title, group.actions) for group in groups),
    ):
        if not shown:
            continue
        yield line((title, "bold"))
        for action in shown:
            asks = " (asks first)" if action.changes else ""
            key = fit(keys.get(action.id, action.key), 8)
            yield line("  ", (key, KEY), fit(f"{action.title}{asks}", 42), (action.id, DIM))
        yield Content("")
    yield line(
        (
            "Keys that change data are upper-case and ask first. Esc goes back.",
            DIM,
        )
    )


class ActionCommands(Provider):
    """Finds the actions of the shown view by name, for the command palette."""

    async def discover(self) -> Hits:
        for title, action_id, help_text in self._offered():
            yield DiscoveryHit(title, lambda name=action_id: self._do(name), help=help_text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, action_id, help_text in self._offered():
            score = matcher.match(title)
            if score > 0:
                yield Hit(
                    score,
                    matcher.highlight(title),
                    lambda name=action_id: self._do(name),
                    help=help_text,
                )

    def _offered(self) -> Iterator[tuple[str, str, str]]:
        if isinstance(self.app, Host):
            keys = self.app.keys_shown
            for action in self.app.offered():
                where = f"{TITLES[action.view] if action.view else 'Everywhere'}: {action.help}"
                title = f"{action.title}  ({keys.get(action.id, action.key)})"
                yield title, action.id, where

    async def _do(self, action_id: str) -> None:
        await self.app.run_action(f"perform('{action_id}')")
