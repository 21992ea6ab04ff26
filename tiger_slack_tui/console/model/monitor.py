"""Asks the database every few seconds how it is, so that the screen need not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from psycopg.pq import TransactionStatus

from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.clock import Clock, SystemClock, wall_time
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.console.model.rates import ObservedRates, Rates
from tiger_slack_tui.console.model.read_errors import (
    QUERY_SECONDS,
    describe_error,
    raise_if_cancelled,
    unexpected,
)
from tiger_slack_tui.jobs.status import JobStatus, read_status
from tiger_slack_tui.postgres import introspection
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.introspection import (
    Session,
    TableSize,
    sessions,
    table_sizes,
)
from tiger_slack_tui.postgres.lock_keys import IMPORT_LOCK_CLASS, JOB_LOCK_KEYS, MIGRATION_LOCK_KEY
from tiger_slack_tui.postgres.locks import AdvisoryLock, advisory_locks
from tiger_slack_tui.postgres.migrate.run import MigrationStatus, migration_status
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.postgres.timescale import TimescaleDB, find_timescaledb
from tiger_slack_tui.store import instances
from tiger_slack_tui.store.arrivals import ArrivalReader
from tiger_slack_tui.store.imports import count_killed
from tiger_slack_tui.store.instances import Instance
from tiger_slack_tui.store.past_imports import PastImport, recent_imports
from tiger_slack_tui.store.rules import count_rules

log = logging.getLogger(__name__)

_SECONDS = 2.0
"""Between two looks."""
_SLOW_SECONDS = 30.0
"""Between two looks at what changes slowly, or takes long to find out: sizes, migrations."""
_MOST_SECONDS = 60.0
"""Between two tries of a question that fails."""
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
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why the fact of a name is not of now, although the database answers."""
    problem_since: float | None = None
    retry_at: float | None = None
    ping: float | None = None
    """Seconds of the shortest question."""
    jobs: tuple[JobStatus, ...] = ()
    locks: tuple[AdvisoryLock, ...] = ()
    sessions: tuple[Session, ...] = ()
    migrations: MigrationStatus | None = None
    extension: TimescaleDB | None = None
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
        self._due: dict[str, float] = {}
        """When the fact of a name is read again. Without a time, at the next look."""
        self._pauses: dict[str, float] = {}
        """Seconds after which a question that failed is asked again."""
        self._count_due = 0.0
        self._counting: asyncio.Task[None] | None = None
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

    def refresh_now(self) -> None:
        """Ask at once, also for what changes slowly."""
        self._due.clear()
        self._soon.set()

    async def run(self) -> None:
        """Ask until cancelled. After any error it connects again, later and later."""
        try:
            await self._run()
        finally:
            if (counting := self._counting) is not None:
                counting.cancel()
                await asyncio.gather(counting, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                connection = await connect(self._conninfo, statement_seconds=_STATEMENT_SECONDS)
                try:
                    while True:
                        await self._look(connection)
                        failures = 0
                        await self._wait(_SECONDS)
                finally:
                    await connection.close()
            except Exception as error:
                failures += 1
                pause = backoff(failures, first=1, most=10)
                raise_if_cancelled()
                self._fail(error, pause)
                await self._wait(pause)

    async def _look(self, connection: Connection) -> None:
        begun = time.perf_counter()
        async with asyncio.timeout(QUERY_SECONDS):
            await introspection.ping(connection)
        ping = time.perf_counter() - begun
        facts = replace(self._facts, problem=None, problem_since=None, retry_at=None, ping=ping)
        facts = await self._look_slowly(connection, facts)
        found = facts.migrations
        is_known = "migrations" not in facts.problems
        if is_known and (found is None or found.database_version is None):
            self._due.pop("migrations", None)  # somebody migrates just now
        else:
            facts = await self._look_quickly(connection, facts)
        self._facts = replace(facts, at=self._clock.elapsed())
        self._count_killed()

    def _count_killed(self) -> None:
        """Let an import that was killed be counted, beside the looks: it can take longer than one may."""
        ids = [past.id for past in self._facts.imports if past.needs_count]
        if ids and self._clock.elapsed() >= self._count_due and self._counting is None:
            self._counting = asyncio.create_task(self._count(ids[0]))

    async def _count(self, import_id: int) -> None:
        try:
            async with await connect(self._conninfo) as connection:
                await count_killed(connection, import_id)
        except Exception as error:
            self._count_due = self._clock.elapsed() + _SLOW_SECONDS
            why = describe_error(error)
            log.warning("import %d was not counted: %s", import_id, why, exc_info=unexpected(error))
        finally:
            self._counting = None

    async def _look_quickly(self, connection: Connection, facts: Facts) -> Facts:
        keys = [*JOB_LOCK_KEYS.values(), MIGRATION_LOCK_KEY]
        questions: dict[str, Callable[[], Awaitable[Any]]] = {
            "jobs": lambda: read_status(connection, self._settings, most=_RUNS),
            "locks": lambda: advisory_locks(connection, keys, [IMPORT_LOCK_CLASS]),
            "sessions": lambda: sessions(connection),
            "instances": lambda: instances.newest(connection, most=_INSTANCES),
            "observed": lambda: self._observe(connection),
            "imports": lambda: recent_imports(connection, _IMPORTS),
            "discard_rules": lambda: count_rules(connection),
        }
        for name, question in questions.items():
            facts = await self._ask(connection, facts, name, question)
        return facts

    async def _look_slowly(self, connection: Connection, facts: Facts) -> Facts:
        async def migrations() -> MigrationStatus:
            return await migration_status(self._conninfo)

        seconds = _SLOW_SECONDS
        facts = await self._ask(connection, facts, "migrations", migrations, seconds)
        facts = await self._ask(
            connection, facts, "extension", lambda: find_timescaledb(connection), seconds
        )
        timescaledb = facts.extension
        return await self._ask(
            connection, facts, "sizes", lambda: table_sizes(connection, timescaledb), seconds
        )

    async def _ask(
        self,
        connection: Connection,
        facts: Facts,
        name: str,
        question: Callable[[], Awaitable[Any]],
        seconds: float = 0.0,
    ) -> Facts:
        """The facts with the answer as the one of that name, which is asked again after `seconds`.

        A question that fails leaves the fact as it was; it is asked again later and later, and `problems` says why.
        Raises the error where the connection cannot be used any more.
        """
        now = self._clock.elapsed()
        if now < self._due.get(name, now):
            return facts
        self._due[name] = now + seconds  # before the answer: `refresh_now` may come meanwhile
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                answer = await question()
        except Exception as error:
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                raise
            raise_if_cancelled()
            return self._fail_one(facts, name, error)
        self._pauses.pop(name, None)
        problems = {other: words for other, words in facts.problems.items() if other != name}
        changes: dict[str, Any] = {name: tuple(answer) if isinstance(answer, list) else answer}
        return replace(facts, problems=problems, **changes)

    def _fail_one(self, facts: Facts, name: str, error: Exception) -> Facts:
        words = describe_error(error)
        if words != facts.problems.get(name):
            log.warning("the console cannot read %s: %s", name, words, exc_info=unexpected(error))
        pause = self._pauses.get(name, _SECONDS)
        self._pauses[name] = min(pause * 2, _MOST_SECONDS)
        if name in self._due:
            self._due[name] = self._clock.elapsed() + pause
        return replace(facts, problems={**facts.problems, name: words})

    async def _observe(self, connection: Connection) -> Rates | None:
        if self._arrivals is None:
            return None
        self._observed.add(await self._arrivals.read(connection))
        return self._observed.rates()

    def _fail(self, error: Exception, pause: float) -> None:
        words, now, before = describe_error(error), self._clock.elapsed(), self._facts
        if words != before.problem:
            log.warning(
                "the console cannot read the database: %s", words, exc_info=unexpected(error)
            )
        since = now if before.problem_since is None else before.problem_since
        self._due.clear()  # nobody knows what went before
        self._facts = replace(
            before, problem=words, problem_since=since, retry_at=now + pause, ping=None
        )

    async def _wait(self, seconds: float) -> None:
        """Wait, unless `refresh_now` was called since the last wait: a look that was under way may not show it."""
        try:
            async with asyncio.timeout(seconds):
                await self._soon.wait()
        except TimeoutError:
            pass
        self._soon.clear()
