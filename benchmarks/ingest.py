"""Measures live ingestion. Compare ratios of one run: absolute figures depend on the machine.

    python benchmarks/ingest.py throughput   events/s from Slack to the database; with one event a transaction
    python benchmarks/ingest.py latency      time from sending an event to its ack, at 1,000 events/s
    python benchmarks/ingest.py jobs         the same while jobs run without a pause
    python benchmarks/ingest.py telemetry    events/s with Logfire (without a token), and without Logfire
    python benchmarks/ingest.py memory       growth of memory over 1,000,000 events
    python benchmarks/ingest.py idle         CPU time while connected without events
    python benchmarks/ingest.py start        time that `tiger-slack --help` takes

sender.py sends the events from a process of its own. The database is the embedded PostgreSQL, with fsync and
synchronous_commit on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg

from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.ingest.pipeline import PipelineLimits
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres

HERE = Path(__file__).parent


@contextmanager
def place() -> Iterator[tuple[Path, str]]:
    """A new directory, and a new durable database in it."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)
        with EmbeddedPostgres.start(Path(directory) / "postgres") as server:
            yield Path(directory), server.conninfo


@asynccontextmanager
async def ingesting(
    home: Path,
    conninfo: str,
    events: int,
    rate: float,
    limits: PipelineLimits | None = None,
    listed: int = 0,
) -> AsyncIterator[tuple[Engine, subprocess.Popen[str]]]:
    """An engine that is connected to a sender."""
    command = [sys.executable, str(HERE / "sender.py"), str(events), str(rate), str(listed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        url = json.loads(sender.stdout.readline())["url"]
        settings = Settings(home=home, conninfo=conninfo)
        engine = Engine(settings, SlackSettings("xoxb-1", "xapp-1", url), conninfo, limits=limits)
        run = asyncio.create_task(engine.run())
        try:
            yield engine, sender
        finally:
            sender.kill()
            engine.stop()
            await run


async def sent(
    home: Path, conninfo: str, events: int, rate: float, limits: PipelineLimits | None = None
) -> dict[str, float]:
    """What the sender measured, after every event has been stored."""
    async with ingesting(home, conninfo, events, rate, limits) as (engine, sender):
        assert sender.stdout is not None
        result: dict[str, float] = json.loads(await asyncio.to_thread(sender.stdout.readline))
        while (
            engine.snapshot().spool_events
        ):  # on a busy machine, some acknowledged events are there
            await asyncio.sleep(0.05)
    with psycopg.connect(conninfo) as connection:
        stored = connection.execute("select count(*) from slack.event").fetchone()
        shown = connection.execute("show synchronous_commit").fetchone()
    assert shown == ("on",)
    assert stored is not None
    assert stored[0] == events, f"{stored[0]} of {events} events were stored"
    return result


def throughput() -> None:
    rates, ratios = [], []
    for _ in range(3):
        with place() as (home, conninfo):
            rate = asyncio.run(sent(home, conninfo, 60_000, 0))["per_second"]
        with place() as (home, conninfo):
            # A commit may take as long as it likes: spooled events would not be stored one by one.
            single_limits = PipelineLimits(batch_events=1, commit_seconds=600)
            single = asyncio.run(sent(home, conninfo, 5000, 0, single_limits))["per_second"]
        rates.append(rate)
        ratios.append(rate / single)
        print(
            f"  {rate:,.0f} events/s; one event a transaction {single:,.0f}/s: {rate / single:.1f} times"
        )
    print(f"throughput: {statistics.median(rates):,.0f} events/s (target: 6,000)")
    print(f"against one event a transaction: {statistics.median(ratios):.1f} times (target: 10)")


def latency() -> None:
    with place() as (home, conninfo):
        result = asyncio.run(sent(home, conninfo, 30_000, 1000))
    print(f"at {result['per_second']:,.0f} events/s: ack p50 {result['ack_ms_p50']} ms", end=", ")
    print(f"p99 {result['ack_ms_p99']} ms (target: 250)")


async def _latency_with_jobs(home: Path, conninfo: str) -> tuple[dict[str, float], int, int]:
    async with ingesting(home, conninfo, 30_000, 1000, listed=20_000) as (engine, sender):
        assert sender.stdout is not None
        while not engine.snapshot().acked:
            await asyncio.sleep(0.01)
        report = asyncio.create_task(asyncio.to_thread(sender.stdout.readline))
        runs = rows = 0
        while not report.done():
            jobs = ("users", "channels", "retention")
            done = await asyncio.gather(*(engine.run_job(name) for name in jobs))
            runs += sum(run.outcome == "done" for run in done)
            rows += sum(run.rows_changed for run in done)
        return json.loads(await report), runs, rows


def jobs() -> None:
    with place() as (home, conninfo):
        result, runs, rows = asyncio.run(_latency_with_jobs(home, conninfo))
    print(
        f"at {result['per_second']:,.0f} events/s, beside {runs} job runs that changed {rows:,} rows:"
    )
    print(f"ack p50 {result['ack_ms_p50']} ms, p99 {result['ack_ms_p99']} ms (target: 250)")


def telemetry() -> None:
    ratios = []
    for _ in range(3):
        rates = {}
        for how in ("without", "with"):
            # In a process of its own, because Logfire is set up for a whole process.
            command = [sys.executable, __file__, "rate", how]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rates[how] = float(done.stdout)
        ratios.append(rates["with"] / rates["without"])
        print(
            f"  {rates['with']:,.0f} events/s with, {rates['without']:,.0f} without: {ratios[-1]:.0%}"
        )
    print(f"with Logfire on: {statistics.median(ratios):.0%} of the speed without (target: 85 %)")


def rate(how: str, events: int = 60_000) -> None:
    if how == "with":
        from tiger_slack_tui.base.logfire_export import set_up

        set_up(Settings(home=Path("/nowhere"), conninfo=None))
    with place() as (home, conninfo):
        print(asyncio.run(sent(home, conninfo, events, 0))["per_second"])


async def _grow(home: Path, conninfo: str, events: int) -> list[float]:
    sizes = []
    async with ingesting(home, conninfo, events, 0) as (engine, _):
        steps = 10
        for step in range(1, steps + 1):
            while engine.snapshot().acked < events * step / steps:
                await asyncio.sleep(0.2)
            sizes.append(_resident_mb())
            print(f"  after {engine.snapshot().acked:>9,} events: {sizes[-1]:.1f} MB", flush=True)
    return sizes


def memory(events: int = 1_000_000) -> None:
    with place() as (home, conninfo):
        sizes = asyncio.run(_grow(home, conninfo, events))
    print(f"memory: {max(sizes[1:]) - sizes[0]:+.1f} MB after warm-up (target: under 20)")


async def _idle(home: Path, conninfo: str) -> float:
    async with ingesting(home, conninfo, 1, 0) as (engine, _):
        while engine.snapshot().acked < 1:
            await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        before, begun = time.process_time(), time.perf_counter()
        await asyncio.sleep(20)
        return (time.process_time() - before) / (time.perf_counter() - begun)


def idle() -> None:
    with place() as (home, conninfo):
        share = asyncio.run(_idle(home, conninfo))
    print(f"idle: {share:.2%} of a core (target: under 1 %)")


def start() -> None:
    command = [sys.executable, "-m", "tiger_slack_tui", "--help"]
    times = []
    for _ in range(11):
        begun = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=os.environ)
        times.append(time.perf_counter() - begun)
    print(f"tiger-slack --help: {statistics.median(times):.2f} s (target: under 0.3)")


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    if sys.argv[1:2] == ["rate"]:
        rate(sys.argv[2])
        sys.exit()
    figures = {f.__name__: f for f in (throughput, latency, jobs, telemetry, memory, idle, start)}
    if len(sys.argv) != 2 or sys.argv[1] not in figures:
        sys.exit(__doc__)
    figures[sys.argv[1]]()
