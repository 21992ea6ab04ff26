"""The help of a view, and the actions in the command palette."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from inspect import cleandoc
from re import split

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tiger_slack_tui.base.text import cut, fit
from tiger_slack_tui.console.actions import TITLES, Action, ActionGroup
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.panes.paint import DIM, KEY, facing, line, worded

_KEY, _TITLE = 8, 21
"""Cells of the key and of the title in the palette."""
_WIDEST = 100
"""The widest terminal that the help fills: longer lines are hard to read."""
_AROUND = 6
"""Cells around a line of the palette."""


RULE = (
    "Lower case only looks. A capital changes data, and asks first; or it is the stronger form of its lower-case key:"
    " g first and G last row, y row and Y pane, s next column and S reverse order. Esc goes back."
)
"""What the case of a key says."""


def help_lines(
    groups: Iterable[ActionGroup], keys: Mapping[str, str], about: str, width: int
) -> Iterator[Content]:
    """The help of a view: what it shows, and its keys by group, each with a sentence and the id to remap it by.

    `width` is that of the terminal.
    """
    width = min(width, _WIDEST) - 2
    for paragraph in cleandoc(about).split("\n\n"):
        yield from worded(paragraph, width)
        yield Content("")
    for group in groups:
        if not group.actions:
            continue
        yield line((group.title, "bold"))
        for action in group.actions:
            yield from _action_lines(action, keys, width)
        yield Content("")
    for row in worded(RULE, width):
        yield row.stylize(DIM)


def _action_lines(action: Action, keys: Mapping[str, str], width: int) -> Iterator[Content]:
    """The key, what it does, and its id at the right end if there is room for both."""
    asks = " Asks first." if action.changes else ""
    end = line((f"  {action.id}", DIM))
    rows = worded(f"{action.help}{asks}", width - 2 - _KEY)
    rows[0] = line("  ", (fit(keys.get(action.id, action.key), _KEY), KEY)) + rows[0]
    rows[1:] = [Content(" " * (2 + _KEY)) + row for row in rows[1:]]
    if rows[-1].cell_length + end.cell_length >= width:
        rows.append(Content(""))
    rows[-1] = facing(rows[-1], end, width)
    yield from rows


def palette_line(
    action: Action,
    keys: Mapping[str, str],
    title: Content,
    width: int,
    *,
    is_elsewhere: bool = False,
) -> Content:
    """A line of the palette: the key, the title, and what the action does, up to the details.

    With `is_elsewhere`, also the view where it can be done.
    """
    about = split("[.:;]", action.help)[0]
    if is_elsewhere and action.view is not None:
        about = f"in {TITLES[action.view]}: {about}"
    room = max(width - _AROUND - _KEY - _TITLE, 0)
    key = fit(keys.get(action.id, action.key), _KEY)
    return Content.assemble((key, KEY), title.truncate(_TITLE, pad=True), (cut(about, room), DIM))


class ActionCommands(Provider):
    """Finds actions by name, for the command palette. Each takes one line.

    Those of the shown view are done. Those of another view lead there, and their key is told: many need a row to be
    selected.
    """

    async def discover(self) -> Hits:
        for action in self._host.offered() if self._host else ():
            shown = self._line(action, Content(action.title))
            yield DiscoveryHit(shown, partial(self._do, action.id), text=action.title)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        host = self._host
        if host is None:
            return
        elsewhere = host.offered_elsewhere()
        for action in (*host.offered(), *elsewhere):
            score = matcher.match(action.title)
            if score > 0:
                is_elsewhere = action in elsewhere
                yield Hit(
                    score,
                    self._line(action, matcher.highlight(action.title), is_elsewhere=is_elsewhere),
                    partial(self._lead_to, action)
                    if is_elsewhere
                    else partial(self._do, action.id),
                    text=action.title,
                )

    @property
    def _host(self) -> Host | None:
        return self.app if isinstance(self.app, Host) else None

    def _line(self, action: Action, title: Content, *, is_elsewhere: bool = False) -> Content:
        keys = self._host.keys_shown if self._host else {}
        return palette_line(action, keys, title, self.app.size.width, is_elsewhere=is_elsewhere)

    async def _lead_to(self, action: Action) -> None:
        host = self._host
        if host is not None and action.view is not None:
            await host.go_to(action.view)
            key = host.keys_shown.get(action.id, action.key)
            host.say(f"{key} {action.title}: {action.help}")

    async def _do(self, action_id: str) -> None:
        await self.app.run_action(f"perform('{action_id}')")
