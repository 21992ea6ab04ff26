"""Runs the engine with its console, and measures the lag of the event loop.

    python benchmarks/lag_probe.py FILE

The settings come from the environment, as for `tiger-slack run`. At the end it writes to FILE, as JSON, lag_ms_p50,
lag_ms_p99 and lag_ms_max.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.log_setup import log_to_file
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.session import run_console
from tiger_slack_tui.engine import Engine

lags: list[float] = []
kept: list[asyncio.Task[None]] = []


async def watch() -> None:
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(0.005)
        lags.append(time.perf_counter() - begun - 0.005)


def main(target: Path) -> None:
    loaded, slack = settings.load_with_slack()
    assert loaded.conninfo is not None
    conninfo = loaded.conninfo
    log_to_file(loaded)

    def make_engine() -> Engine:
        kept.append(asyncio.get_running_loop().create_task(watch()))
        return Engine(loaded, slack, conninfo)

    run_console(loaded, conninfo, ConsoleOptions(), make_engine)
    ordered = sorted(lags)
    names = {"lag_ms_p50": 0.5, "lag_ms_p99": 0.99, "lag_ms_max": 1.0}
    last = len(ordered) - 1
    figures = {name: ordered[int(last * at)] * 1000 for name, at in names.items()}
    target.write_text(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
