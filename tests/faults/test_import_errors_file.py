"""`import --errors FILE`: what stands there stays until the import ends, and then all that is known is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.exports import export, message, run_import, write_folder
from tests.support import allow_connections
from tiger_slack_tui.errors import SettingsError
from tiger_slack_tui.history.problem_file import ProblemFile
from tiger_slack_tui.history.progress import BadRecord

FOUND = BadRecord("a/2023-11-14.json", 2, "no usable ts")


def lines(path: Path) -> list[int | None]:
    return [json.loads(line)["position"] for line in path.read_text().splitlines()]


def test_what_stands_there_stays_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "errors"
    path.write_text("of yesterday")
    path.chmod(0o640)
    file = ProblemFile(path)
    file.add(FOUND)
    assert path.read_text() == "of yesterday"
    assert file.close() is None
    assert (lines(path), path.stat().st_mode & 0o777) == ([2], 0o640)
    assert list(tmp_path.iterdir()) == [path]


async def test_all_that_the_database_knows(conninfo: str, tmp_path: Path) -> None:
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


async def test_a_database_that_is_lost_leaves_what_was_found(conninfo: str, tmp_path: Path) -> None:
    path = tmp_path / "errors"
    file = ProblemFile(path)
    file.add(FOUND)
    allow_connections(conninfo, allowed=False)
    await file.complete(conninfo, 1)
    assert "only what was found in this run" in (file.close() or "")
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


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    file = ProblemFile(link)
    file.add(FOUND)
    assert "No space left" in (file.close() or "")


@pytest.mark.parametrize("name", [".", "nowhere/errors"])
def test_a_place_that_cannot_be_written_is_told_before(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError):
        ProblemFile(tmp_path / name)
