"""Measures the console. Compare ratios of one run: absolute figures depend on the machine.

    python benchmarks/console.py first       time until the first frame
    python benchmarks/console.py idle        CPU time, and bytes to the terminal, without events
    python benchmarks/console.py load        the same at 100 events/s and 80x24, and CPU time with --no-ui
    python benchmarks/console.py keys        time from a key to the view that it shows, with an import; lag
    python benchmarks/console.py speed       events/s with the console, and with --no-ui
    python benchmarks/console.py lag         lag of the event loop in each view, with 100,000 rows and keys pressed
    python benchmarks/console.py stall       events/s before and while the terminal reads nothing for 30 s

The console runs in a pty that this process reads. sender.py sends the events. The database is the embedded
PostgreSQL, with fsync and synchronous_commit on.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent))

from export import Size, write_export
from ingest import place

from tests.console.canned import NOW
from tests.console.terminal import Terminal, at_terminal
from tests.console.test_loop_lag import (
    LargeBackend,
    findings,
    large_import,
    with_pages,
    without_earlier_objects,
)
from tests.support import until
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.model.findings import StoredFindings
from tiger_slack_tui.console.options import ConsoleOptions

HERE = Path(__file__).parent


class Bench:
    """A console at a terminal, its sender, and its database."""

    def __init__(self, terminal: Terminal, sender: subprocess.Popen[str], conninfo: str) -> None:
        self.terminal = terminal
        self.sender = sender
        self.asked = psycopg.connect(conninfo, autocommit=True)
        self.lag: Path | None = None

    def cpu_seconds(self) -> float:
        """Seconds of CPU time that the program has used so far."""
        stat = Path(f"/proc/{self.terminal.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stored(self) -> int:
        row = self.asked.execute("select count(*) from slack.event").fetchone()
        return int(row[0]) if row else 0

    def is_importing(self) -> bool:
        """Whether an import runs."""
        row = self.asked.execute("select count(*) from slack.import where outcome is null")
        return row.fetchone() != (0,)

    async def measured(self) -> dict[str, Any]:
        """What the sender measured, after every event is acknowledged."""
        assert self.sender.stdout is not None
        result: dict[str, Any] = json.loads(await asyncio.to_thread(self.sender.stdout.readline))
        return result

    async def quit(self) -> dict[str, float]:
        """Stop the program, and return the lag of its event loop."""
        self.terminal.process.terminate()
        await asyncio.wait_for(self.terminal.process.wait(), 30)
        assert self.lag is not None
        lag: dict[str, float] = json.loads(self.lag.read_text())
        return lag


@asynccontextmanager
async def running(
    events: int,
    rate: float,
    *,
    face: str = "ui",
    size: tuple[int, int] = (80, 24),
    probed: bool = False,
) -> AsyncIterator[Bench]:
    """The program, connected to a sender of this many events."""
    with place() as (home, conninfo):
        command = [sys.executable, str(HERE / "sender.py"), str(events), str(rate), "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
            assert sender.stdout is not None
            environ = {
                "PATH": os.environ["PATH"],
                "DATABASE_URL": conninfo,
                "TIGER_SLACK_HOME": str(home),
                "SLACK_BOT_TOKEN": "xoxb-1",
                "SLACK_APP_TOKEN": "xapp-1",
                "SLACK_API_URL": json.loads(sender.stdout.readline())["url"],
            }
            lag = home / "lag.json"
            program = ("-m", "tiger_slack_tui", "run", *(() if face == "ui" else ("--no-ui",)))
            if probed:
                program = (str(HERE / "lag_probe.py"), str(lag))
            async with at_terminal(program, environ, home / "work", size) as terminal:
                bench = Bench(terminal, sender, conninfo)
                bench.lag = lag
                if face == "ui":
                    await terminal.shows("LIVE")
                try:
                    yield bench
                finally:
                    bench.asked.close()
                    sender.kill()


async def first() -> None:
    took = []
    for _ in range(5):
        with place() as (home, _), tempfile.TemporaryDirectory() as work:
            environ = {"PATH": os.environ["PATH"], "TIGER_SLACK_HOME": str(home)}
            environ |= {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}
            environ |= {
                "DATABASE_URL": "host=127.0.0.1 port=9",
                "SLACK_API_URL": "http://127.0.0.1:9/",
            }
            begun = time.perf_counter()
            program = ("-m", "tiger_slack_tui", "run")
            async with at_terminal(program, environ, Path(work)) as terminal:
                await terminal.shows("events/s")
                took.append(terminal.arrivals[-1][0] - begun)
                terminal.process.kill()
    print(f"first frame after {statistics.median(took):.2f} s (target: 1)")


async def idle() -> None:
    async with running(2, 0.001) as bench:
        await asyncio.sleep(8)
        used, written, begun = bench.cpu_seconds(), len(bench.terminal.raw), time.perf_counter()
        await asyncio.sleep(20)
        took = time.perf_counter() - begun
        share = (bench.cpu_seconds() - used) / took
        rate = (len(bench.terminal.raw) - written) / took
    print(f"idle: {share:.1%} of a core (target: 3 %), {rate / 1000:.2f} kB/s (target: 2)")


async def load(rate: float = 100) -> None:
    shares = {}
    for face in ("no-ui", "ui"):
        async with running(int(rate * 40), rate, face=face) as bench:
            await asyncio.sleep(8)
            used, written, begun = bench.cpu_seconds(), len(bench.terminal.raw), time.perf_counter()
            await asyncio.sleep(20)
            took = time.perf_counter() - begun
            shares[face] = (bench.cpu_seconds() - used) / took
            bytes_a_second = (len(bench.terminal.raw) - written) / took
    share = shares["ui"] - shares["no-ui"]
    print(
        f"at {rate:,.0f} events/s and 80x24: {shares['ui']:.1%} of a core, {shares['no-ui']:.1%} without"
    )
    print(
        f"the console: {share:.1%} of a core (target: 10 %), {bytes_a_second / 1000:.1f} kB/s (target: 20)"
    )


async def keys(rate: float = 1000) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write_export(Path(directory), Size(200_000, 8000))
        async with running(int(rate * 120), rate, probed=True) as bench:
            await asyncio.sleep(5)
            await start_import(bench.terminal, directory)
            await until(bench.is_importing)
            pressed: list[tuple[float, str]] = []
            while bench.is_importing():
                key = "251"[len(pressed) % 3]
                pressed.append((time.perf_counter(), key))
                bench.terminal.press(key)
                await asyncio.sleep(0.3)
            lag = await bench.quit()
            took = answers(bench.terminal, pressed)
    p50, p99 = (took[int(len(took) * at)] * 1000 for at in (0.5, 0.99))
    print(
        f"{len(took)} keys at {rate:,.0f} events/s with an import: p50 {p50:.0f} ms, p99 {p99:.0f} ms (target: 100)"
    )
    print(
        f"lag of the event loop: p99 {lag['lag_ms_p99']:.1f} ms (target: 50), maximum {lag['lag_ms_max']:.0f} ms"
    )


async def start_import(terminal: Terminal, directory: str) -> None:
    """Start an import in the wizard: type the path, skip the check, confirm."""
    for keys, answer in (
        ("4", "New path"),
        ("n", "Accept"),
        (f"{directory}\r", "Enter Options"),
        ("\r", "Enter changes"),
        ("I", "Import this archive?"),
        ("y", "Pause"),
    ):
        terminal.press(keys)
        await terminal.shows(answer)


def answers(terminal: Terminal, pressed: list[tuple[float, str]]) -> list[float]:
    """Seconds from each key to the arrival of the view that it shows, the shortest first.

    The screen is drawn afterwards, from the recorded bytes: drawing it meanwhile would slow down the program.
    """
    titles = {"1": "[1 Overview", "2": "[2 Jobs", "5": "[5 Log"}
    took = []
    for at, key in pressed:
        later = (arrival for arrival in terminal.arrivals if arrival[0] > at)
        shown = next(when for when, end in later if titles[key] in terminal.text_at(end))
        took.append(shown - at)
    return sorted(took)


async def speed() -> None:
    ratios = []
    for _ in range(3):
        rates = {}
        for face in ("no-ui", "ui"):
            async with running(60_000, 0, face=face) as bench:
                rates[face] = (await bench.measured())["per_second"]
        ratios.append(rates["ui"] / rates["no-ui"])
        print(
            f"  {rates['ui']:,.0f} events/s with the console, {rates['no-ui']:,.0f} without: {ratios[-1]:.0%}"
        )
    print(f"with the console: {statistics.median(ratios):.0%} of the speed without (target: 90 %)")


async def stall() -> None:
    async with running(2_000_000, 0, size=(160, 48)) as bench:
        await asyncio.sleep(5)
        rates = []
        for is_stalled in (False, True):
            if is_stalled:
                bench.terminal.stall()
            before, begun = bench.stored(), time.perf_counter()
            await asyncio.sleep(30)
            rates.append((bench.stored() - before) / (time.perf_counter() - begun))
    print(
        f"events/s: {rates[0]:,.0f}, and {rates[1]:,.0f} while the terminal stalled for 30 s: "
        f"{rates[1] / rates[0]:.0%} (target: 95 %)"
    )


async def lag() -> None:
    for name, rows, view, presses in (
        (
            "triage",
            with_findings,
            "3",
            ("G", "g", "o", "o", "f", "a", "slash", *"why 777", "enter", "Y", "e"),
        ),
        (
            "import",
            imported,
            "4",
            ("G", "g", "f", "f", "slash", *"!channel-0007", "enter", "Y", "e"),
        ),
        ("overview", with_findings, "1", ("G", "tab", "g", "z", "z")),
        ("jobs", with_findings, "2", ("G", "tab", "z", "z", "Y")),
        ("log", with_findings, "5", ("G", "g", "slash", *"line 19", "enter", "Y")),
        (
            "messages",
            with_pages,
            "6",
            ("slash", *"invoice", "enter", "G", "g", "c", "c", "Y"),
        ),
        ("events", with_pages, "7", (*("G",) * 20, "g", "pagedown", "enter", "escape", "Y")),
    ):
        with tempfile.TemporaryDirectory() as home:
            backend = LargeBackend(Path(home))
            rows(backend)
            took, worked = await lag_of(backend, view, presses)
        p99 = took[int(len(took) * 0.99)] * 1000
        print(
            f"{name}: lag p99 {p99:.1f} ms, maximum {took[-1] * 1000:.1f} ms (target: 50);"
            f" at most {worked * 1000:.1f} ms of CPU time at a stretch"
        )


def with_findings(backend: LargeBackend) -> None:
    """100,000 findings."""
    backend.stored_findings = StoredFindings(findings(), NOW)


def imported(backend: LargeBackend) -> None:
    """An import of 100,000 files in 2,000 channels, with 10,000 bad records."""
    backend.imports.run = large_import()


async def lag_of(
    backend: LargeBackend, view: str, presses: Sequence[str]
) -> tuple[list[float], float]:
    """The lags of the event loop in seconds, sorted, while keys are pressed; and its longest stretch of CPU time."""
    took: list[float] = []
    worked = [0.0]

    async def beat() -> None:
        while True:
            due, before = time.perf_counter() + 0.002, time.thread_time()
            await asyncio.sleep(0.002)
            worked.append(time.thread_time() - before)
            took.append(time.perf_counter() - due)

    app = ConsoleApp(backend, ConsoleOptions())
    with without_earlier_objects():
        async with app.run_test(size=(160, 48)) as pilot:
            await pilot.press(view)
            await asyncio.sleep(2)
            beating = asyncio.create_task(beat())
            for key in presses:
                await pilot.press(key)
            await asyncio.sleep(8)
            beating.cancel()
    return sorted(took), max(worked)


FIGURES = {f.__name__: f for f in (first, idle, load, keys, speed, lag, stall)}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in FIGURES:
        sys.exit(__doc__)
    asyncio.run(FIGURES[sys.argv[1]]())
