"""`import --errors FILE`: an existing file stays until the import ends, and then has every problem."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.archives import export, message, run_import, write_folder
from tests.support import allow_connections
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.imports import problem_file
from tiger_slack_tui.imports.problem_file import ProblemFile
from tiger_slack_tui.store.import_account import ImportProblem

FOUND = ImportProblem("a/2023-11-14.json", 2, "no usable ts")


def lines(path: Path) -> list[int | None]:
    return [json.loads(line)["position"] for line in path.read_text().splitlines()]


def test_an_existing_file_stays_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "errors"
    path.write_text("of yesterday")
    path.chmod(0o640)
    file = ProblemFile(path)
    file.add(FOUND)
    assert path.read_text() == "of yesterday"
    assert file.close() is None
    assert (lines(path), path.stat().st_mode & 0o777) == ([2], 0o640)
    assert list(tmp_path.iterdir()) == [path]


async def test_it_gets_all_problems_in_the_database(conninfo: str, tmp_path: Path) -> None:
    archive = write_folder(
        tmp_path / "export", export({"general": {"2023-11-14": [message(0), 5, 6]}})
    )
    imported = await run_import(conninfo, archive)
    assert imported.result.import_id is not None
    path = tmp_path / "errors"
    file = ProblemFile(path)
    file.add(FOUND)
    await file.complete(conninfo, imported.result.import_id)
    assert file.close() is None
    assert lines(path) == [2, 3]


async def test_without_the_database_it_has_the_problems_of_this_run(
    conninfo: str, tmp_path: Path
) -> None:
    path = tmp_path / "errors"
    file = ProblemFile(path)
    file.add(FOUND)
    allow_connections(conninfo, allowed=False)
    await file.complete(conninfo, 1)
    assert "has only the problems of this run" in (file.close() or "")
    assert lines(path) == [2]
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("")
    link.symlink_to(target)
    file = ProblemFile(link)
    file.add(FOUND)
    assert file.close() is None
    assert link.is_symlink()
    assert lines(target) == [2]


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    file = ProblemFile(link)
    file.add(FOUND)
    assert "No space left" in (file.close() or "")


def test_a_pipe_of_a_shell(tmp_path: Path) -> None:
    """>(jq …) is a path such as /dev/fd/63, whose real path is not a file."""
    reading, writing = os.pipe()
    try:
        file = ProblemFile(Path(f"/dev/fd/{writing}"))
        file.add(FOUND)
        assert file.close() is None
        assert json.loads(os.read(reading, 1000))["position"] == 2
    finally:
        os.close(reading)
        os.close(writing)


def test_the_file_of_our_own_output_is_not_replaced(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tiger_slack_tui.imports.problem_file import *;"
        "f = ProblemFile(Path('/dev/stdout')); f.add(ImportProblem('a', 2, 'why')); f.close(); print('later')"
    )
    path = tmp_path / "output"
    with path.open("w") as output:
        subprocess.run([sys.executable, "-c", code], stdout=output, check=True)
    first, second = path.read_text().splitlines()
    assert (json.loads(first)["position"], second) == (2, "later")


async def test_a_full_disk_keeps_the_existing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "errors"
    path.write_text("of yesterday")
    file = ProblemFile(path)
    monkeypatch.setattr(problem_file, "write_problems", fill)
    await file.complete("", 1)
    assert "No space left" in (file.close() or "")
    assert path.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    file = ProblemFile(tmp_path / "errors")
    file.add(FOUND)
    assert list(tmp_path.iterdir()) == []
    assert file.close() is None


def test_a_directory_leaves_no_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(SettingsError, match="Is a directory"):
        ProblemFile(tmp_path)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("name", [".", "nowhere/errors"])
def test_a_path_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError):
        ProblemFile(tmp_path / name)
