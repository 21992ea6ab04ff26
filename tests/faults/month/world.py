"""Runs the month: applies the plan, sends events, and records at Slack's side who is connected."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.disk import FaultyDisk, faulty_disk
from tests.faults.month.instance import Instance
from tests.faults.month.intervals import Intervals, union
from tests.faults.month.plan import INSTANCES, KILLED, Fault, changes
from tests.faults.month.scale import DAY, HEARTBEAT, JOIN_SECONDS
from tests.faults.proxy import Proxy, postgres_target
from tests.support import until
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace

RATE = 15.0
"""Events a second."""
_WARM_UP = 1500
"""Events that are sent before anything is measured: what is kept of the newest events is full then."""
_SAMPLE_SECONDS = 0.01


class Record:
    """Times in which something held, made from samples."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._last = 0.0
        self.intervals: Intervals = []

    def sample(self, now: float, holds: bool) -> None:
        if holds and self._since is None:
            self._since = now
        elif not holds and self._since is not None:
            self.intervals.append((self._since, now))
            self._since = None
        self._last = now

    def closed(self) -> Intervals:
        open_ones = [(self._since, self._last)] if self._since is not None else []
        return union(self.intervals, open_ones)


class World:
    """Made by `world`. `began` and `ended` are seconds since 1970, of the time that is compared."""

    def __init__(self, slack: LocalSlack, instances: list[Instance], conninfo: str) -> None:
        self.slack = slack
        self.instances = instances
        self.conninfo = conninfo
        self.connected = [Record() for _ in instances]
        self.stalled = [Record() for _ in instances]
        """When an instance may have taken nothing, because of its disk."""
        self.refusing = [Record() for _ in instances]
        """When it took nothing though Slack sent."""
        self.failed_connects = 0
        """The most of an outage, of an instance on average."""
        self._refused = 0
        self.sent: list[dict[str, Any]] = []
        self.before: dict[str, int] = {}
        self.after: dict[str, int] = {}
        self.began = self.ended = 0.0

    async def live(self, plan: list[Fault], seed: int, days: float) -> None:
        """Warm up, let the month pass, and wait until all is well again. Raises what ended an instance."""
        count = _WARM_UP + int(days * DAY * RATE)
        self.sent = list(Workspace(seed, time.time(), RATE, nasty=True).events(count))
        sampling = asyncio.create_task(self._sample())
        try:
            for instance in self.instances:
                await instance.start()
            await self._is_well()
            await self.slack.send_all(self.sent[:_WARM_UP])
            await self._is_well()
            await asyncio.sleep(3)  # idle connections close
            self.before = await self._footprint()
            self.began = time.time()
            async with asyncio.TaskGroup() as work:
                work.create_task(self._send(self.sent[_WARM_UP:]))
                work.create_task(self._happen(plan))
            await self._is_well()
            async with asyncio.timeout(90):
                while await self._unjudged():
                    await asyncio.sleep(HEARTBEAT.interval)
            await self._returns_to(self.before)
            self.ended = time.time()
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)

    async def stop(self) -> None:
        for instance in self.instances:
            if instance.is_up:
                await instance.end(kill=False)

    async def gaps(self) -> list[tuple[str, float, float]]:
        """Reason, begin and end of each row of slack.gap."""
        async with await psycopg.AsyncConnection.connect(self.conninfo) as connection:
            found = await connection.execute(
                "select reason, extract(epoch from started_at)::float8, extract(epoch from ended_at)::float8"
                " from slack.gap order by id"
            )
            return await found.fetchall()

    async def _unjudged(self) -> bool:
        """Whether connections wait for what silent instances may still say of theirs, or a gap goes on."""
        async with await psycopg.AsyncConnection.connect(self.conninfo) as connection:
            found = await connection.execute(
                "select exists (select from slack.connection where not is_judged)"
                " or exists (select from slack.gap where ended_at is null)"
            )
            row = await found.fetchone()
        return row is None or bool(row[0])

    async def _send(self, payloads: list[dict[str, Any]]) -> None:
        begin = time.monotonic()
        for number, payload in enumerate(payloads):
            await asyncio.sleep(begin + number / RATE - time.monotonic())
            await self.slack.send(payload)

    async def _happen(self, plan: list[Fault]) -> None:
        begin = time.monotonic()
        done: set[int] = set()
        for moment in changes(plan):
            await asyncio.sleep(begin + moment * DAY - time.monotonic())
            for instance in self.instances:
                instance.check_alive()
            active = [fault for fault in plan if fault.begin <= moment < fault.end]
            passing = [
                fault
                for number, fault in enumerate(plan)
                if fault.begin == fault.end <= moment and number not in done
            ]
            done |= {number for number, fault in enumerate(plan) if fault in passing}
            await self._apply(active, passing)
        await self._apply([], [])

    async def _apply(self, active: list[Fault], passing: list[Fault]) -> None:
        """Make the faults of this moment so; all others are over."""
        kinds = {fault.kind for fault in active if fault.instance is None}
        away = "internal_error" if "slack away" in kinds else None
        if away and not self.slack.refuse_opening:
            await self.slack.drop()
        failed = (self.slack.openings_refused - self._refused) // INSTANCES
        self.failed_connects = max(self.failed_connects, failed)
        if not away:
            self._refused = self.slack.openings_refused
        self.slack.refuse_opening = away
        for number, instance in enumerate(self.instances):
            own = {fault.kind: fault for fault in active if fault.instance == number}
            network = ("network away" in own, "network silent" in own)
            database = (
                "database away" in kinds or network[0],
                "database silent" in kinds or network[1],
            )
            await _set(instance.slack_proxy, network[0], "slack silent" in kinds or network[1])
            await _set(instance.database_proxy, *database)
            if instance.disk is not None:
                disk = own.get("disk")
                _set_disk(instance.disk, disk)
                instance.disk_fails = disk is not None
                # Files that are open already take events on a disk that has become somebody else's.
                refuses = disk is not None and disk.detail != "foreign"
                instance.is_refusing = refuses and any(database)
            if "down" in own and instance.is_up:
                await instance.end()
            elif "down" not in own and not instance.is_up and "disk" not in own:
                await instance.start()
        for fault in passing:
            if fault.kind == "clock":
                self.instances[fault.instance or 0].clock.offset = float(fault.detail or 0)
            elif fault.kind == "drop":
                await self.slack.drop()
            elif fault.kind == "refresh":
                with contextlib.suppress(ConnectionError, RuntimeError):  # a socket that is gone
                    await self.slack.refresh("warning")

    async def _sample(self) -> None:
        while True:
            now = time.time()
            for number, instance in enumerate(self.instances):
                self.connected[number].sample(now, instance.is_connected)
                self.stalled[number].sample(now, instance.has_stalled())
                refuses = instance.is_refusing and instance.is_connected
                self.refusing[number].sample(now, refuses)
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _is_well(self) -> None:
        """Wait until all instances are connected, and all that was sent is acknowledged and in the database."""

        def unwell() -> list[str]:
            found = [] if self.slack.unacked == 0 else [f"{self.slack.unacked} not acknowledged"]
            for instance in self.instances:
                instance.check_alive()
                found += [f"{instance.home.name} {what}" for what in instance.unwell()]
            return found

        try:
            await until(lambda: not unwell(), 60)
        except TimeoutError:
            raise AssertionError(f"not well after a minute: {unwell()}") from None

    async def _returns_to(self, before: dict[str, int]) -> None:
        """Measure until nothing is more than before, for 90 s at most: idle connections close by then."""
        deadline = time.monotonic() + 90
        while True:
            self.after = await self._footprint()
            if not more(before, self.after) or time.monotonic() > deadline:
                return
            await asyncio.sleep(0.5)

    async def _footprint(self) -> dict[str, int]:
        gc.collect()
        status = Path("/proc/self/status").read_text().partition("VmRSS:")[2]
        tasks = Counter(
            f"tasks of {task.get_coro().__qualname__}"  # type: ignore[union-attr]
            for task in asyncio.all_tasks()
        )
        found = dict(tasks)
        found |= {
            "threads": threading.active_count(),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "KiB": int(status.split()[0]),
        }
        for instance in self.instances:
            for name, proxy in (
                ("Slack", instance.slack_proxy),
                ("the database", instance.database_proxy),
            ):
                found[f"{instance.home.name}: connections to {name}"] = proxy.open
            found |= {
                f"{instance.home.name}: {name}": value
                for name, value in instance.footprint().items()
            }
        return found


def more(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """What is more than before. Memory may grow by `MEMORY_KIB`; asyncio starts its threads as they are needed."""
    allowed = Counter({name: MEMORY_KIB for name in before if name.endswith("KiB")})
    allowed.update({name: _THREADS for name in before if name.endswith("threads")})
    return [
        f"{name}: {count} after {before.get(name, 0)}"
        for name, count in after.items()
        if count > before.get(name, 0) + allowed[name]
    ]


_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Of asyncio's pool, https://docs.python.org/3.11/library/concurrent.futures.html#threadpoolexecutor."""
MEMORY_KIB = 40_000
"""The local Slack lives in the same process and keeps what was sent; a leak of one KiB for each failed connect,
heartbeat or event of a month at this rate would be more."""


@asynccontextmanager
async def world(conninfo: str, directory: Path) -> AsyncIterator[World]:
    """A Slack, and instances that are not started yet. `conninfo` is a database with the schema."""
    _join_less(conninfo)
    async with AsyncExitStack() as stack:
        slack = LocalSlack(retry_seconds=(0.3, 0.6, 1.0), in_flight=100_000, idle_seconds=1)
        await stack.enter_async_context(slack)
        port = int(slack.url.rpartition(":")[2].partition("/")[0])
        instances = []
        for number in range(INSTANCES):
            to_slack = await stack.enter_async_context(Proxy(("127.0.0.1", port)))
            to_database = await stack.enter_async_context(Proxy(postgres_target(conninfo)))
            home = directory / f"instance-{number}"
            home.mkdir()
            instance = Instance(slack, to_slack, to_database, conninfo, home)
            if number != KILLED:
                instance.disk = stack.enter_context(faulty_disk(home))
            instances.append(instance)
        here = World(slack, instances, conninfo)
        try:
            yield here
        finally:
            with contextlib.suppress(Exception):  # what ended it is raised already
                await here.stop()
            for instance in instances:
                if instance.process is not None:
                    instance.process.kill()
                    await instance.process.wait()


def _join_less(conninfo: str) -> None:
    """Shorten how near gaps must be to become one, as all durations of the month."""
    name = "slack.record_gap(text, text, timestamptz, timestamptz, text, interval)"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute("select pg_get_functiondef(%s::regprocedure)", (name,)).fetchone()
        assert row is not None
        shortened = row[0].replace(" within\n", f" interval '{JOIN_SECONDS} s'\n")
        assert shortened.count("interval '0.5 s'") == 2
        connection.execute(shortened)


async def _set(proxy: Proxy, is_away: bool, is_silent: bool) -> None:
    if is_away:
        await proxy.refuse()
        proxy.cut()
    else:
        await proxy.listen()
    (proxy.freeze if is_silent else proxy.thaw)(**({"new": True} if is_silent else {}))


def _set_disk(disk: FaultyDisk, fault: Fault | None) -> None:
    if fault is None:
        disk.works()
    else:
        {
            "full": disk.full,
            "read only": disk.read_only,
            "broken": disk.broken,
            "foreign": disk.foreign,
        }[str(fault.detail)]()
