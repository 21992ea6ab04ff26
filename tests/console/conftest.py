"""Goldens: screens as text files, compared line by line. `pytest --update-goldens` writes them again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot

from tests.console.canned import screen_text

HERE = Path(__file__).resolve().parent / "golden"
_SETTLED_SECONDS = 1.0
"""A screen that is written to a golden has been refreshed a few times by then."""
_STAYS_SECONDS = 0.6
"""Longer than the console's pause between two refreshes."""
_LONGEST_SECONDS = 60.0

SIZES = (80, 24), (160, 48)
Golden = Callable[[str, App[None]], Awaitable[None]]
Pictures = Callable[[str, App[None], Pilot[None]], Awaitable[None]]


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports go to the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Wait until the screen is the golden of that name, and stays it; fail with the difference after a minute."""

    async def compare(name: str, app: App[None]) -> None:
        path = HERE / f"{name}.txt"
        if request.config.getoption("--update-goldens"):
            await asyncio.sleep(_SETTLED_SECONDS)
            path.write_text(screen_text(app), "utf-8")
        expected = path.read_text("utf-8")
        deadline = time.monotonic() + _LONGEST_SECONDS
        while time.monotonic() < deadline:
            if screen_text(app) == expected:
                await asyncio.sleep(_STAYS_SECONDS)
                if screen_text(app) == expected:
                    return
            await asyncio.sleep(0.1)
        assert screen_text(app) == expected

    return compare


@pytest.fixture
def pictures(golden: Golden) -> Pictures:
    """Compare the screen with the goldens of that name at both sizes, the smaller first."""

    async def compare(name: str, app: App[None], pilot: Pilot[None]) -> None:
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await golden(f"{name}-{width}x{height}", app)

    return compare
