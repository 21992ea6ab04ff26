"""Every command with its arguments and options, as click has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

from tiger_slack_tui.cli.main import main

PLAUSIBLE = {
    "path": "export",
    "match": '$.text == "a"',
    "channel": "C1",
    "ts": "1700000000.000100",
    "event_ids": "Ev1",
    "query": "1",
}
"""Valid values of arguments."""
_INSTEAD = {"app", "user", "channel", "rule"}
"""Options that replace the command's optional argument."""
_WITH = {"channels": "since", "until": "since"}
"""Options that need another option."""


@dataclass(frozen=True)
class Command:
    """A command that is not a group."""

    words: tuple[str, ...]
    command: click.Command

    @property
    def arguments(self) -> list[click.Argument]:
        return [p for p in self.command.params if isinstance(p, click.Argument)]

    @property
    def options(self) -> list[click.Option]:
        """The options that take a value."""
        return [p for p in self.command.params if isinstance(p, click.Option) and not p.is_flag]

    @property
    def flags(self) -> set[str]:
        """The options without a value."""
        found = (p for p in self.command.params if isinstance(p, click.Option) and p.is_flag)
        return {name for option in found for name in option.opts}

    def line(self, *flags: str, **given: str) -> list[str]:
        """A command line with the given values, and valid ones for the other arguments."""
        words = [*self.words, *flags, *(["--yes"] if "--yes" in self.flags else [])]
        for name in set(given) & set(_WITH):
            given.setdefault(_WITH[name], "1D")
        asked = [option for option in self.options if option.name in given]
        words += [f"{option.opts[0]}={given[option.name or '']}" for option in asked]
        words.append("--")
        stands_in = any(option.name in _INSTEAD for option in asked)
        for argument in self.arguments:
            name = argument.name or ""
            if name in given or argument.required or (name in PLAUSIBLE and not stands_in):
                words.append(given.get(name, PLAUSIBLE.get(name, "1")))
        return words


def commands() -> Iterator[Command]:
    """All commands that are not groups."""
    return _below((), main)


def _below(words: tuple[str, ...], command: click.Command) -> Iterator[Command]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in sorted(command.list_commands(context)):
            child = command.get_command(context, name)
            assert child is not None
            yield from _below((*words, name), child)
    else:
        yield Command(words, command)
