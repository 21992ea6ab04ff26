"""The engine: starts and stops everything that ingests, in order. Does not know the console."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

import aiohttp
import psycopg
from psycopg_pool import PoolTimeout

from tiger_slack_tui.base.backoff import LogThrottle, backoff
from tiger_slack_tui.base.clock import Clock, SystemClock, wall_time
from tiger_slack_tui.base.errors import (
    DatabaseRefused,
    DatabaseUnavailable,
    EngineNotReady,
    MigrationError,
    OtherDatabase,
    SlackRefused,
    SlackUnavailable,
    TigerSlackError,
)
from tiger_slack_tui.base.ids import TeamId
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.base.shutdown import Shutdown
from tiger_slack_tui.base.snapshot import SlackStatus, Snapshot, Stats
from tiger_slack_tui.base.supervisor import Supervisor
from tiger_slack_tui.base.tasks import cancel, finish_within, first_end
from tiger_slack_tui.ingest.pipeline import Pipeline, PipelineLimits
from tiger_slack_tui.ingest.spool.spool import Spool
from tiger_slack_tui.jobs.backfill import BACKFILL, make_chosen_gaps_job
from tiger_slack_tui.jobs.catalog import make_jobs
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.jobs.schedule import Scheduler
from tiger_slack_tui.postgres.connect_failures import session_conninfo
from tiger_slack_tui.postgres.connection import Connection, with_defaults
from tiger_slack_tui.postgres.migrate.run import MigrationMessage, migrate
from tiger_slack_tui.postgres.pool import make_pool, require_same_database
from tiger_slack_tui.presence.heartbeat import HeartbeatTiming, HeartbeatWriter
from tiger_slack_tui.slack.paged_history import HistoryPace
from tiger_slack_tui.slack.socket import SocketMode
from tiger_slack_tui.slack.socket_connection import SocketTiming
from tiger_slack_tui.slack.web import Identity, SlackWeb
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.events import EventStore
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.job_runs import JobRun, RunReason
from tiger_slack_tui.store.search_index import use_language
from tiger_slack_tui.store.workspaces import save_workspace

log = logging.getLogger(__name__)

# Seconds of the stop's deadline that are reserved for the steps after the named one. A step uses all of its own time
# only if a server, a peer or a disk stays silent.
_AFTER_READING = 3.8
_AFTER_FLUSH = 1.4
_AFTER_WRITES = 1.0
_AFTER_SOCKETS = 0.7
_AFTER_POOL = 0.4
_PUBLISH_SECONDS = 5.0
_MIGRATION_SECONDS = 2.0
"""How long one try waits for a migration by another instance. The tries go on until it has ended."""
_DATABASE_SECONDS = 5.0
"""How long a start waits for the database before events go to the spool."""


class Engine:
    """Ingests from Slack into the database, from `run` until `stop`. The console and headless mode both run it.

    `conninfo` is the address of the database, which may be away at the start.
    """

    def __init__(
        self,
        settings: Settings,
        slack: SlackSettings,
        conninfo: str,
        *,
        limits: PipelineLimits | None = None,
        timing: SocketTiming | None = None,
        heartbeat: HeartbeatTiming | None = None,
        pace: HistoryPace | None = None,
        clock: Clock | None = None,
        shutdown: Shutdown | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._started = self._clock.elapsed()
        self._slack = slack
        self._heartbeat_timing = heartbeat or HeartbeatTiming()
        self._pace = pace
        self._identity: Identity | None = None
        self._heartbeat: HeartbeatWriter | None = None
        self._timing = timing
        self._settings = settings
        self._conninfo = with_defaults(conninfo, application_name=settings.instance)
        self._shutdown = shutdown or Shutdown()
        self._socket: SocketMode | None = None
        self._scheduler: Scheduler | None = None
        self._web: SlackWeb | None = None
        timeout = settings.jobs.timeout
        self._jobs_conninfo = with_defaults(
            session_conninfo(settings, conninfo), application_name=settings.instance
        )
        self._runner = Runner(
            self._jobs_conninfo, instance=settings.instance, timeout=timeout, clock=self._clock
        )
        self._database_ready = asyncio.Event()
        self._schema_since: float | None = None
        self._pool = make_pool(self._conninfo, minimum=settings.pool_min, maximum=settings.pool_max)
        self._store = EventStore(self._pool)
        self._spool = Spool(
            settings.home / "spool", limit_bytes=settings.spool_limit, clock=self._clock
        )
        self._supervisor = Supervisor(self._clock)
        self._stats = Stats(self._clock)
        self._pipeline = Pipeline(
            self._store, self._spool, self._stats, limits=limits, clock=self._clock
        )
        self._published = self.snapshot()

    def stop(self) -> None:
        """Ask `run` to read nothing more, store and acknowledge what was read, and end. Returns at once.

        `run` then ends within `SHUTDOWN_SECONDS`, even if the database, Slack or the disk is silent.
        """
        self._shutdown.request()

    async def run(self) -> None:
        """Ingest until `stop`.

        Raises SlackRefused, DatabaseRefused and MigrationError, which an operator must fix. After any other error the
        task that failed is started again, and `Snapshot.faults` has a sentence about it.
        """
        await self._spool.open()
        try:
            async with aiohttp.ClientSession(trust_env=True) as session:
                self._web = web = SlackWeb(self._slack, session, clock=self._clock)
                await self._identify(web)
                self._scheduler = scheduler = self._make_scheduler(web)
                self._socket = SocketMode(
                    web,
                    session,
                    self._pipeline.receive,
                    timing=self._timing,
                    clock=self._clock,
                )
                self._heartbeat = self._make_heartbeat(web, self._socket, scheduler)
                await self._serve(self._socket, scheduler, self._heartbeat)
        finally:
            self._shutdown.request()
            self._web = None
            await self._close_pool()
            await self._spool.close(self._shutdown.left())
            self._published = self.snapshot()

    async def run_job(self, name: str) -> JobRun:
        """Run a job of `make_jobs` now. Returns the row of slack.job_run.

        Raises EngineNotReady before `run` has made the jobs, DatabaseUnavailable, DatabaseRefused or OtherDatabase if
        the job could not begin, and KeyError for an unknown job.
        """
        if self._scheduler is None:
            raise EngineNotReady("The engine has not started yet. Try again in a few seconds.")
        await self._check_jobs_database()
        return await self._scheduler.run_now(name)

    async def close_gap(self, gap_id: int) -> JobRun:
        """Close the gap from Slack's history now, without regard to the schedule. Raises as `run_job`.

        It does not read at the pace of a restricted app, which would take days: the gap then says why.
        """
        if self._web is None:
            raise EngineNotReady("The engine has not started yet. Try again in a few seconds.")

        async def find(connection: Connection, _: TeamId) -> list[Gap]:
            return await gaps.get(connection, [gap_id])

        await self._check_jobs_database()
        job = make_chosen_gaps_job(
            self._web,
            find,
            pace=self._pace,
            history_since=self._settings.jobs.history_since,
            is_patient=False,
        )
        return await self._runner.run(job, reason=RunReason.BY_HAND)

    def snapshot(self) -> Snapshot:
        """The state now. Makes no I/O."""
        stats, spool, pipeline = self._stats, self._spool, self._pipeline
        slack = self._socket.state if self._socket is not None else None
        stalled_since = pipeline.stalled_since
        commit_p50, commit_p99 = stats.commit.at(0.5, 0.99)
        ack_p50, ack_p99 = stats.ack.at(0.5, 0.99)
        batch_p50, batch_p99 = stats.batch.at(0.5, 0.99)
        lateness_p50, lateness_p99 = stats.lateness.at(0.5, 0.99)
        return Snapshot(
            at=self._clock.wall(),
            started=self._wall(self._started),
            slack_status=slack.status if slack else SlackStatus.STARTING,
            slack_since=self._wall(slack.since if slack else self._started),
            slack_reason=slack.reason if slack else None,
            slack_connections=slack.num_connections if slack else 0,
            slack_connects=slack.connects if slack else 0,
            slack_acks_lost=slack.acks_lost if slack else 0,
            slack_ignored=slack.ignored if slack else 0,
            slack_malformed=slack.malformed if slack else 0,
            database_problem=pipeline.database_problem,
            database_since=self._wall(pipeline.database_since),
            received=stats.received,
            acked=stats.acked,
            duplicates=stats.duplicates,
            outcomes=dict(stats.outcomes),
            schema_since=None if self._schema_since is None else self._wall(self._schema_since),
            stalled_since=None if stalled_since is None else self._wall(stalled_since),
            queue=pipeline.queued,
            queue_limit=pipeline.limits.queue,
            queue_bytes=pipeline.queued_bytes,
            spool_events=spool.depth,
            spool_bytes=spool.size,
            spool_oldest=spool.oldest,
            spool_problem=pipeline.spool_problem,
            spool_errors=spool.errors,
            spool_damaged=spool.damaged,
            faults=self._supervisor.problems() + spool.problems,
            restarts=dict(self._supervisor.restarts),
            commit_p50=commit_p50,
            commit_p99=commit_p99,
            ack_p50=ack_p50,
            ack_p99=ack_p99,
            ack_p95_now=stats.ack_p95_now(),
            batch_p50=batch_p50,
            batch_p99=batch_p99,
            lateness_p50=lateness_p50,
            lateness_p99=lateness_p99,
            problems=tuple(stats.problems),
            ack_by_type=stats.ack_by_type(),
            jobs=self._scheduler.states() if self._scheduler else (),
            gaps_open=self._heartbeat.gaps_open if self._heartbeat else None,
        )

    def _wall(self, elapsed: float) -> float:
        """`Clock.elapsed` as seconds since 1970, so that the age is right even if the wall clock was set."""
        return wall_time(self._clock, elapsed)

    def published(self) -> Snapshot:
        """A snapshot that is at most 5 s old. Can be called in any thread."""
        return self._published

    async def _publish(self) -> None:
        while True:
            self._published = self.snapshot()
            await asyncio.sleep(_PUBLISH_SECONDS)

    async def _close_pool(self) -> None:
        """Close the pool, without waiting for a silent server."""
        seconds = min(self._shutdown.left(reserve=_AFTER_POOL), 0.6)
        await finish_within(seconds, self._pool.close(timeout=seconds / 2), "closing the pool")

    async def _identify(self, web: SlackWeb) -> None:
        """Ask Slack for the workspace, which also finds a bad token at once. A stop ends this.

        Raises SlackRefused. Does not retry if Slack is away.
        """
        asking = asyncio.create_task(web.identity())
        stop = asyncio.create_task(self._shutdown.wait())
        try:
            await asyncio.wait({asking, stop}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                self._identity = found = asking.result()
                log.info("workspace", extra={"team": found.team, "team_id": found.team_id})
        except SlackRefused:
            raise
        except SlackUnavailable as error:
            log.warning("%s", error)
        except Exception as error:  # the connection shows whether Slack can be used
            log.error("Slack was not asked for the workspace", exc_info=error)
        finally:
            await cancel(asking, stop, seconds=1)

    def _make_scheduler(self, web: SlackWeb) -> Scheduler:
        """Make the jobs and their scheduler."""
        given = self._settings.jobs
        jobs = make_jobs(web, given, pace=self._pace)
        return Scheduler(jobs, self._runner, given, clock=self._clock)

    def _make_heartbeat(
        self, web: SlackWeb, slack: SocketMode, scheduler: Scheduler
    ) -> HeartbeatWriter:
        async def team_id() -> TeamId:
            self._identity = identity = self._identity or await web.identity()
            await self._save_workspace(identity)
            return identity.team_id

        return HeartbeatWriter(
            self._pool,
            slack,
            self._pipeline,
            self.snapshot,
            instance=self._settings.instance,
            team_id=team_id,
            identity=lambda: self._identity,
            on_gap_due=lambda: scheduler.wake(BACKFILL),
            timing=self._heartbeat_timing,
            clock=self._clock,
        )

    async def _serve(
        self, slack: SocketMode, scheduler: Scheduler, heartbeat: HeartbeatWriter
    ) -> None:
        """Run all tasks until `stop`, or until an error that an operator must fix. Raises it after a clean stop."""
        pipeline, supervise = self._pipeline, self._supervisor.supervise
        tried = asyncio.Event()
        (listening,) = _start(
            supervise(
                "the connection to Slack", lambda: self._listen(slack, tried), fatal=(SlackRefused,)
            )
        )
        background = _start(
            supervise(
                "the preparation of the database",
                lambda: self._prepare_database(tried),
                fatal=(DatabaseRefused, MigrationError),
            ),
            supervise(
                "the schedule of the jobs",
                lambda: self._run_jobs(scheduler),
                fatal=(OtherDatabase,),
            ),
            supervise("the heartbeat", lambda: self._run_heartbeat(heartbeat)),
            supervise("the look for new scopes", self._look_for_scopes),
        )
        ingesting = _start(
            supervise("the writing of events", pipeline.write),
            supervise("the sending of acks", pipeline.acks.run),
            supervise("the drain of the spool", pipeline.drain.run),
            supervise("the snapshot", self._publish),
        )
        stop = asyncio.create_task(self._shutdown.wait())
        try:
            await first_end(stop, listening, *background, *ingesting)
        finally:
            self._shutdown.request()
            left = self._shutdown.left
            await cancel(stop, listening, seconds=left(reserve=_AFTER_READING))
            slack.stop_reading()
            await self._flush(heartbeat, background)
            await pipeline.close(min(left(reserve=_AFTER_WRITES), 0.6))
            await asyncio.gather(
                cancel(*ingesting, seconds=left(reserve=_AFTER_SOCKETS)),
                finish_within(left(reserve=_AFTER_SOCKETS), slack.close(), "closing the socket"),
            )
            stats = self._stats
            lost = stats.received - stats.acked  # Slack will deliver these again
            log.info("stopped", extra={"received": stats.received, "unacknowledged": lost})

    async def _flush(
        self, heartbeat: HeartbeatWriter, background: Sequence[asyncio.Task[None]]
    ) -> None:
        """Store and acknowledge what was read, and write the last heartbeat. Cancel `background` meanwhile."""
        seconds = self._shutdown.left(reserve=_AFTER_FLUSH)
        work = _run_all(self._pipeline.flush(), heartbeat.write_last())
        await asyncio.gather(
            finish_within(seconds, work, "the last writes"),
            cancel(*background, seconds=seconds),
        )

    async def _listen(self, slack: SocketMode, database_tried: asyncio.Event) -> None:
        """Read events. First wait up to 5 s for the database, so that the first events need not go to the spool."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DATABASE_SECONDS):
                await database_tried.wait()
        await slack.run()

    async def _run_jobs(self, scheduler: Scheduler) -> None:
        """Run the jobs when the schema is current and their address leads to the same database."""
        await self._database_ready.wait()
        await self._wait_for_jobs_database()
        await scheduler.run()

    async def _wait_for_jobs_database(self) -> None:
        """Wait until the address of the jobs is known to lead to the same database. Raises OtherDatabase."""
        throttle, failures = LogThrottle(self._clock), 0
        while True:
            try:
                return await self._check_jobs_database()
            except OtherDatabase:
                raise
            except (DatabaseUnavailable, DatabaseRefused) as error:
                if throttle.allows():
                    log.warning("jobs wait: %s", error)
                failures += 1
            await asyncio.sleep(backoff(failures, first=0.5, most=60))

    async def _check_jobs_database(self) -> None:
        """As `require_same_database`, for the address of the jobs."""
        if self._settings.direct_conninfo is not None:
            await require_same_database(self._conninfo, self._jobs_conninfo)

    async def _run_heartbeat(self, heartbeat: HeartbeatWriter) -> None:
        """Write heartbeats when the schema is current."""
        await self._database_ready.wait()
        await heartbeat.run()

    async def _look_for_scopes(self) -> None:
        """Ask Slack again and again for the app's scopes: a new one lets the app hear more channels."""
        while True:
            await asyncio.sleep(self._heartbeat_timing.scopes)
            if self._web is None:
                return
            try:
                self._identity = await self._web.identity()
            except TigerSlackError as error:  # the connection shows whether Slack can be used
                log.info("Slack was not asked for the app's scopes: %s", error)

    async def _set_search_language(self) -> None:
        """Raises DatabaseUnavailable and DatabaseRefused."""
        language = self._settings.jobs.search_language
        if await use_language(self._conninfo, language):
            log.warning("all search documents are made again", extra={"language": language})

    async def _save_workspace(self, identity: Identity) -> None:
        """Store the workspace's address, for links. A failure is logged: the next start tries again."""
        try:
            async with self._pool.connection(timeout=2) as connection:
                await save_workspace(connection, identity.team_id, identity.team, identity.url)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("the workspace's address was not stored: %s", type(error).__name__)

    async def _prepare_database(self, tried: asyncio.Event) -> None:
        """Migrate the schema and open the pool. Retries while the database is away."""
        failures = 0
        report = _MigrationLog()
        while True:
            try:
                await migrate(
                    self._conninfo,
                    report=report,
                    lock_seconds=_MIGRATION_SECONDS,
                )
                await self._set_search_language()
            except DatabaseUnavailable as error:
                self._pipeline.mark_database_away(
                    str(error.args[0])
                )  # without what to do: we retry
                tried.set()
                failures += 1
                await asyncio.sleep(backoff(failures, first=0.5, most=5))
            else:
                break
        self._schema_since = self._clock.elapsed()
        await self._pool.open()
        self._pipeline.mark_database_ready()
        self._database_ready.set()
        tried.set()


def _start(*coroutines: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(work) for work in coroutines]


async def _run_all(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Run all coroutines to their end, and then raise the first error."""
    for found in await asyncio.gather(*coroutines, return_exceptions=True):
        if isinstance(found, Exception):
            raise found


class _MigrationLog:
    """Logs the messages of a migration. Skips a message that is the same as the one before it."""

    _last: MigrationMessage | None = None

    def __call__(self, message: MigrationMessage) -> None:
        if message != self._last:
            log.log(message.level, "%s", message.text)
        self._last = message
