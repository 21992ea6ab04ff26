"""Puts the commit that a package is built from into it, for `tiger-slack --version`."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_TARGET = "tiger_slack_tui/commit.txt"


class CommitHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds commit.txt: $TIGER_SLACK_COMMIT, or what git says. A source package has the file already."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or Path(self.root, _TARGET).exists():
            return
        if commit := os.environ.get("TIGER_SLACK_COMMIT") or self._commit():
            self._file = tempfile.NamedTemporaryFile("w", suffix=".txt")  # noqa: SIM115 until finalize
            self._file.write(commit)
            self._file.flush()
            build_data["force_include"][self._file.name] = _TARGET

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if file := getattr(self, "_file", None):
            file.close()

    def _commit(self) -> str:
        command = ["git", "rev-parse", "--short=12", "HEAD"]
        try:
            found = subprocess.run(command, cwd=self.root, capture_output=True, text=True)
        except OSError:  # there is no git
            return ""
        return found.stdout.strip()
