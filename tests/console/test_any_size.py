"""Every key of every view and dialog, at any size of the terminal: nothing raises, nothing hangs, acks go on."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.keys import key_to_character
from textual.widgets import Input

from tests.console.canned import NOW, VIEW_KEYS, CannedBackend, database_state, screen_text, shows
from tests.console.imports import Clock, half, past, whole
from tests.console.test_triage import FINDINGS
from tests.support import SCALE
from tiger_slack_tui.console.actions import VIEWS
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.model.findings import StoredFindings
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.screens.dialog import Confirm

pytestmark = pytest.mark.slow

SIZES = [(1, 1), (2, 2), (3, 50), (5, 4), (20, 5), (59, 14), (59, 60), (200, 3), (60, 15), (61, 16),
         (80, 24), (119, 35), (120, 36), (160, 48), (200, 60)]  # fmt: skip
KEYS = sorted({key for action in ConsoleApp.ACTIONS.values() for key in action.keys.split(",")})
IN_DIALOGS = (
    "escape",
    "down",
    "pagedown",
    "tab",
    "a",
    "f5",
    "ctrl+t",
    "T",
    "D",
    "G",
    "backspace",
    "left",
    "y",
)


class Acks:
    """What must go on beside the screen."""

    def __init__(self) -> None:
        self.number = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self.number += 1


def backend_of(home: Path) -> CannedBackend:
    known = replace(database_state(), imports=past(), discard_rules=3)
    backend = CannedBackend(
        home, database=known, stored_findings=StoredFindings(FINDINGS, NOW, None)
    )
    backend.imports.check = half(Clock())
    return backend


async def press(app: ConsoleApp, key: str) -> None:
    """Press it, unless that would leave; what it does may still be under way."""
    if isinstance(app.screen, Confirm) and key in ("y", "q", "ctrl+q", "ctrl+c", "enter"):
        key = "escape"
    app.post_message(events.Key(key, key_to_character(key)))
    for _ in range(20):
        await asyncio.sleep(0)


async def leave(app: ConsoleApp) -> None:
    """Out of every dialog and field."""
    async with asyncio.timeout(60):
        while len(app.screen_stack) > 1 or isinstance(app.focused, Input):
            await press(app, "escape")
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "size",
    [(1, 1), (60, 15)],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
async def test_every_key_of_every_view(tmp_path: Path, size: tuple[int, int]) -> None:
    app = ConsoleApp(backend_of(tmp_path), ConsoleOptions())
    acks = Acks()
    async with app.run_test(size=size, notifications=True) as pilot:
        going = asyncio.create_task(acks.run())
        for number, (name, view) in enumerate(zip(VIEWS, VIEW_KEYS, strict=True)):
            own = [one for one in ConsoleApp.ACTIONS.values() if one.view == name]
            shared = [one for one in ConsoleApp.ACTIONS.values() if one.view is None]
            if SCALE == 1:  # each shared action in two views
                shared = [one for at, one in enumerate(shared) if (at - number) % len(VIEWS) < 2]
            actions = [one for one in (*own, *shared) if not one.id.startswith("view.")]
            for key in sorted({key for one in actions for key in one.keys.split(",")}):
                await press(app, view)
                await press(app, key)
                if len(app.screen_stack) > 1:
                    for other in IN_DIALOGS[1:5]:
                        await press(app, other)
                await leave(app)
        before = acks.number
        await pilot.pause(0.05)
        assert acks.number > before
        assert app.return_code is None
        going.cancel()


@pytest.mark.parametrize("seed", range(SCALE))
async def test_keys_and_resizes_at_random(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    backend = backend_of(tmp_path)
    app = ConsoleApp(backend, ConsoleOptions())
    acks = Acks()
    async with app.run_test(size=chance.choice(SIZES), notifications=True) as pilot:
        going = asyncio.create_task(acks.run())
        for number in range(200):
            if chance.random() < 0.15:
                size = chance.choice([*SIZES, (chance.randint(1, 200), chance.randint(1, 60))])
                await pilot.resize_terminal(*size)
            if number == 80:
                backend.imports.run = half(Clock())
            if number == 150:
                backend.imports.run = whole(Clock())
            await press(app, chance.choice([*KEYS, *VIEW_KEYS, *IN_DIALOGS]))
        await leave(app)
        await pilot.resize_terminal(80, 24)
        await press(app, "1")
        await shows(app, "by type")
        going.cancel()


async def test_a_key_of_a_view_that_is_not_shown_does_nothing(tmp_path: Path) -> None:
    backend = backend_of(tmp_path)
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=(59, 14)) as pilot:
        for view in VIEW_KEYS[1:]:
            await pilot.press(view)
            for key in ("enter", "slash", "z", "space", "n", "R", "e", "Y"):
                await pilot.press(key)
                assert len(app.screen_stack) == 1, (view, key)
        assert not list(tmp_path.glob("*.txt"))
        assert "FROZEN" not in screen_text(app)
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.3)
        await pilot.press("5", "enter")
        assert len(app.screen_stack) == 2
