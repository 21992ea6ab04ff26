"""How an operator wants the console: its settings file."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiger_slack_tui.console.actions import remapped

THEMES = ("tiger-dark", "tiger-light", "tiger-contrast", "ansi-dark", "ansi-light")
FILE = "console.toml"


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """What the command line and `TIGER_SLACK_HOME/console.toml` say."""

    theme: str = THEMES[0]
    keys: dict[str, str] = field(default_factory=dict)
    """Keys by the id of their action."""
    mouse: bool = True
    read_only: bool = False
    ascii: bool = False
    stop_on_hangup: bool = False
    warnings: tuple[str, ...] = ()
    """Entries of the file that were not understood."""


def read_options(
    home: Path, *, read_only: bool, mouse: bool, stop_on_hangup: bool
) -> ConsoleOptions:
    """The options; what is wrong with the file becomes a warning, and is left out."""
    path = home / FILE
    warnings: list[str] = []
    found: dict[str, Any] = {}
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        warnings.append(f"{path} cannot be read: {type(error).__name__}")
    theme = found.pop("theme", THEMES[0])
    if theme not in THEMES:
        warnings.append(f"{FILE}: theme {theme!r} is none of {', '.join(THEMES)}")
        theme = THEMES[0]
    given = found.pop("keys", {})
    keys, wrong = remapped(given) if isinstance(given, dict) else ({}, ["keys is no table"])
    warnings += [f"{FILE}: {text}" for text in wrong]
    warnings += [f"{FILE}: {name} is not known" for name in found]
    return ConsoleOptions(
        theme, keys, mouse, read_only, not _has_unicode(), stop_on_hangup, tuple(warnings)
    )


def _has_unicode() -> bool:
    """Whether the terminal is likely to show more than ASCII: as the locale says."""
    if os.environ.get("TERM") == "linux":
        return False
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if value := os.environ.get(name):
            return "utf" in value.lower()
    return True
