"""Runs the engine without a screen: log lines, signals, health and metrics."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import nullcontext

from tiger_slack_tui.base.clock import SystemClock
from tiger_slack_tui.base.garbage_collector import freeze_startup_objects
from tiger_slack_tui.base.metrics import observe
from tiger_slack_tui.base.shutdown import stop_on_signals
from tiger_slack_tui.base.snapshot import Snapshot
from tiger_slack_tui.base.supervisor import Supervisor
from tiger_slack_tui.base.threads import DaemonThreads
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.headless.health import serve_health

log = logging.getLogger(__name__)

_SUMMARY_SECONDS = 10


async def run_headless(engine: Engine, *, http: str | None = None) -> None:
    """Run the engine until SIGTERM or SIGINT. A second signal ends the process at once.

    Logs a summary every 10 s, and serves health and metrics on `http` ([HOST:]PORT). Raises as `Engine.run` and
    `serve_health`.
    """
    freeze_startup_objects()
    asyncio.get_running_loop().set_default_executor(DaemonThreads())

    def stop(number: signal.Signals) -> None:
        log.info("stopping on %s; a second signal ends the process at once", number.name)
        engine.stop()

    stop_on_signals(stop)
    supervisor = Supervisor()
    summary = asyncio.create_task(supervisor.supervise("the summary", lambda: _summarise(engine)))
    observe(engine.published)
    try:
        async with serve_health(http, engine.snapshot) if http else nullcontext():
            await engine.run()
    finally:
        summary.cancel()


async def _summarise(engine: Engine) -> None:
    clock = SystemClock()
    before, then = engine.snapshot(), clock.elapsed()
    while True:
        await asyncio.sleep(_SUMMARY_SECONDS)
        now, at = engine.snapshot(), clock.elapsed()
        log.info("summary", extra=_summary(before, now, at - then))
        before, then = now, at


def _summary(before: Snapshot, now: Snapshot, seconds: float) -> dict[str, object]:
    return {
        "slack": now.slack_status,
        "database": now.database_problem or "ok",
        "events_per_second": round((now.received - before.received) / seconds, 1),
        "received": now.received,
        "acked": now.acked,
        "duplicates": now.duplicates,
        "outcomes": now.by_outcome(),
        "queue": now.queue,
        "spool": now.spool_events,
        "spool_problem": now.spool_problem,
        "faults": list(now.faults),
        "gaps_open": now.gaps_open,
        "ack_p99_ms": None if now.ack_p99 is None else round(now.ack_p99 * 1000, 1),
    }
