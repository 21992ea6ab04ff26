"""Reads the state of the database every few seconds, so that no view has to query it. Writes nothing."""

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
from tiger_slack_tui.store.instances import Instance
from tiger_slack_tui.store.past_imports import PastImport, recent_imports
from tiger_slack_tui.store.rules import count_rules

log = logging.getLogger(__name__)

_SECONDS = 2.0
"""Between two rounds of queries."""
_SLOW_SECONDS = 30.0
"""Between two reads of what changes slowly or takes long to read: sizes, migrations."""
_MOST_SECONDS = 60.0
"""The longest pause before a query that fails is retried."""
_STATEMENT_SECONDS = 5
_RUNS = 20
_INSTANCES = 100
_FIRST_SECONDS = 300
"""An observer also counts the events of so many seconds before its start."""
_IMPORTS = 50


@dataclass(frozen=True, slots=True)
class Facts:
    """The newest answers of the database. What was not read yet is empty."""

    at: float | None = None
    """When the database last answered."""
    problem: str | None = None
    """Why the database does not answer now; None if it does."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """By the name of a fact: why it is old although the database answers."""
    problem_since: float | None = None
    retry_at: float | None = None
    ping: float | None = None
    """How long `select 1` took, in seconds."""
    jobs: tuple[JobStatus, ...] = ()
    locks: tuple[AdvisoryLock, ...] = ()
    sessions: tuple[Session, ...] = ()
    migrations: MigrationStatus | None = None
    extension: TimescaleDB | None = None
    sizes: tuple[TableSize, ...] = ()
    instances: tuple[Instance, ...] = ()
    """The instances of the last day, the running and the lost ones first."""
    observed: Rates | None = None
    """How many events all instances wrote. Only a console that observes reads it."""
    imports: tuple[PastImport, ...] = ()
    discard_rules: int | None = None


class Monitor:
    """Keeps `facts` up to date while `run` runs. If the database is away, they stay as they were."""

    def __init__(
        self,
        conninfo: str,
        settings: JobSettings,
        *,
        is_observing: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """With `is_observing`, also reads how many events come."""
        self._clock = clock or SystemClock()
        self._conninfo = conninfo
        self._settings = settings
        self._arrivals = ArrivalReader(_FIRST_SECONDS) if is_observing else None
        self._observed = ObservedRates()
        self._soon = asyncio.Event()
        self._due: dict[str, float] = {}
        """When the fact of a name is read again; one without a time is read in the next round."""
        self._pauses: dict[str, float] = {}
        """By the name of a fact: how long its next retry waits."""
        self._facts = Facts()
        """With times of the monotonic clock."""

    @property
    def facts(self) -> Facts:
        """The newest facts, with times of the wall clock."""
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
        """Read everything at once, also what changes slowly."""
        self._due.clear()
        self._soon.set()

    async def run(self) -> None:
        """Read until cancelled. After any error, connect again with backoff."""
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
            self._due.pop("migrations", None)  # a migration may be running
        else:
            facts = await self._look_quickly(connection, facts)
        self._facts = replace(facts, at=self._clock.elapsed())

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
        """The facts with the answer under that name. The question is asked again after `seconds`.

        If it fails, the fact stays as it was, `problems` says why, and the next retry waits longer.
        Raises the error if the connection cannot be used any more.
        """
        now = self._clock.elapsed()
        if now < self._due.get(name, now):
            return facts
        self._due[name] = (
            now + seconds
        )  # before the answer, because `refresh_now` may be called meanwhile
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
        self._due.clear()  # anything may have changed meanwhile
        self._facts = replace(
            before, problem=words, problem_since=since, retry_at=now + pause, ping=None
        )

    async def _wait(self, seconds: float) -> None:
        """Wait until `refresh_now` is called, at most `seconds`. A call during the last round counts, too."""
        try:
            async with asyncio.timeout(seconds):
                await self._soon.wait()
        except TimeoutError:
            pass
        self._soon.clear()
