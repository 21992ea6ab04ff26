"""Reads the state of the database every few seconds, so that no view has to query it. Writes nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, TypeVar

from psycopg.pq import TransactionStatus

from tiger_slack_tui.base.clock import Clock, SystemClock, wall_time
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.console.model.database_state import DatabaseState
from tiger_slack_tui.console.model.polling import WakeUp, log_read_error, poll
from tiger_slack_tui.console.model.rates import ObservedRates, Rates
from tiger_slack_tui.console.model.read_errors import QUERY_SECONDS, raise_if_cancelled
from tiger_slack_tui.jobs.status import fetch_status
from tiger_slack_tui.postgres import introspection
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.introspection import TableSize, sessions, table_sizes
from tiger_slack_tui.postgres.lock_keys import IMPORT_LOCK_CLASS, JOB_LOCK_KEYS, MIGRATION_LOCK_KEY
from tiger_slack_tui.postgres.locks import advisory_locks
from tiger_slack_tui.postgres.migrate.run import MigrationStatus, migration_status
from tiger_slack_tui.postgres.timescale import find_timescaledb
from tiger_slack_tui.store import instances
from tiger_slack_tui.store.arrivals import ArrivalReader
from tiger_slack_tui.store.instances import Instance
from tiger_slack_tui.store.past_imports import recent_imports
from tiger_slack_tui.store.rules import count_rules

log = logging.getLogger(__name__)

T = TypeVar("T")

_SECONDS = 2.0
"""Between two rounds of queries."""
_SILENT_SECONDS = 6.0
"""A question without an answer for this long shows that the database hangs: it ends a statement after 5 s."""
_SLOW_SECONDS = 30.0
"""Between two reads of what changes slowly or takes long to read: sizes, migrations."""
_SIZES_PAUSE = 100
"""The pause after a read of the sizes is this many times as long as the read, and at most `_SLOW_SECONDS`."""
_MOST_SECONDS = 60.0
"""The longest pause before a query that fails is retried."""
RUNS = 20
"""The newest runs of each job that are read."""
_INSTANCES = 100
_FIRST_SECONDS = 300
"""An observer also counts the events of the last seconds before its start: this many."""
IMPORTS = 50
"""The newest imports that are read."""


class Monitor:
    """Keeps `state` up to date while `run` runs. While the database is away, `state` keeps what was read before."""

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
        self._last_rates: Rates | None = None
        """Those at the last heartbeat, while no instance reports."""
        self._wake_up = WakeUp()
        self._due: dict[str, float] = {}
        """By field of the state: when it is read again. A field without a time is read in the next round."""
        self._pauses: dict[str, float] = {}
        """By field of the state: how long its next retry waits."""
        self._asked_at: float | None = None
        """When the question was asked that has no answer yet."""
        self._state = DatabaseState()
        """With times of the monotonic clock."""

    @property
    def state(self) -> DatabaseState:
        """The newest answers, with times of the wall clock."""
        state, asked = self._state, self._asked_at
        is_silent = asked is not None and self._clock.elapsed() - asked >= _SILENT_SECONDS
        if is_silent and state.problem is None:
            state = replace(
                state, problem="a query has no answer yet", problem_since=asked, ping=None
            )
        return replace(
            state,
            at=self._wall(state.at),
            problem_since=self._wall(state.problem_since),
            retry_at=self._wall(state.retry_at),
            asked={name: wall_time(self._clock, at) for name, at in state.asked.items()},
        )

    def _wall(self, elapsed: float | None) -> float | None:
        return None if elapsed is None else wall_time(self._clock, elapsed)

    def refresh_now(self) -> None:
        """Read everything at once, also what changes slowly. A call while it reads starts one more round."""
        self._due.clear()
        self._wake_up.set()

    async def run(self) -> None:
        """Read until cancelled. After any error, connect again with backoff."""
        await poll(
            self._conninfo,
            self._poll,
            seconds=_SECONDS,
            first_pause=1.0,
            wake_up=self._wake_up,
            on_error=self._fail,
        )

    async def _poll(self, connection: Connection) -> None:
        begun = time.perf_counter()
        await self._answer_to(introspection.ping(connection))
        ping = time.perf_counter() - begun
        state = replace(self._state, problem=None, problem_since=None, retry_at=None, ping=ping)
        state = await self._poll_slow(connection, state)
        found = state.migrations
        is_known = "migrations" not in state.problems
        if is_known and (found is None or not found.is_current):
            self._due.pop("migrations", None)  # a migration may be running
        if not is_known or (found is not None and found.database_version is not None):
            state = await self._poll_schema(connection, state)
        self._state = replace(state, at=self._clock.elapsed())

    async def _poll_schema(self, connection: Connection, state: DatabaseState) -> DatabaseState:
        """Ask what needs the schema."""
        keys = [*JOB_LOCK_KEYS.values(), MIGRATION_LOCK_KEY]
        questions: dict[str, Callable[[], Awaitable[Any]]] = {
            "jobs": lambda: fetch_status(connection, self._settings, most=RUNS),
            "locks": lambda: advisory_locks(connection, keys, [IMPORT_LOCK_CLASS]),
            "sessions": lambda: sessions(connection),
            "instances": lambda: instances.newest(connection, most=_INSTANCES),
            "observed": lambda: self._observe(connection, state.instances),
            "imports": lambda: recent_imports(connection, IMPORTS),
            "discard_rules": lambda: count_rules(connection),
        }
        for name, question in questions.items():
            state = await self._ask(connection, state, name, question)

        async def sizes() -> list[TableSize]:
            began = self._clock.elapsed()
            found = await table_sizes(connection, state.extension)
            now = self._clock.elapsed()
            if "sizes" in self._due:
                self._due["sizes"] = now + min(_SIZES_PAUSE * (now - began), _SLOW_SECONDS)
            return found

        return await self._ask(connection, state, "sizes", sizes, _SLOW_SECONDS)

    async def _poll_slow(self, connection: Connection, state: DatabaseState) -> DatabaseState:
        async def migrations() -> MigrationStatus:
            return await migration_status(self._conninfo)

        seconds = _SLOW_SECONDS
        state = await self._ask(connection, state, "migrations", migrations, seconds)
        return await self._ask(
            connection, state, "extension", lambda: find_timescaledb(connection), seconds
        )

    async def _ask(
        self,
        connection: Connection,
        state: DatabaseState,
        name: str,
        question: Callable[[], Awaitable[Any]],
        seconds: float = 0.0,
    ) -> DatabaseState:
        """The state with the answer under that name. The question is asked again after `seconds`.

        If it fails, the fact stays as it was, `problems` says why, and the next retry waits longer.
        Raises the error if the connection cannot be used any more.
        """
        now = self._clock.elapsed()
        if now < self._due.get(name, now):
            return state
        # Set before the answer, because `refresh_now` may be called meanwhile.
        self._due[name] = now + seconds
        try:
            answer = await self._answer_to(question())
        except Exception as error:
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                raise
            raise_if_cancelled()
            self._asked_at = None
            return self._fail_one(state, name, error)
        self._pauses.pop(name, None)
        problems = {other: words for other, words in state.problems.items() if other != name}
        changes: dict[str, Any] = {name: tuple(answer) if isinstance(answer, list) else answer}
        return replace(state, problems=problems, asked={**state.asked, name: now}, **changes)

    async def _answer_to(self, question: Awaitable[T]) -> T:
        """Await an answer. Raises TimeoutError; long before that, `state` says that the database does not answer."""
        self._asked_at = self._clock.elapsed()
        async with asyncio.timeout(QUERY_SECONDS):
            answer = await question
        self._asked_at = None
        return answer

    def _fail_one(self, state: DatabaseState, name: str, error: Exception) -> DatabaseState:
        reason = log_read_error(log, name, error, state.problems.get(name))
        pause = self._pauses.get(name, _SECONDS)
        self._pauses[name] = min(pause * 2, _MOST_SECONDS)
        if name in self._due:
            self._due[name] = self._clock.elapsed() + pause
        return replace(state, problems={**state.problems, name: reason})

    async def _observe(self, connection: Connection, instances: Sequence[Instance]) -> Rates | None:
        """The rates. While no instance reports, those of now and of the last minute stay as of the last heartbeat."""
        if self._arrivals is None:
            return None
        self._observed.add(await self._arrivals.fetch(connection))
        rates, rows = self._observed.rates(), [row for row in instances if not row.is_stopped]
        if not rows or not all(row.is_late for row in rows):
            self._last_rates = None
            return rates
        if self._last_rates is None:
            self._last_rates = self._observed.rates(ceil(min(row.seen_age for row in rows)))
        return replace(rates, now=self._last_rates.now, by_type=self._last_rates.by_type)

    def _fail(self, error: Exception, pause: float) -> None:
        now, before = self._clock.elapsed(), self._state
        reason = log_read_error(log, "the database", error, before.problem)
        asked, self._asked_at = self._asked_at, None
        began = now if asked is None else asked
        since = began if before.problem_since is None else before.problem_since
        self._due.clear()  # anything may have changed meanwhile
        self._state = replace(
            before, problem=reason, problem_since=since, retry_at=now + pause, ping=None
        )
