"""scripts/dev: in which directory it runs a command. The notes of a release."""

import subprocess
from pathlib import Path

import pytest

from scripts.release_notes import release_notes

DEV = Path(__file__).parents[2] / "scripts" / "dev"


@pytest.mark.parametrize(("command", "is_callers"), [("tiger-slack", True), ("pytest", False)])
def test_only_the_program_runs_in_the_callers_directory(
    tmp_path: Path, command: str, is_callers: bool
) -> None:
    """The program reads .env there. The checkout here is an imitation, whose environment is up to date."""
    checkout, caller = tmp_path / "checkout", tmp_path / "caller"
    for place in ("scripts", "requirements", ".dev/bin", ".venv/bin", "tiger_slack_tui"):
        (checkout / place).mkdir(parents=True)
    caller.mkdir()
    for name in ("requirements/uv.txt", ".dev/uv.txt", "requirements/dev.txt", "pyproject.toml"):
        (checkout / name).touch()
    (checkout / "tiger_slack_tui/__init__.py").touch()
    (checkout / "scripts/dev").write_bytes(DEV.read_bytes())
    digest = subprocess.run(["cksum"], input=DEV.read_bytes(), capture_output=True).stdout
    (checkout / ".venv/.synced").write_bytes(digest.strip())
    program = checkout / ".venv/bin" / command
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    said = subprocess.run(
        ["sh", "../checkout/scripts/dev", command], cwd=caller, capture_output=True, text=True
    )
    assert said.stdout.strip() == str(caller if is_callers else checkout), said.stderr


def test_release_notes() -> None:
    changelog = (DEV.parents[1] / "CHANGELOG.md").read_text()
    notes = release_notes("v0.3.0", "0.3.0", changelog)
    assert notes.startswith("### Added\n")
    assert "## [" not in notes
    for tag, version, reason in (
        ("v0.3.1", "0.3.0", "has version 0.3.0"),
        ("v99.0.0", "99.0.0", "no section"),
    ):
        with pytest.raises(ValueError, match=reason):
            release_notes(tag, version, changelog)
