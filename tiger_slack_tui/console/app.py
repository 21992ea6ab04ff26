"""The console: the engine as a worker inside the screen's event loop, and what it is doing, four times a second."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Footer, Static
from textual.worker import Worker, WorkerState

from tiger_slack_tui.console.text import safe
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.errors import TigerSlackError
from tiger_slack_tui.snapshot import Recent, Snapshot

_SAMPLES_PER_SECOND = 4
_WINDOW = 5 * _SAMPLES_PER_SECOND
"""Samples that the shown rate is the mean of."""
_LOOKS = {
    "stored": "$success",
    "audit": "$text-muted",
    "unrouted": "$warning",
    "discarded": "$secondary",
    "failed": "$error",
}


def run_console(make_engine: Callable[[], Engine]) -> None:
    """Show the console until the operator or a signal ends it. Raises what the engine raised."""
    console = Console(make_engine)
    console.run(mouse=False)
    if console.failure is not None:
        raise console.failure
    if console.return_code:
        sys.exit(console.return_code)


class Console(App[None]):
    """One screen; its only action is to stop the engine, then leave."""

    TITLE = "tiger-slack"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "console.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+q", "stop", "Stop and leave", key_display="q")
    ]

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        super().__init__()
        self.animation_level = "none"
        self.failure: TigerSlackError | None = None
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._received: list[tuple[float, int]] = []

    def compose(self) -> ComposeResult:
        yield Static(id="state")
        yield Static(id="numbers")
        yield Static(id="recent")
        yield Footer()

    def on_mount(self) -> None:
        self._engine = self._make_engine()
        self.run_worker(self._engine.run(), name="engine", exit_on_error=False)
        self.set_interval(1 / _SAMPLES_PER_SECOND, self._sample)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.action_stop)

    def action_stop(self) -> None:
        """Stop the engine; the console ends when it has stopped."""
        if self._engine is not None:
            self._engine.stop()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.worker.name != "engine" or not event.worker.is_finished:
            return
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            # Never a traceback: what a local variable holds may be a token or the text of a message.
            self.failure = (
                error
                if isinstance(error, TigerSlackError)
                else TigerSlackError(f"The engine failed: {type(error).__name__}")
            )
        self.exit(return_code=0 if self.failure is None else 1)

    def _sample(self) -> None:
        if self._engine is None:
            return
        now = self._engine.snapshot()
        self._received = [*self._received[-_WINDOW:], (now.at, now.received)]
        self.query_one("#state", Static).update(_state(now))
        self.query_one("#numbers", Static).update(_numbers(now, self._rate()))
        room = self.query_one("#recent", Static).size.height
        self.query_one("#recent", Static).update(_newest(now.recent[-room:]))

    def _rate(self) -> float:
        (begin, before), (end, after) = self._received[0], self._received[-1]
        return (after - before) / (end - begin) if end > begin else 0.0


def _state(now: Snapshot) -> Content:
    live = now.slack_status == "connected"
    well = now.database_problem is None
    return Content.assemble(
        (" ● slack " if live else " ✗ slack ", "$success" if live else "$error"),
        safe(now.slack_status, 20),
        f" {now.at - now.slack_since:,.0f} s  ",
        ("" if live or not now.slack_reason else safe(now.slack_reason, 60), "$text-muted"),
        ("\n ● database " if well else "\n ✗ database ", "$success" if well else "$error"),
        "takes events" if well else safe(now.database_problem or "", 60),
        ("\n ✗ spool " + safe(now.spool_problem, 60) if now.spool_problem else "", "$error"),
    )


def _numbers(now: Snapshot, rate: float) -> Content:
    counts: dict[str, int] = dict.fromkeys(_LOOKS, 0)
    for (_, outcome), n in now.outcomes.items():
        counts[outcome] += n
    parts: list[str | tuple[str, str]] = [
        f" {rate:,.1f} events/s   received {now.received:,}   acknowledged {now.acked:,}",
        f"   again {now.duplicates:,}\n",
        f" ack p50 {_ms(now.ack_p50)}  p99 {_ms(now.ack_p99)}   commit p99 {_ms(now.commit_p99)}",
        f"   queue {now.queue:,}   spool {now.spool_events:,}\n",
    ]
    parts += [(f" {outcome} {n:,} ", _LOOKS[outcome]) for outcome, n in counts.items()]
    return Content.assemble(*parts)


def _newest(recent: tuple[Recent, ...]) -> Content:
    if not recent:
        return Content.styled(" No event yet.", "$text-muted")
    parts: list[str | tuple[str, str]] = []
    for event in recent:
        parts += [
            f" {datetime.fromtimestamp(event.at):%H:%M:%S}  ",
            (f"{event.outcome:<9}", _LOOKS[event.outcome]),
            f"  {safe(event.type, 22):<22}  {safe(event.channel_id or '', 12):<12}",
            f"  {safe(event.user_id or '', 12):<12}  {safe(event.detail or '', 12)}\n",
        ]
    return Content.assemble(*parts)


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"
