"""Writes settings to .env without losing what else it holds."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tiger_slack_tui.base.errors import SettingsError

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=?&~-]+")
"""Values that need no quotes."""


def write_settings(path: Path, values: Mapping[str, str | None]) -> None:
    """Set the values in the file, and remove those that are None; a missing file is made.

    Other lines stay as they are. Only the owner can read the file afterwards (mode 0600). The new file takes the
    place of the old one at once, so that a crash leaves one of the two. Blocks. Raises SettingsError.
    """
    target = path.resolve()  # a link keeps leading to the file
    try:
        lines = target.read_text(encoding="utf-8").splitlines() if target.exists() else []
        _replace(target, "".join(f"{line}\n" for line in _changed(lines, values)))
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8.", hint="Fix it, or move it away.") from None
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}.",
            hint="Start it in a directory that you can write to.",
        ) from None


def _changed(lines: list[str], values: Mapping[str, str | None]) -> list[str]:
    """The lines with the values: in place of the first line of that name, or at the end."""
    left = dict(values)
    found = []
    for line in lines:
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=", line)
        name = match[1] if match else ""
        if name not in values:
            found.append(line)
        elif name in left and (value := left.pop(name)) is not None:
            found.append(_line(name, value))
    return [*found, *(_line(name, value) for name, value in left.items() if value is not None)]


def _line(name: str, value: str) -> str:
    """The setting as python-dotenv reads it."""
    if _PLAIN.fullmatch(value):
        return f"{name}={value}"
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{quoted}'"


def _replace(path: Path, text: str) -> None:
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=".env-")  # with mode 0600
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
