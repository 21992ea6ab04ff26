"""Asks the database every few seconds how it is, so that the screen need not."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from typing import Any

from psycopg import AsyncConnection

from tiger_slack_tui import __version__
from tiger_slack_tui.backoff import backoff
from tiger_slack_tui.clock import Clock, SystemClock, wall_time
from tiger_slack_tui.console.rates import ObservedRates, Rates
from tiger_slack_tui.console.reading import LOOK_SECONDS, reason
from tiger_slack_tui.database import instances
from tiger_slack_tui.database.arrivals import ArrivalReader
from tiger_slack_tui.database.facts import (
    AdvisoryLock,
    Extension,
    Session,
    TableSize,
    advisory_locks,
    extension,
    num_discard_rules,
    sessions,
    table_sizes,
)
from tiger_slack_tui.database.instances import Instance
from tiger_slack_tui.database.locks import IMPORT_LOCKS
from tiger_slack_tui.database.migration_files import migrations_directory, read_migrations
from tiger_slack_tui.database.migrations import LOCK_KEY as MIGRATION_LOCK_KEY
from tiger_slack_tui.database.migrations import MigrationStatus, status
from tiger_slack_tui.database.pool import connect
from tiger_slack_tui.history.recent import PastImport, recent_imports
from tiger_slack_tui.jobs.lock_keys import LOCK_KEYS
from tiger_slack_tui.jobs.status import JobStatus, read_status
from tiger_slack_tui.settings import JobSettings

log = logging.getLogger(__name__)

_SECONDS = 2.0
"""Between two looks."""
_SLOW_SECONDS = 30.0
"""Between two looks at what changes slowly, or takes long to find out: sizes, migrations."""
_STATEMENT_SECONDS = 5
_RUNS = 20
_INSTANCES = 100
_FIRST_SECONDS = 300
"""Seconds before the start of which an observer counts the events, too."""
_IMPORTS = 50


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database said last. What was not asked yet is empty."""

    at: float | None = None
    """When it last answered."""
    problem: str | None = None
    """Why it does not answer now."""
    problem_since: float | None = None
    retry_at: float | None = None
    ping: float | None = None
    """Seconds of the shortest question."""
    jobs: tuple[JobStatus, ...] = ()
    locks: tuple[AdvisoryLock, ...] = ()
    sessions: tuple[Session, ...] = ()
    migrations: MigrationStatus | None = None
    extension: Extension | None = None
    sizes: tuple[TableSize, ...] = ()
    instances: tuple[Instance, ...] = ()
    """Those of the last day, the running and the lost ones first."""
    observed: Rates | None = None
    """What all instances wrote; only read where the console observes."""
    imports: tuple[PastImport, ...] = ()
    discard_rules: int | None = None


class Monitor:
    """Keeps `facts` up to date while `run` runs. A database that is away only makes them old."""

    def __init__(
        self,
        conninfo: str,
        settings: JobSettings,
        *,
        is_observing: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """`is_observing` also reads how many events come."""
        self._clock = clock or SystemClock()
        self._conninfo = conninfo
        self._settings = settings
        self._arrivals = ArrivalReader(_FIRST_SECONDS) if is_observing else None
        self._observed = ObservedRates()
        self._soon = asyncio.Event()
        self._slow_due = 0.0
        self._facts = Facts()
        """With times of the clock that nobody sets."""

    @property
    def facts(self) -> Facts:
        """What is known, with times of today's wall clock."""
        facts = self._facts
        return replace(
            facts,
            at=self._wall(facts.at),
            problem_since=self._wall(facts.problem_since),
            retry_at=self._wall(facts.retry_at),
        )

    def _wall(self, elapsed: float | None) -> float | None:
        return None if elapsed is None else wall_time(self._clock, elapsed)

    def look_now(self) -> None:
        """Ask at once, also for what changes slowly."""
        self._slow_due = 0.0
        self._soon.set()

    async def run(self) -> None:
        """Ask until cancelled. After any error it connects again, later and later."""
        failures = 0
        while True:
            try:
                connection = await connect(self._conninfo, statement_seconds=_STATEMENT_SECONDS)
                try:
                    while True:
                        async with asyncio.timeout(LOOK_SECONDS):
                            await self._look(connection)
                        failures = 0
                        await self._wait(_SECONDS)
                finally:
                    await connection.close()
            except Exception as error:
                failures += 1
                pause = backoff(failures, first=1, most=10)
                self._fail(error, pause)
                await self._wait(pause)

    async def _look(self, connection: AsyncConnection[Any]) -> None:
        begun = time.perf_counter()
        await connection.execute("select 1")
        ping = time.perf_counter() - begun
        facts = replace(self._facts, problem=None, problem_since=None, retry_at=None, ping=ping)
        if self._clock.elapsed() >= self._slow_due:
            self._slow_due = self._clock.elapsed() + _SLOW_SECONDS  # `look_now` may come meanwhile
            facts = await self._look_slowly(connection, facts)
        found = facts.migrations
        if found is None or found.database_version is None:
            self._slow_due = 0.0  # somebody migrates just now
            self._facts = replace(facts, at=self._clock.elapsed())
            return
        keys = [*LOCK_KEYS.values(), MIGRATION_LOCK_KEY]
        facts = replace(
            facts,
            jobs=tuple(await read_status(connection, self._settings, most=_RUNS)),
            locks=tuple(await advisory_locks(connection, keys, [IMPORT_LOCKS])),
            sessions=tuple(await sessions(connection)),
            instances=tuple(await instances.newest(connection, most=_INSTANCES)),
            observed=await self._observe(connection),
            imports=tuple(await recent_imports(connection, _IMPORTS)),
            discard_rules=await num_discard_rules(connection),
        )
        self._facts = replace(facts, at=self._clock.elapsed())

    async def _observe(self, connection: AsyncConnection[Any]) -> Rates | None:
        if self._arrivals is None:
            return None
        self._observed.add(await self._arrivals.read(connection))
        return self._observed.rates()

    async def _look_slowly(self, connection: AsyncConnection[Any], facts: Facts) -> Facts:
        files = read_migrations(migrations_directory())
        found = await status(self._conninfo, version=__version__, files=files)
        timescaledb = await extension(connection)
        sizes = await table_sizes(connection, timescaledb)
        return replace(facts, migrations=found, extension=timescaledb, sizes=tuple(sizes))

    def _fail(self, error: Exception, pause: float) -> None:
        words, now, before = reason(error), self._clock.elapsed(), self._facts
        if words != before.problem:
            log.warning("the console cannot read the database: %s", words)
        since = now if before.problem_since is None else before.problem_since
        self._slow_due = 0.0  # nobody knows what went before
        self._facts = replace(
            before, problem=words, problem_since=since, retry_at=now + pause, ping=None
        )

    async def _wait(self, seconds: float) -> None:
        """Wait, unless `look_now` was called since the last wait: a look that was under way may not show it."""
        try:
            async with asyncio.timeout(seconds):
                await self._soon.wait()
        except TimeoutError:
            pass
        self._soon.clear()
