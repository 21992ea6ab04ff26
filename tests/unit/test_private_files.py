"""Files for the owner of the process alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiger_slack_tui.base import private_files


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_files_of_one_second_have_names_of_their_own(tmp_path: Path) -> None:
    paths = []
    for _ in range(3):
        path, file = private_files.create(tmp_path / "reports", "import-1", ".json")
        file.close()
        paths.append(path)
    assert len(set(paths)) == 3
    assert {mode(path) for path in paths} == {0o600}
    assert mode(tmp_path / "reports") == 0o700


def test_a_file_that_is_written_again_is_closed_to_others_and_no_link_is_followed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "map.json"
    path.write_text("longer than what comes")
    path.chmod(0o644)
    private_files.write(path, "{}")
    assert (path.read_text(), mode(path), mode(tmp_path)) == ("{}", 0o600, 0o700)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(OSError, match="symbolic"):
        private_files.write(link, "x")
    assert path.read_text() == "{}"
