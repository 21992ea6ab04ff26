"""An instance of the month: its engine or its process, its network, its disk, its clock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import psycopg

from tests.faults.disk import FaultyDisk
from tests.faults.month.intervals import Intervals
from tests.faults.month.scale import HEARTBEAT, LIMITS, TIMING, TOLERANCE, SteppedClock
from tests.faults.proxy import Proxy, through
from tests.support import AT_ONCE
from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.base.settings import JobSettings, Settings, SlackSettings
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.engine import Engine

ROOT = Path(__file__).parent.parent.parent.parent


def make_engine(
    slack: SlackSettings, conninfo: str, home: Path, clock: Clock | None = None
) -> Engine:
    """An engine with the month's durations."""
    settings = Settings(
        home=home,
        conninfo=conninfo,
        service_name=home.name,
        pool_min=2,
        pool_max=2,  # the same number of descriptors at all times
        spool_limit=1 << 28,
        jobs=JobSettings(backfill=False),
    )
    return Engine(
        settings,
        slack,
        conninfo,
        limits=LIMITS,
        timing=TIMING,
        heartbeat=HEARTBEAT,
        pace=AT_ONCE,
        clock=clock,
    )


class Instance:
    """It reaches Slack and the database through proxies of its own; `disk` is None for a process."""

    def __init__(
        self, slack: LocalSlack, slack_proxy: Proxy, database: Proxy, conninfo: str, home: Path
    ) -> None:
        self._slack = slack
        self.slack_proxy = slack_proxy
        self.database_proxy = database
        self._direct = conninfo
        self._conninfo = through(database, conninfo)
        self.home = home
        self.clock = SteppedClock()
        self.disk: FaultyDisk | None = None
        self.engine: Engine | None = None
        self.process: asyncio.subprocess.Process | None = None
        self._run: asyncio.Task[None] | None = None
        self._started = 0.0
        self.unsure: Intervals = []
        """The times between its last heartbeat and its end: the database does not know of its connection then."""
        self.disk_fails = False
        self.is_refusing = False
        """Whether its disk and its database fail, so that nothing takes events."""
        self._acked: int | None = None
        self.starts = 0

    @property
    def is_up(self) -> bool:
        return self._run is not None or self.process is not None

    @property
    def is_connected(self) -> bool:
        """Whether Slack has a connection to it that passes frames."""
        ours = self.slack_proxy.passing()
        return any(address in ours for address in self._slack.peers())

    async def start(self) -> None:
        self.starts += 1
        self._started = time.time()
        self.home.mkdir(exist_ok=True)
        url = self._slack.url.replace(
            str(self._slack.url.split(":")[2].partition("/")[0]), str(self.slack_proxy.port)
        )
        if self.disk is None:
            with (self.home / "log").open("ab") as log:
                self.process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tests.faults.month.process", url),
                    *(self._slack.bot_token, self._slack.app_token, self._conninfo, str(self.home)),
                    cwd=ROOT,
                    stderr=log,
                )
            return
        tokens = SlackSettings(self._slack.bot_token, self._slack.app_token, url)
        self.engine = make_engine(tokens, self._conninfo, self.home, self.clock)
        self._run = asyncio.create_task(self.engine.run(), name=f"engine {self.home.name}")

    async def end(self, *, kill: bool = True) -> None:
        """Stop the engine; kill the process, or let it stop. Raises what ended it before."""
        seen = await self._last_heartbeat()
        if self.process is not None:
            process, self.process = self.process, None
            if process.returncode is not None:
                raise self._ended_by_itself(process.returncode)
            with contextlib.suppress(ProcessLookupError):
                (process.kill if kill else process.terminate)()
            async with asyncio.timeout(30):
                code = await process.wait()
            assert kill or code == 0
        elif self._run is not None and self.engine is not None:
            run, self._run = self._run, None
            self.engine.stop()
            async with asyncio.timeout(30):
                await run
            self.engine = None
        self.unsure.append((max(seen, self._started) - TOLERANCE, time.time()))

    async def _last_heartbeat(self) -> float:
        """When it last wrote one; 0 where it never did.

        It is read, and not taken from the plan: on a busy machine the first heartbeat after an outage comes late.
        """
        async with await psycopg.AsyncConnection.connect(self._direct) as connection:
            found = await connection.execute(
                "select coalesce(extract(epoch from max(last_seen_at)), 0)::float8 from slack.instance"
                " where starts_with(instance, %s)",
                (f"{self.home.name}@",),
            )
            row = await found.fetchone()
        return row[0] if row else 0.0

    def check_alive(self) -> None:
        """Raise what ended the engine or the process by itself."""
        if self._run is not None and self._run.done():
            self._run.result()
            raise AssertionError(f"engine {self.home.name} ended by itself")
        if self.process is not None and self.process.returncode is not None:
            raise self._ended_by_itself(self.process.returncode)

    def _ended_by_itself(self, code: int) -> AssertionError:
        last = (self.home / "log").read_text().splitlines()[-1:]
        return AssertionError(f"the process ended by itself with {code}: {last}")

    def unwell(self) -> list[str]:
        """What is not yet as it should be where nothing is away."""
        now = self.engine.snapshot() if self.engine is not None else None
        return [
            *([] if self.is_up else ["is down"]),
            *([] if self.is_connected else ["is not connected"]),
            *([f"has no database: {now.database_problem}"] if now and now.database_problem else []),
            *(["has spooled events"] if list(self.home.glob("spool/*.segment")) else []),
        ]

    def has_stalled(self) -> bool:
        """Whether its disk fails, so that a slow commit stops it, or it has acknowledged nothing since then."""
        if self.engine is None:
            self._acked = None
            return False
        if self.disk_fails:
            self._acked = self.engine.snapshot().acked
        elif self._acked is not None and self.engine.snapshot().acked > self._acked:
            self._acked = None
        return self._acked is not None

    def footprint(self) -> dict[str, int]:
        """Files that it keeps, and of a process descriptors, threads and KiB of memory."""
        found = {"files": sum(len(names) for _, _, names in os.walk(self.home))}
        if self.process is not None:
            self.process.send_signal(signal.SIGUSR1)  # it collects its garbage
            proc = Path(f"/proc/{self.process.pid}")
            status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
            found |= {
                "descriptors": len(os.listdir(proc / "fd")),
                "threads": int(status["Threads"]),
                "KiB": int(status["VmRSS"].split()[0]),
            }
        return found
