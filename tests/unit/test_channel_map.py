"""The file of `import --channel-map`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.imports.request import read_channel_map


@pytest.mark.parametrize("name", [r"\ud800", r"\udc80", r"a\u0000b"])
def test_a_folder_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    """The database refused it after the start, with its own words."""
    path = tmp_path / "map.json"
    path.write_text(f'{{"{name}": "C1"}}')
    with pytest.raises(SettingsError, match="cannot be the name of a folder"):
        read_channel_map(path)
