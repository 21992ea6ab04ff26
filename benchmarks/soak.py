"""Runs everything at once for a long time, under random faults, and compares the tables with what was sent.

    python benchmarks/soak.py [--minutes N] [--seed S] [--rate EVENTS_A_SECOND]

Three instances ingest what a local Slack sends. Beside them exports are imported, each until it is whole, and the
history is read by token and searched again and again. The faults: the database is stopped, killed and frozen;
connections to it and to Slack are cut and fall silent; instances are killed; a disk takes nothing more. Every process
is the program as it is installed. Clocks that jump are tried by `just month`, which has its own clocks.

The verdict: nothing lost, nothing twice, no traceback, no growth of memory and descriptors.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import resource
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from export import Size, write_export

from tests.acceptance.test_cli import CLEAN
from tests.faults.proxy import Proxy, postgres_target, through
from tests.servers import frozen
from tests.support import spooled_ids, until
from tiger_slack_tui.demo.check import differences
from tiger_slack_tui.demo.expected import Expected
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.migrate.run import migrate

_INSTANCES = 3
_IMPORTED = Size(60_000, 1200)
_WORKSPACE = ("--workspace", "T00000001")
"""The exports are of another workspace than the local Slack's."""
_BETWEEN_IMPORTS = 120
"""Seconds."""
_PAUSE = (10.0, 40.0)
"""Seconds between two faults, at random."""
_LASTS = (2.0, 20.0)
"""Seconds that a fault lasts, at random."""
_WELL_SECONDS = 300
"""The longest time until all is stored after the last fault."""
_GROWTH = {"KiB of memory": 30_000, "descriptors": 15}
"""How much more an instance may have in the last quarter of the time than in the second, by the median."""
_SAMPLE_SECONDS = 5.0


_IDS = {"C00000": "CX0000", "U00000": "UX0000"}
"""Beginnings of the ids in exports, and what replaces them: the local Slack has the same."""


def _write_export(root: Path, seed: int) -> None:
    write_export(root, replace(_IMPORTED, seed=seed))
    for path in root.rglob("*.json"):
        content = path.read_bytes()
        for ours, other in _IDS.items():
            content = content.replace(ours.encode(), other.encode())
        path.write_bytes(content)


class Program:
    """A command of the program, whose stderr is read so that nothing is written on a disk that is full."""

    def __init__(self, environ: dict[str, str], troubles: Counter[str]) -> None:
        self._environ = environ
        self._troubles = troubles

    @asynccontextmanager
    async def __call__(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The command as a process; killed at the end, if it still runs."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tiger_slack_tui", *arguments),
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        reading = asyncio.create_task(self._read(process))
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await reading

    async def run(self, *arguments: str) -> int:
        """The exit code of the command."""
        async with self(*arguments) as process:
            return await process.wait()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while data := await process.stderr.read(1 << 16):
            # A log line holds the stack of an error as JSON, which is as it should be.
            self._troubles["tracebacks"] += (b"\n" + data).count(b"\nTraceback")


class Instance:
    """`tiger-slack run --no-ui`, behind proxies to Slack and to the database."""

    def __init__(self, program: Program, home: Path, to_slack: Proxy, to_database: Proxy) -> None:
        self.home = home
        self.to_slack = to_slack
        self.to_database = to_database
        self.samples: list[dict[str, int]] = []
        self.starts = 0
        self.exit_code: int | None = None
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopping = False

    async def run(self) -> None:
        """Run it, and start it again after each kill, until `stop`."""
        while not self._is_stopping:
            async with self._program("run", "--no-ui") as process:
                self.starts += 1
                self._process = process
                self.exit_code = await process.wait()
            if self.exit_code != -signal.SIGKILL:
                return
            await asyncio.sleep(1)

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def stop(self) -> None:
        self._is_stopping = True
        self.send(signal.SIGTERM)

    def limit_files(self, size: int) -> None:
        """The most bytes that a file of the process may have: 0 is a disk that takes nothing more."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                limits = (size, resource.RLIM_INFINITY)
                resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, limits)

    def sample(self) -> None:
        """Keep its memory and its descriptors, if it was never started again."""
        if self._process is None or self.starts > 1:
            return
        with suppress(OSError):
            process = Path(f"/proc/{self._process.pid}")
            status = (process / "status").read_text().partition("VmRSS:")[2]
            descriptors = len(os.listdir(process / "fd"))
            self.samples.append(
                {"KiB of memory": int(status.split()[0]), "descriptors": descriptors}
            )


class Soak:
    """The server, the local Slack, the instances, and what is done to them."""

    def __init__(self, directory: Path, seed: int, rate: float) -> None:
        self.directory = directory
        self.rate = rate
        self.seed = seed
        self.chance = random.Random(seed)
        self.postgres = directory / "postgres"
        self.server = EmbeddedPostgres.start(self.postgres)
        self.conninfo = self.server.conninfo
        self.slack = LocalSlack(in_flight=100_000, remember=True)
        self.instances: list[Instance] = []
        self.to_database: list[Proxy] = []
        self.commands: Program
        self.sent: list[dict[str, Any]] = []
        self.done: Counter[str] = Counter()
        """How often each fault happened, and each command ended in which way."""
        self.troubles: Counter[str] = Counter()
        self.longest_ack = 0.0
        self.acks: list[float] = []
        self.is_importing = True

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        """Everything is there; the instances are not started."""
        await migrate(self.conninfo)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.slack)
            port = int(self.slack.url.rpartition(":")[2].partition("/")[0])
            for number in range(_INSTANCES + 1):
                to_slack = await stack.enter_async_context(Proxy(("127.0.0.1", port)))
                to_database = await stack.enter_async_context(Proxy(postgres_target(self.conninfo)))
                self.to_database.append(to_database)
                home = self.directory / f"instance-{number}"
                program = Program(self._environ(home, to_slack, to_database, port), self.troubles)
                if number < _INSTANCES:
                    self.instances.append(Instance(program, home, to_slack, to_database))
                else:
                    self.commands = program
            yield

    def _environ(
        self, home: Path, to_slack: Proxy, to_database: Proxy, port: int
    ) -> dict[str, str]:
        return CLEAN | {
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": self.slack.app_token,
            "SLACK_API_URL": self.slack.url.replace(str(port), str(to_slack.port)),
            "DATABASE_URL": through(to_database, self.conninfo),
            "TIGER_SLACK_HOME": str(home),
            "PYTHONPATH": str(Path(__file__).parent.parent),
        }

    async def live(self, seconds: float) -> None:
        """Let everything happen for so long, and wait until all is stored. Raises AssertionError if it is not."""
        running = [asyncio.create_task(instance.run()) for instance in self.instances]
        await self.slack.wait_connected(_INSTANCES)
        async with asyncio.TaskGroup() as beside:
            background = [
                beside.create_task(work())
                for work in (self._import, self._search, self._read_history, self._sample)
            ]
            async with asyncio.TaskGroup() as work:
                work.create_task(self._send(seconds))
                work.create_task(self._hurt(seconds))
            await self._settle()
            for task in background:
                task.cancel()
        for instance in self.instances:
            instance.stop()
        await asyncio.wait_for(asyncio.gather(*running), 60)

    async def _settle(self) -> None:
        """Wait until everything is stored. Raises AssertionError if it is not after a long time."""
        try:
            await until(lambda: not self._unwell(), _WELL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"not well after {_WELL_SECONDS} s: {self._unwell()}") from None

    def _unwell(self) -> list[str]:
        found = ["an import goes on"] if self.is_importing else []
        found += [f"{self.slack.unacked} not acknowledged"] if self.slack.unacked else []
        for instance in self.instances:
            spooled = len(spooled_ids(instance.home))
            found += [f"{instance.home.name} has {spooled} events in its spool"] if spooled else []
        return found

    async def _send(self, seconds: float) -> None:
        events = Workspace(self.seed, time.time(), self.rate, nasty=True).events(
            int(seconds * self.rate)
        )
        begin = time.monotonic()
        for number, payload in enumerate(events):
            await asyncio.sleep(begin + number / self.rate - time.monotonic())
            self.sent.append(payload)
            await self.slack.send(payload)

    async def _import(self) -> None:
        """Import one export after another, each until it is whole: what was committed is not read again."""
        for number in itertools.count(1):
            root = self.directory / f"export-{number}"
            await asyncio.to_thread(_write_export, root, number)
            self.is_importing = True
            while (code := await self.commands.run("import", str(root), *_WORKSPACE)) != 0:
                self.done[f"import ended with {code}"] += 1
                await asyncio.sleep(1)
            self.done["import was whole"] += 1
            self.is_importing = False
            await asyncio.to_thread(shutil.rmtree, root)
            await asyncio.sleep(_BETWEEN_IMPORTS)

    async def _search(self) -> None:
        while True:
            code = await self.commands.run("search", "--json", self.chance.choice(("deploy", "a*")))
            self.done[f"search ended with {code}"] += 1
            await asyncio.sleep(5)

    async def _read_history(self) -> None:
        while True:
            await asyncio.sleep(60)
            code = await self.commands.run("backfill", "--all", "--since", "10m")
            self.done[f"backfill --all ended with {code}"] += 1

    async def _sample(self) -> None:
        while True:
            self.acks += self.slack.latencies
            self.slack.latencies.clear()
            for instance in self.instances:
                instance.sample()
            await asyncio.sleep(_SAMPLE_SECONDS)

    # Faults

    async def _hurt(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        faults = self._faults()
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self.chance.uniform(*_PAUSE)))
            name = self.chance.choice(list(faults))
            self.done[name] += 1
            await faults[name](self.chance.uniform(*_LASTS))

    def _faults(self) -> dict[str, Callable[[float], Awaitable[None]]]:
        return {
            "database stopped": self._stop_database,
            "database killed": self._kill_database,
            "database frozen": self._freeze_database,
            "database cut off": lambda seconds: self._cut("to_database", seconds),
            "database silent": lambda seconds: self._silence("to_database", seconds),
            "Slack cut off": lambda seconds: self._cut("to_slack", seconds),
            "Slack silent": lambda seconds: self._silence("to_slack", seconds),
            "instance killed": self._kill_instance,
            "disk full": self._fill_disk,
        }

    async def _stop_database(self, seconds: float) -> None:
        await asyncio.to_thread(self.server.close)
        await self._start_database(seconds)

    async def _kill_database(self, seconds: float) -> None:
        pid = int((self.postgres / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self.server.close)
        await self._start_database(seconds)

    async def _start_database(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.server = await asyncio.to_thread(EmbeddedPostgres.start, self.postgres)
        self.conninfo = self.server.conninfo
        for proxy in self.to_database:
            proxy.target = postgres_target(self.conninfo)

    async def _freeze_database(self, seconds: float) -> None:
        with frozen(self.postgres):
            await asyncio.sleep(seconds)

    async def _cut(self, which: str, seconds: float) -> None:
        proxies: list[Proxy] = [getattr(self._one(), which)]
        for proxy in proxies:
            await proxy.refuse()
            proxy.cut()
        await asyncio.sleep(seconds)
        for proxy in proxies:
            await proxy.listen()

    async def _silence(self, which: str, seconds: float) -> None:
        proxy: Proxy = getattr(self._one(), which)
        proxy.freeze(new=True)
        await asyncio.sleep(seconds)
        proxy.thaw()

    async def _kill_instance(self, seconds: float) -> None:
        self.instances[-1].send(signal.SIGKILL)
        await asyncio.sleep(seconds)

    async def _fill_disk(self, seconds: float) -> None:
        instance = self._one()
        instance.limit_files(0)
        await asyncio.sleep(seconds)
        instance.limit_files(resource.RLIM_INFINITY)

    def _one(self) -> Instance:
        return self.chance.choice(self.instances)

    # The verdict

    async def faults(self) -> list[str]:
        """What is not as it must be, a line each."""
        expected = Expected()
        for payload in self.sent:
            expected.apply(payload)
        found = [
            line
            for line in await differences(self.conninfo, expected, most=10**9)
            if not (line.endswith("which was not sent") and any(i in line for i in _IDS.values()))
        ]
        lost = {payload["event_id"] for payload in self.sent} - self.slack.acked_ids
        found += [f"{len(lost)} events are not acknowledged"] if lost else []
        found += [f"{n} {what}" for what, n in self.troubles.items() if n]
        found += [
            f"{instance.home.name} ended with {instance.exit_code}"
            for instance in self.instances
            if instance.exit_code != 0
        ]
        return found + list(self._growth())

    def _growth(self) -> Iterable[str]:
        for instance in self.instances:
            quarter = len(instance.samples) // 4
            for name, most in _GROWTH.items():
                values = [sample[name] for sample in instance.samples]
                if quarter < 3:
                    continue
                before = statistics.median(values[quarter : 2 * quarter])
                after = statistics.median(values[-quarter:])
                self.done[f"{instance.home.name}: {name} more"] = round(after - before)
                if after - before > most:
                    yield f"{instance.home.name}: {name}: {after:.0f} after {before:.0f}"

    def figures(self) -> Iterable[tuple[str, str]]:
        acks = sorted(self.acks)
        yield "sent", f"{len(self.sent):,}"
        yield "acknowledged", f"{self.slack.acked:,}, delivered {self.slack.deliveries:,} times"
        yield "ack p50", f"{acks[len(acks) // 2] * 1000:.1f} ms"
        yield "ack p99", f"{acks[int(len(acks) * 0.99)]:.2f} s"
        yield "longest ack", f"{acks[-1]:.1f} s"
        yield from ((name, f"{count:,}") for name, count in sorted(self.done.items()))


async def soak(directory: Path, minutes: float, seed: int, rate: float) -> int:
    """The exit code: 1 if something is not as it must be."""
    here = await asyncio.to_thread(Soak, directory, seed, rate)
    print(f"seed {seed}: {minutes:g} minutes at {rate:g} events/s", flush=True)
    try:
        async with here.ready():
            await here.live(minutes * 60)
            found = await here.faults()
    finally:
        await asyncio.to_thread(here.server.close)
    for name, value in here.figures():
        print(f"{name:40} {value}")
    for fault in found[:40]:
        print(f"✗ {fault}")
    print("✓ nothing lost, nothing twice" if not found else json.dumps({"faults": len(found)}))
    return 1 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        Path(directory).chmod(0o711)  # the server's user must pass
        sys.exit(asyncio.run(soak(Path(directory), given.minutes, given.seed, given.rate)))


if __name__ == "__main__":
    main()
