"""What the views show: everything that is known at one moment, gathered without waiting for anything."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiger_slack_tui.console.log_ring import LogRing
from tiger_slack_tui.console.monitor import Facts, Monitor
from tiger_slack_tui.console.rates import RateMeter, Rates
from tiger_slack_tui.console.trail import Trail, TrailState
from tiger_slack_tui.history.desk import ImportDesk
from tiger_slack_tui.history.state import Phase
from tiger_slack_tui.settings import Settings
from tiger_slack_tui.snapshot import Snapshot

if TYPE_CHECKING:
    from tiger_slack_tui.engine import Engine


@dataclass(frozen=True, slots=True)
class Importing:
    """An import of this process, in one glance."""

    phase: Phase
    path: str
    share: float
    """Of its bytes."""
    rate: float
    """Records a second."""
    seconds_left: float | None
    files: int
    files_done: int
    bad: int
    """Bad records and files."""


@dataclass(frozen=True, slots=True)
class Model:
    """The state at `at`. `engine` is None before it is made, and where the console observes others."""

    at: float
    instance: str
    engine: Snapshot | None
    rates: Rates
    facts: Facts
    log: LogRing
    trail: TrailState = field(default_factory=TrailState)
    importing: Importing | None = None
    """The present import, or the last one."""
    window: int = 160
    """Seconds that charts show."""
    read_only: bool = False
    is_observing: bool = False


@dataclass(slots=True)
class Backend:
    """What the console stands on. Views ask it for nothing but samples, and for what an operator does."""

    settings: Settings
    conninfo: str
    monitor: Monitor
    log: LogRing
    trail: Trail
    imports: ImportDesk
    engine: Engine | None = None
    """None before it is made, and where the console only observes."""
    read_only: bool = False
    is_observing: bool = False
    is_stopping: bool = False
    _meter: RateMeter = field(default_factory=RateMeter)

    def stop(self) -> None:
        """Ask the engine (now or as soon as it is made) and the import to end, cleanly. Returns at once."""
        self.is_stopping = True
        self.imports.stop()
        if self.engine is not None:
            self.engine.stop()

    def sample(self, window: int) -> Model:
        """The state now. Cheap: no I/O."""
        now = self.engine.snapshot() if self.engine else None
        if now is not None:
            self._meter.add(now.at, now.received, now.outcomes)
        at = now.at if now else time.time()
        return Model(
            at=at,
            instance=self.settings.instance,
            engine=now,
            rates=self.monitor.facts.observed or self._meter.rates(at),
            facts=self.monitor.facts,
            log=self.log,
            trail=self.trail.state,
            importing=importing(self.imports),
            window=window,
            read_only=self.read_only,
            is_observing=self.is_observing,
        )


def live_trouble(engine: Engine | None, limit: float) -> str | None:
    """Why an import shall wait for the live events of `engine`; their acks may take `limit` seconds (p95)."""
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


def importing(desk: ImportDesk) -> Importing | None:
    """The import of this process, in one glance."""
    state = desk.run
    if state is None:
        return None
    tally = state.tally
    return Importing(
        phase=state.phase,
        path=str(state.request.path),
        share=state.share,
        rate=state.rate,
        seconds_left=state.seconds_left,
        files=tally.files,
        files_done=tally.files_done,
        bad=state.num_bad,
    )
