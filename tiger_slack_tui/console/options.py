"""How a person wants the console to look and behave."""

from __future__ import annotations

from dataclasses import dataclass, field

THEMES = ("tiger-dark", "tiger-light", "tiger-contrast", "ansi-dark", "ansi-light")


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """The options of the command line and of `TIGER_SLACK_HOME/console.toml`."""

    theme: str = THEMES[0]
    keys: dict[str, str] = field(default_factory=dict)
    """The keys that replace the default ones, by the id of their action."""
    mouse: bool = True
    read_only: bool = False
    ascii: bool = False
    stop_on_hangup: bool = False
    warnings: tuple[str, ...] = ()
    """What was wrong with the file."""
