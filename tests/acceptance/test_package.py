"""The packages that are built: they hold all that the program reads, and tell which commit they are from."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tiger_slack_tui import __version__

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789ab"


def build(source: Path, kind: str, target: Path, **environ: str) -> Path:
    """Build a wheel or an sdist of the source tree."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target],
        cwd=source,
        env=os.environ | environ,
        check=True,
        capture_output=True,
    )
    (path,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return path


def in_wheel(wheel: Path, place: Path, code: str) -> str:
    """What the code prints where only the wheel's files stand in for the program."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)  # noqa: S202 our own
    # -P and the first path: not the checkout's package.
    code = f"import sys; sys.path.insert(0, {str(place)!r}); {code}"
    return subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=place, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_wheel_from_a_source_package_has_everything(tmp_path: Path) -> None:
    sdist = build(ROOT, "sdist", tmp_path, TIGER_SLACK_COMMIT=COMMIT)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source")  # noqa: S202 our own
    (source,) = (tmp_path / "source").iterdir()
    wheel = build(source, "wheel", tmp_path)
    said = in_wheel(
        wheel,
        tmp_path / "installed",
        "from tiger_slack_tui.base.build import version_text;"
        "from tiger_slack_tui.postgres.migrate.files import shipped_migrations;"
        "from tiger_slack_tui.setup.app_link import create_app_link;"
        "print(version_text(), len(shipped_migrations()), len(create_app_link()) > 1000, sep='|')",
    )
    files = len(list((ROOT / "migrations").glob("*/*.sql")))
    assert said == f"{__version__} (commit {COMMIT})|{files}|True"
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.startswith(("tests", "scripts"))]
