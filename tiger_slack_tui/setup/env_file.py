"""Writes settings to .env without losing what else it holds."""

from __future__ import annotations

import errno
import io
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream

from tiger_slack_tui.base.errors import SettingsError

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=?&~-]+")
"""Values that need no quotes."""
_BINDING = re.compile(
    r"""
    (?P<before>\s*(?:export\s+)?)            # empty lines before it belong to it
    [^=]+=
    (?:[^\S\r\n]*(?:'(?:\\'|[^'])*'|"(?:\\"|[^"])*")(?P<after>[^\S\r\n]*\#[^\r\n]*)?
      |[^\r\n]*?(?P<comment>[^\S\r\n]+\#[^\r\n]*)?
    )
    \s*
    """,
    re.VERBOSE,
)
"""A setting in the file, with the comment after its value."""


def write_settings(path: Path, values: Mapping[str, str | None]) -> None:
    """Set the values in the file, and remove those that are None; a missing file is made.

    All else stays as it is, also a comment after a value. Only the owner can read the file afterwards (mode 0600).
    The new file takes the place of the old one at once, so that a crash leaves one of the two. Blocks. Raises
    SettingsError.
    """
    require_writable(path)
    target = path.resolve()  # a link keeps leading to the file
    try:
        text = ""
        if target.exists():
            with target.open(
                encoding="utf-8-sig", newline=""
            ) as file:  # ends of lines stay as they are
                text = file.read()
        _replace(target, _changed(text, values))
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8.", hint="Fix it, or move it away.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from None


def require_writable(path: Path) -> None:
    """Raise SettingsError if the file cannot be made or replaced, so that nobody answers questions in vain."""
    try:
        target = path.resolve()
        exists, is_file = target.exists(), target.is_file()
    except (OSError, RuntimeError):
        raise SettingsError(f"{path} is a link to itself.", hint="Remove it.") from None
    if exists and not is_file:
        kind = "a directory" if target.is_dir() else "not a file"
        raise SettingsError(f"{path} is {kind}.", hint="Move it away.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise SettingsError(
            f"The directory {target.parent} cannot be written to, or does not exist.",
            hint="Start it in a directory that you can write to.",
        )


def _changed(text: str, values: Mapping[str, str | None]) -> str:
    """The text with the values: in place of the first one of that name, or at the end."""
    left, end = dict(values), "\r\n" if "\r\n" in text else "\n"
    parts = []
    for binding in parse_stream(io.StringIO(text)):  # a value in quotes can have several lines
        name, written = binding.key or "", binding.original.string
        if name not in values:
            parts.append(written)
        elif name in left and (value := left.pop(name)) is not None:
            before, comment = _around(written)
            parts.append(f"{before}{_setting(name, value)}{comment}{end}")
    new = [f"{_setting(name, value)}{end}" for name, value in left.items() if value is not None]
    if new and parts and not parts[-1].endswith("\n"):
        parts.append(end)
    return "".join([*parts, *new])


def _around(written: str) -> tuple[str, str]:
    """What stands before the name of a setting, and the comment after its value."""
    match = _BINDING.fullmatch(written)
    if match is None:
        return "", ""
    comment = match["after"] or match["comment"] or ""
    return match["before"], comment if comment[:1].isspace() or not comment else f" {comment}"


def _setting(name: str, value: str) -> str:
    """The setting as python-dotenv reads it. Raises SettingsError for a value that .env cannot hold."""
    if "${" in value:
        raise SettingsError(
            f"{name} contains ${{, which a file .env replaces.",
            hint="Set it in the environment, or write $ as %24 in a URL.",
        )
    if _PLAIN.fullmatch(value):
        return f"{name}={value}"
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{quoted}'"


def _replace(path: Path, text: str) -> None:
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=".env-")  # with mode 0600
    try:
        with os.fdopen(fd, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0 and path.exists():
            os.chown(name, path.stat().st_uid, path.stat().st_gid)
        os.replace(name, path)
    except BaseException as error:
        os.unlink(name)
        if not (isinstance(error, OSError) and error.errno == errno.EBUSY):
            raise
        path.write_text(
            text, encoding="utf-8", newline=""
        )  # a file that is mounted cannot be replaced
