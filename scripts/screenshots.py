"""Makes README's picture from the real console: python scripts/screenshots.py"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from pathlib import Path

from tiger_slack_tui.console.app import Console
from tiger_slack_tui.database.embedded import EmbeddedPostgres
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.settings import Settings, SlackSettings

TARGET = Path(__file__).parent.parent / "docs"


async def picture(conninfo: str, home: Path, size: tuple[int, int]) -> str:
    """The console of that size, as SVG, while events come in."""
    async with LocalSlack() as slack:
        tokens = SlackSettings(slack.bot_token, slack.app_token, slack.url)
        settings = Settings(home=home, conninfo=conninfo)
        console = Console(lambda: Engine(settings, tokens, conninfo))
        async with console.run_test(size=size) as pilot:
            await slack.wait_connected()
            for payload in Workspace(1, time.time(), 60).events(240):
                await slack.send(payload)
                await pilot.pause(1 / 60)
            await pilot.pause(0.5)
            shot = console.export_screenshot(title="tiger-slack")
            await pilot.press("q")
    # Fonts of the reader's machine do; none is fetched to show a README.
    return re.sub(r"@font-face \{.*?\}\n?", "", shot, flags=re.DOTALL)


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedPostgres.start(Path(directory)) as server,
    ):
        shot = asyncio.run(picture(server.conninfo, Path(directory) / "home", (100, 28)))
    (TARGET / "console.svg").write_text(shot)


if __name__ == "__main__":
    main()
