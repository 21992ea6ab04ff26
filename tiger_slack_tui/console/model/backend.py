"""Where the console gets what it shows: the engine, the readers of the database, the log and the imports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.console.model.audit_reader import AuditReader
from tiger_slack_tui.console.model.event_counts import PARTS, EventCounts, EventCountsReader
from tiger_slack_tui.console.model.findings import FindingsMerger
from tiger_slack_tui.console.model.findings_reader import FindingsReader
from tiger_slack_tui.console.model.log_ring import LogRing
from tiger_slack_tui.console.model.message_reader import MessageReader
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.console.model.rates import RateMeter
from tiger_slack_tui.imports.manager import ImportManager
from tiger_slack_tui.imports.request import ImportRequest

if TYPE_CHECKING:
    from tiger_slack_tui.engine import Engine


@dataclass(slots=True)
class Backend:
    """The sources of the console. `sample` never waits; changes go through the Operator."""

    settings: Settings
    conninfo: str
    monitor: Monitor
    log: LogRing
    findings_reader: FindingsReader
    imports: ImportManager
    engine: Engine | None = None
    """None until it is made, and always in a console that only observes."""
    event_counts_reader: EventCountsReader | None = None
    """None if charts only show what is in memory."""
    read_only: bool = False
    is_observing: bool = False
    is_stopping: bool = False
    """Whether the program ends: an engine that is not made yet is not made."""
    clock: Clock = field(default_factory=SystemClock)
    audit: AuditReader = field(init=False)
    messages: MessageReader = field(init=False)
    _meter: RateMeter = field(default_factory=RateMeter)
    _merger: FindingsMerger = field(init=False)

    def __post_init__(self) -> None:
        self.audit = AuditReader(self.conninfo)
        self._merger = FindingsMerger(self.findings_reader.names)
        self.messages = MessageReader(self.conninfo)

    def _event_counts(self, window: int) -> EventCounts | None:
        """What the database has of the last `window` seconds; None if these are in memory."""
        if self.event_counts_reader is None or window not in PARTS:
            return None
        self.event_counts_reader.keep_reading(window)
        return self.event_counts_reader.state(window)

    def import_command(self, request: ImportRequest) -> str:
        """The command line that does the same as the request."""
        return self.imports.command(request)

    def sample(self, window: int) -> Model:
        """The state now. Does no I/O. Charts get the last `window` seconds."""
        now = self.engine.snapshot() if self.engine else None
        elapsed = self.clock.elapsed()
        if now is not None:
            self._meter.add(elapsed, now.received, now.outcomes)
        at = now.at if now else self.clock.wall()
        database, stored = self.monitor.state, self.findings_reader.state
        if database.migrations is not None and database.migrations.database_version is not None:
            self.findings_reader.glance()
        self._merger.merge(stored, now.problems if now else ())
        return Model(
            at=at,
            instance=self.settings.instance,
            engine=now,
            has_engine=now is not None,
            rates=database.observed or self._meter.rates(),
            database=database,
            log=self.log.lines(),
            stored_findings=stored,
            stored_findings_age=self.findings_reader.age,
            stored_findings_waited=self.findings_reader.waited,
            findings=self._merger.found,
            import_state=self.imports.run and self.imports.run.frozen(),
            check_state=self.imports.check and self.imports.check.frozen(),
            live_limit=self.imports.live_limit,
            window=window,
            event_counts=self._event_counts(window),
            read_only=self.read_only,
            is_observing=self.is_observing,
        )


def reason_to_wait(engine: Engine | None, limit: float) -> str | None:
    """Why an import has to wait for live events; None if it need not. Their acks may take `limit` seconds (p95)."""
    if engine is None:
        return None
    now = engine.snapshot()
    if now.database_problem is not None:
        return "the database takes no live events"
    if now.queue > now.queue_limit // 2:
        return f"{now.queue:,} live events are queued"
    if now.ack_p95_now is not None and now.ack_p95_now > limit:
        return f"live events take {now.ack_p95_now * 1000:,.0f} ms (p95)"
    return None
