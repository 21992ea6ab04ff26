"""One instance of the month as a process of its own, to be killed.

python -m tests.faults.month.process URL BOT_TOKEN APP_TOKEN CONNINFO HOME
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from pathlib import Path

from tests.faults.month.instance import make_engine
from tiger_slack_tui.base.log_setup import log_to_stderr
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.headless.run import run_headless

if __name__ == "__main__":
    # What only waits for the collector is not left over; the world collects its own garbage before it counts, too.
    signal.signal(signal.SIGUSR1, lambda *_: gc.collect())
    url, bot_token, app_token, conninfo, home = sys.argv[1:]
    log_to_stderr(Settings(home=Path(home), conninfo=conninfo))
    engine = make_engine(SlackSettings(bot_token, app_token, url), conninfo, Path(home))
    asyncio.run(run_headless(engine))
