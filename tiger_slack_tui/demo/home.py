"""The directory of a demo: a temporary one that is removed at the end, or one that the operator keeps."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.own_command import own_command
from tiger_slack_tui.base.settings import SlackSettings
from tiger_slack_tui.postgres.embedded.server import is_supervised

_PREFIX = "tiger-slack-demo-"
_LOCK = "demo.lock"
"""The file that a demo holds locked in its directory. The kernel unlocks it when the demo ends, however it ends."""

_ABOUT = """\
# Settings of a demo, for tiger-slack commands that are started in this directory, such as observe and search.
# The local Slack ends with the demo. To ingest your own workspace, use another directory."""


@contextmanager
def demo_home(keep: Path | None) -> Iterator[Path]:
    """The directory of the database, the spool, the log and the console's settings, as long as the block runs.

    Without `keep` it is temporary, and directories of demos that were killed are removed first. Raises SettingsError
    if `keep` has something in it: a demo begins with an empty database, so that its tables can be checked.
    """
    if keep is not None:
        yield _make(keep)
        return
    remove_killed(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        lock = os.open(Path(name) / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield Path(name)
        finally:
            os.close(lock)


def write_settings(home: Path, slack: SlackSettings) -> None:
    """Write the file .env, with which commands started in `home` use the demo's data. Raises SettingsError."""
    values = {
        "TIGER_SLACK_HOME": str(home),
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
    }
    quoted = {
        name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in values.items()
    }
    lines = [_ABOUT, *(f"{name}='{value}'" for name, value in quoted.items())]
    try:
        file = os.open(home / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as opened:
            opened.write("\n".join(lines) + "\n")
    except OSError as error:
        raise SettingsError(f"--keep: {home}/.env cannot be written: {error.strerror}.") from None


def remove_killed(place: Path) -> None:
    """Remove the directories of demos that were killed, once their servers have ended."""
    for home in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it belongs to somebody else, or its demo has just ended
            lock = os.open(home / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _is_served(home):
                    shutil.rmtree(home)
            finally:
                os.close(lock)


def _is_served(home: Path) -> bool:
    """Whether the demo's PostgreSQL still runs: it ends soon after its demo."""
    return (home / "postgres").exists() and is_supervised(home / "postgres")


def _make(keep: Path) -> Path:
    home = keep.expanduser().absolute()
    try:
        home.mkdir(
            parents=True, exist_ok=True, mode=0o711
        )  # the server's user may have to enter it
        has_something = any(home.iterdir())
    except OSError as error:
        raise SettingsError(f"--keep: {home} cannot be used: {error.strerror}.") from None
    if has_something:
        raise SettingsError(
            f"--keep: {home} is not empty, and a demo begins with an empty database.",
            hint=f"Name a new directory. To look at what it has: TIGER_SLACK_HOME={home} {own_command()} observe",
        )
    return home
