"""A state of everything, frozen in time, for pictures of the views."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from textual import events
from textual.app import App
from textual.keys import key_to_character

from tests.support import until
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.snapshot import RecentEvent, Snapshot
from tiger_slack_tui.console.actions import VIEWS
from tiger_slack_tui.console.driver.app import NonBlockingApp
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.model.database_state import DatabaseState
from tiger_slack_tui.console.model.event_counts import DAY, EventCounts
from tiger_slack_tui.console.model.findings import Findings, StoredFindings, merge_findings
from tiger_slack_tui.console.model.findings_reader import FindingsReader
from tiger_slack_tui.console.model.log_ring import LogLine, LogRing
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.console.model.names import Names
from tiger_slack_tui.console.model.rates import Rates, TypeRate
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.manager import ImportManager
from tiger_slack_tui.jobs.status import JobStatus
from tiger_slack_tui.postgres.introspection import Session, TableSize
from tiger_slack_tui.postgres.locks import AdvisoryLock, Holder
from tiger_slack_tui.postgres.migrate.files import MigrationFileState
from tiger_slack_tui.postgres.migrate.run import MigrationFileStatus, MigrationStatus
from tiger_slack_tui.postgres.timescale import TimescaleDB
from tiger_slack_tui.store.instances import Instance
from tiger_slack_tui.store.job_runs import JobRun

VIEW_KEYS = [str(number) for number, _ in enumerate(VIEWS, 1)]
"""The keys that show the views."""
AT = datetime(2026, 9, 20, 14, 7, 31, tzinfo=UTC)
NOW = AT.timestamp()
READ = (
    "jobs",
    "locks",
    "sessions",
    "migrations",
    "extension",
    "sizes",
    "instances",
    "observed",
    "imports",
    "discard_rules",
)
"""What the monitor reads of the database."""
INSTANCE = "tiger-slack-ingest@prod-slack-1:4121"


def snapshot() -> Snapshot:
    """An engine that does well."""
    latency = (0.009, 0.022, 0.061)
    return Snapshot(
        at=NOW,
        started=NOW - 273_600,
        slack_status="connected",
        slack_since=NOW - 7200,
        slack_reason=None,
        slack_connections=2,
        slack_connects=14,
        slack_acks_lost=3,
        slack_ignored=0,
        slack_malformed=0,
        database_problem=None,
        database_since=NOW - 273_000,
        received=2_481_302,
        acked=2_481_299,
        duplicates=412,
        outcomes={("message", "stored"): 2_400_000, ("message", "failed"): 2},
        queue=3,
        queue_limit=2000,
        spool_events=0,
        spool_bytes=0,
        spool_oldest=None,
        spool_problem=None,
        commit_p50=0.004,
        commit_p99=0.031,
        ack_p50=0.006,
        ack_p99=0.041,
        ack_p95_now=0.061,
        batch_p50=3,
        batch_p99=41,
        lateness_p50=0.4,
        lateness_p99=2.1,
        problems=problems(),
        ack_by_type=dict.fromkeys(("message", "reaction_added", "user_change"), latency),
        jobs=(),
        gaps_open=0,
        schema_since=NOW - 273_000,
    )


def problems() -> tuple[RecentEvent, ...]:
    """Events of every kind that an operator looks at."""

    def one(ago: float, outcome: str, detail: str | None, **more: object) -> RecentEvent:
        fields = {"type": "message", "subtype": None, "channel_id": "C01AB2", "user_id": "B0BOT"}
        return RecentEvent(
            at=NOW - ago, event_id=f"Ev{ago:.0f}", outcome=outcome, detail=detail, **(fields | more)
        )

    return (
        one(111, "failed", "23505", channel_id="C09ZZ1", user_id="U7TTA"),
        one(95, "unrouted", None, type="star_added", channel_id=None, user_id="U02KJ"),
        one(80, "stored", None, type="reaction_added", user_id="U02KJ", late=4000.0),
        one(40, "discarded", "rule 3", subtype="bot_message"),
        one(19, "discarded", "rule 3", subtype="bot_message"),
        one(2, "failed", "22P05", channel_id="C04QX8", user_id="U02KJ"),
    )


def database_state() -> DatabaseState:
    """A database with everything in it."""
    return DatabaseState(
        at=NOW - 1,
        asked=dict.fromkeys(READ, NOW - 1),
        ping=0.003,
        jobs=jobs(),
        locks=(
            AdvisoryLock(
                6801911210587046,
                True,
                912,
                INSTANCE,
                "local",
                "slack",
                AT - timedelta(seconds=33),
                "active",
                "select slack.upsert_channel($1)",
            ),
            AdvisoryLock(
                6801911210587046,
                False,
                4188,
                "psql",
                "10.0.9.2",
                "vk",
                AT - timedelta(hours=2),
                "active",
                "select pg_advisory_lock(6801911210587046)",
            ),
        ),
        sessions=(
            Session(912, INSTANCE, "local", "active", "-", 0.2, "select slack.upsert_channel($1)"),
            Session(
                388,
                "psql",
                "10.0.9.2",
                "idle in transaction",
                "Client:ClientRead",
                7860,
                "select 1",
            ),
        ),
        migrations=migrations(),
        extension=TimescaleDB("2.23.0", "community", "public"),
        sizes=(
            TableSize(
                "message", 12_400_000, 8_412_000_000, 212, 190, 3, 41_000_000_000, 3_900_000_000
            ),
            TableSize("event", 2_481_302, 4_100_000_000, 13),
            TableSize("user", 8114, 6_200_000),
        ),
        instances=(instance(INSTANCE),),
    )


def instance(name: str, **changes: object) -> Instance:
    """One that is connected."""
    host, _, pid = name.partition("@")[2].partition(":")
    well = Instance(
        instance=name,
        version="0.4.0",
        host=host,
        pid=int(pid),
        status="connected",
        status_age=7200,
        reason=None,
        database_problem=None,
        queue=3,
        queue_limit=2000,
        spool_events=0,
        spool_problem=None,
        received=2_481_302,
        events_per_second=412.4,
        ack_p99=0.041,
        age=273_600,
        seen_age=2.0,
        is_stopped=False,
    )
    return replace(well, **changes)  # type: ignore[arg-type]


def several_instances() -> tuple[Instance, ...]:
    """One of each state."""
    name = "tiger-slack-ingest@prod-slack-"
    return (
        instance(f"{name}1:4121"),
        instance(f"{name}2:771", database_problem="connection refused", spool_events=5768),
        instance(f"{name}3:12", seen_age=340.0),
        instance(f"{name}4:9", status="stopped", is_stopped=True, seen_age=4000.0),
    )


def jobs() -> tuple[JobStatus, ...]:
    """One that is well, one that runs, one that failed."""
    holder = Holder(INSTANCE, "local", 912, AT - timedelta(seconds=33))
    coming = datetime(2026, 9, 21, 1, 0, tzinfo=ZoneInfo("UTC"))

    def run(
        number: int,
        job: str,
        started: datetime,
        took: int | None,
        outcome: str | None,
        seen: int,
        error: str | None = None,
    ) -> JobRun:
        finished = started + timedelta(seconds=took) if took is not None else None
        return JobRun(
            number,
            job,
            "schedule",
            None,
            INSTANCE,
            started,
            finished,
            outcome,
            seen,
            seen // 100,
            0,
            error,
        )

    night = datetime(2026, 9, 20, 1, 0, tzinfo=UTC)
    return (
        JobStatus("users", 5245366294413312, "0 1 * * *", "UTC", coming, None, (
            run(41, "users", night, 42, "done", 8114),
            run(37, "users", night - timedelta(days=1), 41, "done", 8113),
            run(33, "users", night - timedelta(days=2), 2, "skipped", 0, "another@prod-slack-2:771 runs it"),
        )),
        JobStatus("channels", 6801911210587046, "0 1 * * *", "UTC", coming, holder, (
            run(43, "channels", AT - timedelta(seconds=33), None, None, 2997),
        )),
        JobStatus("retention", 7000000000000001, "0 1 * * *", "UTC", coming, None, (
            run(42, "retention", night, 62, "failed", 0, "The database ended the job: QueryCanceled 57014"),
        )),
    )  # fmt: skip


def migrations() -> MigrationStatus:
    """All applied."""
    names = (
        "incremental/001-tables.sql",
        "incremental/002-hypertables.sql",
        "idempotent/001-convert.sql",
    )
    files = tuple(
        MigrationFileStatus(name, MigrationFileState.APPLIED, AT - timedelta(days=2), "0.4.0", None)
        for name in names
    )
    return MigrationStatus("0.4.0", "0.4.0", "17.5 (Debian)", "2.23.0", files)


def unmigrated() -> MigrationStatus:
    """None applied: a database of a first start."""
    pending = MigrationFileState.PENDING
    found = migrations()
    files = [MigrationFileStatus(file.name, pending, None, None, None) for file in found.files]
    return replace(found, database_version=None, files=tuple(files))


def rates() -> Rates:
    """A lively minute."""
    seconds = tuple(300 + 120 * ((n * 7919) % 11) / 10 + (n % 40) * 4 for n in range(170))
    types = (
        TypeRate("message", 371.0, {"stored": 22_249, "failed": 2, "discarded": 9}, 2_100_000),
        TypeRate("reaction_added", 14.2, {"stored": 840}, 81_000),
        TypeRate("user_change", 3.0, {"stored": 180}, 4100),
        TypeRate("star_added", 0.1, {"unrouted": 4}, 60),
    )
    return Rates(412.4, seconds, int(NOW) - 1, types)


def event_counts() -> EventCounts:
    """A day with a quiet night; its oldest hours are not read yet."""
    end = (int(NOW) // 600 + 1) * 600
    rates = [3.0 + 90 * max(0.0, sin((n - 40) / 33)) + (n * 7919) % 11 for n in range(144)]
    return EventCounts(
        DAY, 600, end, tuple(None if n < 12 else rate for n, rate in enumerate(rates))
    )


def log_ring() -> LogRing:
    """Lines of every level."""
    ring = LogRing()
    lines = (
        (2900, 20, "tiger_slack_tui.slack.socket", "connected sockets_of_app=2"),
        (33, 20, "tiger_slack_tui.jobs.runner", "job channels: begun"),
        (20, 30, "tiger_slack_tui.ingest.pipeline", "the database is slow: QueryCanceled 57014"),
        (
            2,
            40,
            "tiger_slack_tui.store.events",
            "an event failed and was kept event_id=Ev2 sqlstate=22P05",
        ),
    )
    for number, (ago, level, name, text) in enumerate(lines, 1):
        ring._lines.append(LogLine(number, NOW - ago, level, name, text))
    return ring


def no_imports(home: Path) -> ImportManager:
    """A manager that imports nothing."""
    return ImportManager(
        "",
        instance=INSTANCE,
        limits=ArchiveLimits(500, 1 << 40),
        reports=home / "imports",
        reason_to_wait=lambda _: None,
    )


class CannedBackend(Backend):
    """Answers every sample with one state; `change` makes another of it."""

    def __init__(self, home: Path, **changes: object) -> None:
        settings = Settings(home=home, conninfo="")
        super().__init__(
            settings,
            "",
            Monitor("", settings.jobs),
            log_ring(),
            FindingsReader(""),
            no_imports(home),
        )
        self.model = Model(NOW, INSTANCE, snapshot(), rates(), database_state(), self.log.lines())
        self._found: tuple[Any, ...] = ()
        self.change(**changes)

    def change(self, **changes: object) -> None:
        self.model = replace(self.model, **changes)  # type: ignore[arg-type]

    def sample(self, window: int) -> Model:
        model, engine = self.model, self.model.engine
        problems = engine.problems if engine else ()
        if self._found[:2] != (model.stored_findings, problems):
            self._found = (model.stored_findings, problems, found(model.stored_findings, problems))
        return replace(
            model,
            window=model.window if model.event_counts else window,
            read_only=self.read_only,
            has_engine=self.engine is not None,
            findings=replace(self._found[2], problem=model.findings.problem),
            import_state=self.imports.run and self.imports.run.frozen(),
            check_state=self.imports.check and self.imports.check.frozen(),
            live_limit=self.imports.live_limit,
        )


def names() -> Names:
    """Some of the channels and users, as if they had been read."""
    known = Names()
    known._names |= {"C01AB2": "#releases", "C09ZZ1": "#support", "U02KJ": "@ana"}
    return known


def found(stored: StoredFindings, problems: Sequence[RecentEvent]) -> Findings:
    """The findings, without the pauses in which others would have their turn."""
    work = merge_findings(stored, problems, names())
    while True:
        try:
            work.send(None)
        except StopIteration as end:
            findings: Findings = end.value
            return findings


def screen_text(app: App[None]) -> str:
    """What the screen shows, line by line, without trailing spaces."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


async def shows(app: App[None], text: str) -> None:
    """Wait until the text is on the screen; fail after a minute."""
    try:
        await until(lambda: text in screen_text(app))
    except TimeoutError:
        raise AssertionError(f"{text!r} is not on the screen:\n{screen_text(app)}") from None


async def press(app: NonBlockingApp, *keys: str) -> None:
    """Press the keys at once, and wait until they are handled.

    The pilot would wait after each key until the processor rests, for 2 s at most.
    """
    taken = asyncio.Event()
    for key in keys:
        app.post_message(events.Key(key, key_to_character(key)))
    app.call_later(taken.set)
    await asyncio.wait_for(taken.wait(), 60)
    await until(lambda: app._key_order.is_idle)


MakeChanges = Callable[[CannedBackend], None]
