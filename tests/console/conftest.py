"""Goldens: screens as text files, compared line by line. `pytest --update-goldens` writes them anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "golden"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a screen with the golden of that name."""

    def compare(name: str, shown: str) -> None:
        path = HERE / f"{name}.txt"
        if request.config.getoption("--update-goldens"):
            path.write_text(shown, "utf-8")
        assert shown == path.read_text("utf-8")

    return compare
