"""Reads the console's settings file, console.toml."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textual.keys import Keys

from tiger_slack_tui.console.actions import CONFIRM_KEY
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.options import THEMES, ConsoleOptions
from tiger_slack_tui.console.views.catalog import ACTION_GROUPS

FILE = "console.toml"


def read_options(
    home: Path, *, read_only: bool, mouse: bool, stop_on_hangup: bool
) -> ConsoleOptions:
    """The options. A wrong entry of the file is ignored and becomes a warning."""
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
        warnings.append(f"{FILE}: theme {theme!r} is not one of {', '.join(THEMES)}")
        theme = THEMES[0]
    given = found.pop("keys", {})
    keys, wrong = remapped(given) if isinstance(given, dict) else ({}, ["keys is not a table"])
    warnings += [f"{FILE}: {text}" for text in wrong]
    warnings += [f"{FILE}: {name} is not known" for name in found]
    return ConsoleOptions(
        theme, keys, mouse, read_only, not _has_unicode(), stop_on_hangup, tuple(warnings)
    )


def _has_unicode() -> bool:
    """Whether the terminal can probably show more than ASCII, by the locale."""
    if os.environ.get("TERM") == "linux":
        return False
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if value := os.environ.get(name):
            return "utf" in value.lower()
    return True


def remapped(keys: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
    """The keymap for Textual without the wrong entries, and a warning for each of those.

    The key that confirms cannot open a dialog: held down, it would confirm at once.
    """
    known = {key.value for key in Keys}
    of_groups = (action for group in ACTION_GROUPS for action in group.actions)
    actions = {**ConsoleApp.ACTIONS, **{action.id: action for action in of_groups}}
    keymap, warnings = {}, []
    for name, text in keys.items():
        parts = [part.strip() for part in text.split(",")] if isinstance(text, str) else [""]
        bad = [part for part in parts if len(part) != 1 and part.rpartition("+")[2] not in known]
        if (action := actions.get(name)) is None:
            warnings.append(f"{name}: there is no such action")
        elif action.is_fixed:
            warnings.append(f"{name}: its key cannot be changed")
        elif bad:
            warnings.append(f"{name}: {bad[0]!r} is not a key")
        elif CONFIRM_KEY in parts and not action.may_be_confirm_key:
            warnings.append(f"{name}: {CONFIRM_KEY!r} confirms, and cannot be the key that asks")
        else:
            keymap[name] = ",".join(parts)
    return keymap, warnings
