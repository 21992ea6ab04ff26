"""The console, driven as an operator would, over the real engine."""

import asyncio
from pathlib import Path

import pytest
from textual.widgets import Static

from tests.support import allow_connections, make_engine, until
from tiger_slack_tui.console.app import Console
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.errors import SlackRefused
from tiger_slack_tui.text import safe


def shown(console: Console, part: str) -> str:
    return str(console.query_one(f"#{part}", Static).visual)


@pytest.mark.parametrize("size", [(80, 24), (160, 48), (20, 5)])
async def test_shows_what_the_engine_does_and_stops_it(
    conninfo: str, tmp_path: Path, size: tuple[int, int]
) -> None:
    async with LocalSlack() as slack:
        engines: list[Engine] = []

        def make() -> Engine:
            engines.append(make_engine(slack, conninfo, tmp_path))
            return engines[0]

        console = Console(make)
        async with console.run_test(size=size) as pilot:
            await slack.wait_connected()
            await slack.send_all(Workspace(1, 1.7e9, 100, nasty=True).events(200))
            await asyncio.wait_for(slack.wait_acked(), 30)
            await until(lambda: "200 acknowledged" in shown(console, "numbers"))
            assert "connected" in shown(console, "state")
            assert "message" in shown(console, "recent")
            allow_connections(conninfo, allowed=False)
            await slack.send_all(Workspace(2, 1.7e9, 100).events(50))
            await until(lambda: "50 events wait" in shown(console, "state"))
            allow_connections(conninfo, allowed=True)
            await until(lambda: "empty" in shown(console, "state"))
            await pilot.press("q")
            await until(lambda: console.return_code == 0)
        assert console.failure is None
        assert engines[0].snapshot().slack_status == "stopped"
        assert engines[0].snapshot().acked == 250


async def test_an_engine_that_cannot_start_ends_the_console_with_its_reason(
    conninfo: str, tmp_path: Path
) -> None:
    async with LocalSlack() as slack:
        engine = make_engine(slack, conninfo, tmp_path)
        slack.bot_token = "xoxb-another"
        console = Console(lambda: engine)
        async with console.run_test():
            await until(lambda: console.return_code == 1)
        assert isinstance(console.failure, SlackRefused)


@pytest.mark.parametrize(
    ("text", "most", "result"),
    [
        ("plain", 10, "plain"),
        ("too long for it", 8, "too lon…"),
        ("\x1b[31m\x07", 10, "␛[31m␇"),
        ("\x9b2J\x7f", 10, "\ufffd2J␡"),
        ("a\u202eb\u200bc\ud800d\u0301", 10, "a\ufffdb\ufffdc\ufffdd\ufffd"),
        ("日本", 10, "\ufffd\ufffd"),
        ("[red]x[/]", 10, "[red]x[/]"),
        ("a\nb\tc", 10, "a␊b␉c"),
    ],
)
def test_text_of_others_is_made_safe(text: str, most: int, result: str) -> None:
    assert safe(text, most) == result
