"""Makes README's pictures from the real console: python scripts/screenshots.py"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from pathlib import Path

from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.model.findings_reader import FindingsReader
from tiger_slack_tui.console.model.log_ring import LogRing
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.manager import ImportManager
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres

TARGET = Path(__file__).parent.parent / "docs"
_SECONDS = 40
_RATE = 60
_SETTLED_SECONDS = 2
"""A view shows what it has read by then."""


async def pictures(conninfo: str, home: Path, size: tuple[int, int]) -> dict[str, str]:
    """Pictures of the views by name, as SVG, with a console of this size while events arrive."""
    shots = {}
    async with LocalSlack() as slack:
        tokens = SlackSettings(slack.bot_token, slack.app_token, slack.url)
        settings = Settings(home=home, conninfo=conninfo)
        engine = Engine(settings, tokens, conninfo)
        monitor = Monitor(conninfo, settings.jobs)
        reader = FindingsReader(conninfo)
        imports = ImportManager(
            conninfo,
            instance=settings.instance,
            limits=ArchiveLimits(settings.imports.ratio, settings.imports.total_bytes),
            reports=home / "imports",
            reason_to_wait=lambda _: None,
        )
        backend = Backend(settings, conninfo, monitor, LogRing(), reader, imports, engine)
        app = ConsoleApp(backend, ConsoleOptions(), engine_work=engine.run())
        watching = [asyncio.create_task(work) for work in (monitor.run(), reader.run())]
        async with app.run_test(size=size) as pilot:
            await slack.wait_connected()
            for payload in Workspace(1, time.time(), _RATE).events(_SECONDS * _RATE):
                await slack.send(payload)
                await pilot.pause(1 / _RATE)
            for keys, name in (
                (("2",), "jobs"),
                (("3",), "triage"),
                (("6", "slash", *"invoice has:thread", "enter"), "messages"),
                (("1",), "console"),
            ):
                await pilot.press(*keys)
                await pilot.pause(_SETTLED_SECONDS)
                shots[name] = app.export_screenshot(title="tiger-slack")
            await pilot.press("q", "y")
            while app.return_code is None:
                await pilot.pause(0.1)
        for task in watching:
            task.cancel()
    return shots


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedPostgres.start(Path(directory)) as server,
    ):
        shots = asyncio.run(pictures(server.conninfo, Path(directory) / "home", (100, 28)))
    for name, shot in shots.items():
        # Without this, README's readers would fetch fonts from another host.
        shot = re.sub(r"@font-face \{.*?\}\n?", "", shot, flags=re.DOTALL)
        (TARGET / f"{name}.svg").write_text(shot)


if __name__ == "__main__":
    main()
