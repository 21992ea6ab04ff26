"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from tiger_slack_tui.base.name_patterns import suggestion
from tiger_slack_tui.base.text import visible
from tiger_slack_tui.base.times import UNITS

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
as_json_lines = click.option("--json", "as_json", is_flag=True, help="Print JSON, one line each.")

WHEN = f"a date, a time, or a duration before now such as 7d ({UNITS})"
"""What --since takes."""
channels = click.option(
    "--channel",
    "channels",
    metavar="CHANNEL",
    multiple=True,
    help="Only this channel: a name, an id, or a pattern such as ops-*; repeatable.",
)
users = click.option(
    "--user",
    "users",
    metavar="USER",
    multiple=True,
    help="Only this user: a name, an id, or a pattern; repeatable.",
)
since = click.option("--since", metavar="WHEN", help=f"Only what happened since then: {WHEN}.")
until = click.option(
    "--until",
    metavar="WHEN",
    help="Only what happened before then; a date means the end of its day.",
)

no_ui = click.option(
    "--no-ui", is_flag=True, help="Run without the console; write log lines to stderr."
)
read_only = click.option(
    "--read-only", is_flag=True, help="Disable every action that changes something."
)
no_mouse = click.option(
    "--no-mouse", is_flag=True, help="Leave the mouse to the terminal, to select text."
)
http = click.option(
    "--http",
    metavar="[HOST:]PORT",
    help="Address of health and metrics (default: TIGER_SLACK_HTTP).",
)


class WordChoice(click.ParamType):  # type: ignore[type-arg]
    """One of a few words. The error for another word names those that are like it."""

    name = "choice"

    def __init__(self, noun: str, words: Collection[str]) -> None:
        self._noun = noun
        self._words = words

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self._words)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in self._words:
            return value
        if not str(value).strip():
            raise click.BadParameter("it is empty.", ctx, param)
        hint = suggestion(str(value), self._words) or f"There are {', '.join(self._words)}."
        raise click.BadParameter(
            f"there is no {self._noun} {visible(str(value))}.\n  {hint}", ctx, param
        )

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(word) for word in self._words if word.startswith(incomplete)]


class PathType(click.Path):
    """A path; "" is refused, which Python reads as the current directory."""

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        if not str(value).strip():
            self.fail("it is empty.", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.IntRange):
    """A whole number in a range; click calls it an "integer range"."""

    name = "number"


class _Id(click.ParamType):  # type: ignore[type-arg]
    """A number that the database gives, from 1 on; unlike Number, it does not print its range in the help."""

    name = "id"

    def __init__(self, noun: str, most: int, stored: str) -> None:
        """`stored` is the function of `stored_values` that has the numbers for a shell to complete."""
        self._noun = noun
        self._range = click.IntRange(1, most)
        self._stored = stored

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return self._range.convert(value, param, ctx)
        except click.BadParameter:
            raise click.BadParameter(
                f"{visible(str(value)[:_SHOWN])} is not the number of a {self._noun}.", ctx, param
            ) from None

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        # Imported late: only here, a command line needs the database.
        values = import_module("tiger_slack_tui.cli.stored_values")
        complete: Callable[[], list[CompletionItem]] = getattr(values, self._stored)
        return [item for item in complete() if item.value.startswith(incomplete)]


_SHOWN = 40
"""Most characters of a wrong number that an error quotes."""
RULE_ID = _Id("rule", 2**31 - 1, "rule_ids")
"""The values of slack.message_discard.id."""
GAP_ID = _Id("gap", 2**63 - 1, "open_gap_ids")
HISTORY_ID = _Id("history", 2**63 - 1, "unread_history_ids")
"""The values of slack.gap.id."""
